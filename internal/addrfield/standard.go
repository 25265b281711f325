package addrfield

import (
	"slices"
	"strings"
)

// Form says how an address that is not whole becomes user@domain.
type Form struct {
	// Origin is the domain of an address without one (append_at_myorigin), "" for none.
	Origin string
	// Domain is put behind a domain without a dot (append_dot_mydomain), "" for none.
	Domain string
	// SwapBangpath makes host!user user@host, and PercentHack user%host user@host, where there
	// is no @.
	SwapBangpath, PercentHack bool
}

// Standard is an address in its standard form. A source route and a dot at the end of the domain are
// taken off.
func (f Form) Standard(a string) string {
	if isStandard(a) {
		return a
	}
	return f.standard(a)
}

// isStandard says that an address is one that Standard leaves as it is, whatever the Form. It is true of most addresses, which
// need not be taken apart; of another standard form it may be false.
func isStandard(a string) bool {
	ats, dot := 0, true // as if a dot stood before it
	whole := false      // the domain has a dot
	for i := range len(a) {
		switch c := a[i]; {
		case c == '.' || c == '@':
			if dot {
				return false
			}
			dot = true
			if c == '@' {
				ats++
			} else {
				whole = ats > 0
			}
		case c <= ' ' || c == 0x7f || strings.IndexByte(operators, c) >= 0:
			return false
		default:
			dot = false
		}
	}
	return ats == 1 && whole && !dot
}

// standard takes the address apart.
func (f Form) standard(a string) string {
	all, _ := scan(a, len(a))
	switch {
	case len(all) == 0:
		return a
	case len(all) == 1 && all[0].kind == '@':
		return `""`
	}
	for all[0].kind == '@' {
		colon := slices.IndexFunc(all, func(t token) bool { return t.kind == ':' })
		if colon < 0 || colon+1 == len(all) {
			break
		}
		all = all[colon+1:]
	}
	all = f.domain(f.at(all))
	if n := len(all); n > 2 && all[n-1].kind == '.' && all[n-2].kind != '.' && all[n-2].kind != '@' && last(all, '@') >= 0 {
		all = all[:n-1]
	}
	return string(write(nil, localPart(all), false, true))
}

// localPart writes the local part as a dot-string when it is one, and else in quotes.
func localPart(all []token) []token {
	at := last(all, '@')
	if at < 0 {
		at = len(all)
	}
	var text []byte
	for _, t := range all[:at] {
		switch t.kind {
		case atom, quoted:
			text = append(text, t.text...)
		default:
			text = write(text, []token{t}, false, true)
		}
	}
	local := token{kind: quoted, text: string(text)}
	if isDotString(local.text) {
		local.kind = atom
	}
	return slices.Concat([]token{local}, all[at:])
}

func isDotString(s string) bool {
	for word := range strings.SplitSeq(s, ".") {
		if word == "" || strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("()<>@,;:\\\".[]", r) }) {
			return false
		}
	}
	return true
}

// at gives an address its @.
func (f Form) at(all []token) []token {
	if last(all, '@') >= 0 {
		return all
	}
	bang := slices.IndexFunc(all, func(t token) bool { return t.kind == '!' })
	switch percent := last(all, '%'); {
	case f.SwapBangpath && bang >= 0:
		return slices.Concat(all[bang+1:], []token{{kind: '@'}}, all[:bang])
	case f.PercentHack && percent >= 0:
		all = slices.Clone(all)
		all[percent].kind = '@'
		return all
	case f.Origin != "":
		return appendDomain(append(slices.Clip(all), token{kind: '@'}), f.Origin)
	}
	return all
}

// domain gives a domain its dot.
func (f Form) domain(all []token) []token {
	at := last(all, '@')
	if f.Domain == "" || at < 0 || at+1 == len(all) || slices.ContainsFunc(all[at:], func(t token) bool { return t.kind == literal || t.kind == '.' }) {
		return all
	}
	return appendDomain(append(slices.Clip(all), token{kind: '.'}), f.Domain)
}

func appendDomain(all []token, domain string) []token {
	more, _ := scan(domain, len(domain))
	return append(all, more...)
}

func last(all []token, k kind) int {
	for i, t := range slices.Backward(all) {
		if t.kind == k {
			return i
		}
	}
	return -1
}

// SplitDomain cuts an address at its domain, which has no @.
func SplitDomain(a string) (local, domain string, ok bool) {
	i := strings.LastIndexByte(a, '@')
	if i < 0 {
		return a, "", false
	}
	return a[:i], a[i+1:], true
}
