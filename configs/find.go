package configs

import (
	"cmp"
	"slices"
	"strings"
)

// Find finds parameters by name or section; else by the name that Postfix or
// Dovecot has for it, first those whose own name it is; else those in whose name, text
// and other names each word stands. It returns none when there is none.
func Find(words []string) []Param {
	for _, is := range []func(Param) bool{
		func(p Param) bool {
			return len(words) == 1 && (p.Name == words[0] || strings.HasPrefix(p.Name, words[0]+"."))
		},
		func(p Param) bool { return len(words) == 1 && p.called(words[0]) },
		func(p Param) bool { return p.matches(words) },
	} {
		var found []Param
		for _, p := range declaredFor(words...) {
			if is(p) {
				found = append(found, p)
			}
		}
		if len(found) > 0 {
			slices.SortStableFunc(found, func(a, b Param) int { return cmp.Compare(a.distance(words), b.distance(words)) })
			return found
		}
	}
	return nil
}

// declaredFor are the declared parameters, with all of a listener when one of them is named: they are those of
// [smtpd], and stand in no list twice.
func declaredFor(words ...string) []Param {
	if len(words) == 1 && strings.HasPrefix(words[0], "listener.") {
		return slices.Concat(declared(), (&Listener{}).params()[len((&Listener{}).own()):])
	}
	return declared()
}

// distance is how far a name that finds a parameter is from its own: 0 when it is that, or
// its key; 1 when it is the name that others have, 2 when the text mentions it.
func (p Param) distance(words []string) int {
	if len(words) != 1 {
		return 0
	}
	name := strings.ToLower(words[0])
	switch {
	case strings.HasPrefix(p.Name, name), p.key() == name, strings.ReplaceAll(p.Name, ".", "_") == name:
		return 0
	case p.given(name), strings.Contains(p.Text, "Postfix "+name), strings.Contains(p.Text, "Dovecot "+name):
		return 1
	}
	return 2
}

// called says that Postfix or Dovecot have that name for it: one that Also gave,
// one in the text, or section_key, as Postfix calls what a daemon has
// (smtp_connect_timeout), or the key alone: hostname, max_connections.
func (p Param) called(name string) bool {
	name = strings.ToLower(name)
	if p.given(name) || strings.ReplaceAll(p.Name, ".", "_") == name {
		return true
	}
	return p.key() == name || strings.Contains(name, "_") && slices.Contains(words(p.Text), name)
}

// key is the name without its section, as others may call it; "" where that name is another parameter's, because
// this one is section_key there: milter.header_checks is milter_header_checks, and not header_checks.
func (p Param) key() string {
	if p.given(strings.ReplaceAll(p.Name, ".", "_")) {
		return ""
	}
	_, key, _ := strings.Cut(p.Name, ".")
	return key
}

// given says that Also gave it the name, in any case: Postfix has capitals in some.
func (p Param) given(name string) bool {
	return slices.ContainsFunc(p.Names, func(n string) bool { return strings.EqualFold(n, name) })
}

// matches says that every word is a part of the name, the text or the other
// names, in any case.
func (p Param) matches(words []string) bool {
	all := strings.ToLower(p.Name + " " + p.Text + " " + strings.Join(p.Names, " "))
	for _, w := range words {
		if !strings.Contains(all, strings.ToLower(w)) {
			return false
		}
	}
	return true
}

// mostNear bounds the answer of Nearest.
const mostNear = 5

// Nearest are the parameters that share most with words that Find finds nothing
// for, the best first, at most five. A word in a name counts more than one in the text, and a word that few
// parameters have counts more than one that many have.
func Nearest(asked []string) []Param {
	var parts []string
	for _, a := range asked {
		parts = append(parts, strings.FieldsFunc(strings.ToLower(a), func(r rune) bool { return r == '_' || r == '.' || r == '-' })...)
	}
	params := declared()
	scores := make([]float64, len(params))
	for _, part := range parts {
		weights := make([]float64, len(params))
		having := 0
		for i, p := range params {
			if weights[i] = p.shares(part); weights[i] > 0 {
				having++
			}
		}
		for i, w := range weights {
			if w > 0 {
				scores[i] += w / float64(having)
			}
		}
	}
	var order []int
	for i := range params {
		if scores[i] > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	var out []Param
	for _, i := range order[:min(len(order), mostNear)] {
		out = append(out, params[i])
	}
	return out
}

// shares is how much it has of a word: it is in its name, in one that others have,
// or in its text.
func (p Param) shares(word string) float64 {
	name := func(n string) bool { return slices.Contains(words(strings.ReplaceAll(n, "_", " ")), word) }
	switch {
	case name(p.Name):
		return 4
	case slices.ContainsFunc(p.Names, name):
		return 2
	case slices.Contains(words(p.Text), word):
		return 1
	}
	return 0
}

// words are those of a text, in lower case; names with _ are one word.
func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}
