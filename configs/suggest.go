package configs

import (
	"fmt"
	"slices"
	"strings"
)

// mostListed is how many names an error lists: more are for `config explain`.
const mostListed = 24

// allowed is " (allowed: ...)" with the parameters of name's section, or the
// sections when there is none of that name.
func allowed(name string) string {
	section, _, _ := strings.Cut(name, ".")
	var names, sections []string
	for _, p := range declared() {
		s, short, _ := strings.Cut(p.Name, ".")
		if s == section {
			names = append(names, short)
		}
		if !slices.Contains(sections, s) {
			sections = append(sections, s)
		}
	}
	switch {
	case section == "listener":
		return " (allowed in [[listener]]: " + strings.Join(names, ", ") + ", and the names of [smtpd] but " + strings.Join(ofAllPorts, ", ") + ")"
	case len(names) > mostListed:
		return fmt.Sprintf(" (`toastmaster config explain %s` has the %d of [%[1]s])", section, len(names))
	case len(names) > 0:
		return " (allowed in [" + section + "]: " + strings.Join(names, ", ") + ")"
	}
	return " (allowed: [" + strings.Join(sections, "], [") + "])"
}

// mostSuggested bounds the parameters of one suggestion.
const mostSuggested = 3

// Suggest says which parameters somebody may have meant with a name that none has: those of
// which it has the key, and the section is wrong; those that Postfix or Dovecot call so,
// with or without our section in front; those that begin so; or the one that it resembles.
// It begins with a comma, and is "" when there is none.
func Suggest(name string) string {
	section, key, ok := strings.Cut(name, ".")
	if !ok {
		key = name
	}
	bound := declaredFor(name)
	pick := func(is func(Param) bool) (names []string) {
		for _, p := range bound {
			if is(p) {
				names = append(names, p.Name)
			}
		}
		return names
	}
	if names := pick(func(p Param) bool { _, k, _ := strings.Cut(p.Name, "."); return k == key }); len(names) > 0 {
		return meant(names)
	}
	for _, other := range []string{key, section + "_" + key} {
		if names := pick(func(p Param) bool { return p.called(other) }); len(names) > 0 {
			return fmt.Sprintf(", see %s: `toastmaster config explain %s`", alternatives(names), other)
		}
	}
	if names := pick(func(p Param) bool { return ok && key != "" && strings.HasPrefix(p.Name, name) }); len(names) > 0 {
		return meant(names)
	}
	names := make([]string, len(bound))
	for i, p := range bound {
		names[i] = p.Name
	}
	if best := NearestName(name, names); best != "" {
		return meant([]string{best})
	}
	return ""
}

func meant(names []string) string { return ", did you mean " + alternatives(names) + "?" }

// alternatives are the first of some names: "a, b or c", "a, b, c or others".
func alternatives(names []string) string {
	if len(names) > mostSuggested {
		names = append(slices.Clone(names[:mostSuggested]), "others")
	}
	if len(names) == 1 {
		return names[0]
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// NearestName is the one of names that name resembles, "" for none.
func NearestName(name string, names []string) string {
	best, bestDistance := "", 4
	for _, n := range names {
		if d := distance(name, n); d < bestDistance {
			best, bestDistance = n, d
		}
	}
	return best
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(above+1, row[j]+1, diagonal+cost)
			diagonal = above
		}
	}
	return row[len(b)]
}
