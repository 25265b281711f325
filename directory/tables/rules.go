package tables

import (
	"context"
	"slices"
	"strings"
)

// A rule is a line of a table of patterns. Rules are asked in their order; an if that
// is not met leads behind its endif.
type rule[K any] struct {
	test   func(ctx context.Context, key K) (groups []int, met bool, err error)
	negate bool
	// isIf has no result; endif is the rule behind what it guards.
	isIf   bool
	endif  int
	result template
}

// rules are the content of a table of patterns.
type rules[K any] struct {
	name
	all       []rule[K]
	quotes    bool // a result speaks of a group
	maxResult int
	// keyOf reads a key; one that is none is found nowhere.
	keyOf func(key string) (K, bool)
}

// pattern is the left side of a rule.
type pattern[K any] struct {
	test   func(ctx context.Context, key K) ([]int, bool, error)
	negate bool
	// groups is how many groups its result may speak of.
	groups int
	// rest is what stands behind it.
	rest string
}

// parseRules reads a table of patterns. cut reads the pattern at the start of a line,
// and result what a rule gives.
func parseRules[K any](n name, s *source, l limits, cut func(line string) (pattern[K], error), result func(text string, p pattern[K]) (template, error)) (*rules[K], error) {
	t := &rules[K]{name: n, maxResult: l.maxResult}
	type open struct{ at, line int }
	var ifs []open
	for {
		line, ok, err := s.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if len(t.all) >= l.maxEntries {
			return nil, s.mistake("more than %d rules (tables.max_entries)", l.maxEntries)
		}
		if rest, is := keyword(line, "endif"); is {
			if rest != "" {
				s.warn("text behind endif is ignored")
			}
			if len(ifs) == 0 {
				return nil, s.mistake("endif without if")
			}
			t.all[ifs[len(ifs)-1].at].endif = len(t.all)
			ifs = ifs[:len(ifs)-1]
			continue
		}
		rest, isIf := keyword(line, "if")
		if isIf {
			line = rest
		}
		p, err := cut(line)
		if err != nil {
			return nil, s.mistake("%s", err)
		}
		r := rule[K]{test: p.test, negate: p.negate, isIf: isIf}
		switch {
		case isIf:
			if p.rest != "" {
				s.warn("text behind the pattern of an if is ignored")
			}
			ifs = append(ifs, open{len(t.all), s.line})
		case p.rest == "":
			return nil, s.mistake("the rule has no text behind its pattern")
		default:
			if r.result, err = result(p.rest, p); err != nil {
				return nil, s.mistake("%s", err)
			}
			t.quotes = t.quotes || slices.ContainsFunc(r.result, func(p templatePart) bool { return p.group > 0 })
		}
		t.all = append(t.all, r)
	}
	if len(ifs) > 0 {
		s.line = ifs[len(ifs)-1].line
		return nil, s.mistake("if without endif")
	}
	return t, nil
}

// keyword cuts a word off a line that it begins.
func keyword(line, word string) (rest string, is bool) {
	if len(line) < len(word) || !strings.EqualFold(line[:len(word)], word) {
		return "", false
	}
	rest = line[len(word):]
	if rest != "" && isAlnum(rest[0]) {
		return "", false
	}
	return strings.Trim(rest, blanks), true
}

func isAlnum(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// eachRules is after how many rules the context is looked at.
const eachRules = 64

func (t *rules[K]) lookup(ctx context.Context, text string) (string, error) {
	key, ok := t.keyOf(text)
	if !ok {
		return "", t.missing(text)
	}
	for i, n := 0, 0; i < len(t.all); n++ {
		if n%eachRules == eachRules-1 && ctx.Err() != nil {
			return "", t.unavailable(text, ctx.Err())
		}
		r := &t.all[i]
		groups, met, err := r.test(ctx, key)
		switch {
		case err != nil:
			return "", t.unavailable(text, err)
		case met == r.negate && r.isIf:
			i = r.endif
		case met == r.negate || r.isIf:
			i++
		default:
			result, err := r.result.expand(text, groups, t.maxResult)
			if err != nil {
				return "", t.misconfigured(text, err)
			}
			return result, nil
		}
	}
	return "", t.missing(text)
}

func (t *rules[K]) wantsWhole() bool { return true }

func (t *rules[K]) quotesKey() bool { return t.quotes }
