package dnslist

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// List is a DNS list: its domain, and which answers count.
type List struct {
	// Domain is below which names are looked up.
	Domain string
	// Text is the domain with its pattern, as it was written.
	Text    string
	pattern *[4]octets
}

// octets is a set of numbers from 0 to 255.
type octets [256]bool

// Parse reads "domain" and "domain=d.d.d.d", where each d is a number or a
// pattern "[number;number..number]".
func Parse(text string) (List, error) {
	domain, pattern, filtered := strings.Cut(text, "=")
	l := List{Domain: strings.ToLower(strings.TrimSuffix(domain, ".")), Text: text}
	if l.Domain == "" || strings.ContainsAny(l.Domain, " \t,[]:/") {
		return l, fmt.Errorf("%q is no domain of a DNS list", domain)
	}
	if !filtered {
		return l, nil
	}
	l.pattern = &[4]octets{}
	rest := pattern
	for i := range l.pattern {
		part := rest
		if strings.HasPrefix(rest, "[") {
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return l, fmt.Errorf("pattern %q: missing ]", pattern)
			}
			part, rest = rest[1:end], rest[end+1:]
		} else if dot := strings.IndexByte(rest, '.'); dot >= 0 {
			part, rest = rest[:dot], rest[dot:]
		} else {
			rest = ""
		}
		if err := l.pattern[i].add(part); err != nil {
			return l, fmt.Errorf("pattern %q: %w", pattern, err)
		}
		if i < 3 {
			var ok bool
			if rest, ok = strings.CutPrefix(rest, "."); !ok {
				return l, fmt.Errorf("pattern %q: four numbers with dots between them", pattern)
			}
		}
	}
	if rest != "" {
		return l, fmt.Errorf("pattern %q: text behind it", pattern)
	}
	return l, nil
}

// add takes "number", "number..number", with semicolons between several.
func (o *octets) add(text string) error {
	for part := range strings.SplitSeq(text, ";") {
		low, high, isRange := strings.Cut(part, "..")
		if !isRange {
			high = low
		}
		from, err := strconv.ParseUint(low, 10, 8)
		to, err2 := strconv.ParseUint(high, 10, 8)
		if err != nil || err2 != nil || from > to {
			return fmt.Errorf("%q is no number from 0 to 255, and no range of such", part)
		}
		for n := from; n <= to; n++ {
			o[n] = true
		}
	}
	return nil
}

// Counts says that one of the addresses in an answer means what is asked for. Without a pattern
// those of 127.0.0.0/8 do (RFC 5782 section 2.1): who has bought the domain of a list that is no more, and
// resolvers that put an address of theirs in the place of a no, answer with others. Those of 127.255.255.0/24 do
// not: with them lists say that they do not want the question.
func (l List) Counts(answers []netip.Addr) bool {
	for _, a := range answers {
		if !a.Is4() {
			continue
		}
		octets, all := a.As4(), true
		if l.pattern == nil {
			if octets[0] == 127 && [3]byte(octets[:3]) != [3]byte{127, 255, 255} {
				return true
			}
			continue
		}
		for i, o := range octets {
			all = all && l.pattern[i][o]
		}
		if all {
			return true
		}
	}
	return false
}

// Strange is why an answer that no pattern excludes does not count, for the log: the list is none now. It is
// nil for others.
func (l List) Strange(answers []netip.Addr) error {
	if l.pattern != nil || len(answers) == 0 || l.Counts(answers) {
		return nil
	}
	return fmt.Errorf("it answers %s, which is no listing: look whether the list is still there and lets you ask, or name the answers that count (%s=127.0.0.2)", answers[0], l.Domain)
}

// Reversed is the name of an address in a list, without the list's domain.
func Reversed(a netip.Addr) string {
	const digits = "0123456789abcdef"
	a = a.Unmap()
	var room [64]byte
	b := room[:0]
	for _, octet := range slices.Backward(a.AsSlice()) {
		if a.Is4() {
			b = append(strconv.AppendUint(b, uint64(octet), 10), '.')
		} else {
			b = append(b, digits[octet&15], '.', digits[octet>>4], '.')
		}
	}
	return string(b[:max(len(b)-1, 0)])
}
