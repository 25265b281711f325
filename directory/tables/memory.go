package tables

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
)

// static has one text for every key.
type static struct {
	name
	text string
}

func openStatic(_ context.Context, s *Set, n name, argument string) (Table, error) {
	text := argument
	if strings.HasPrefix(text, "{") {
		var err error
		if text, err = unbrace(text); err != nil {
			return nil, err
		}
	}
	if len(text) > s.limits.maxResult {
		return nil, fmt.Errorf("the text is longer than %d octets (tables.max_result)", s.limits.maxResult)
	}
	return static{n, text}, nil
}

func (t static) Lookup(_ context.Context, key string) (string, error) {
	if key == "" {
		return "", t.missing(key)
	}
	return t.text, nil
}

// openInline is a text map whose entries stand in its name.
func openInline(_ context.Context, s *Set, n name, argument string) (Table, error) {
	pairs, err := list(argument)
	if err != nil {
		return nil, err
	}
	t := &textMap{name: n, keepCase: s.limits.keepCase, entries: map[string]string{}}
	for _, pair := range pairs {
		if strings.HasPrefix(pair, "{") {
			if pair, err = unbrace(pair); err != nil {
				return nil, err
			}
		}
		key, text, ok := strings.Cut(pair, "=")
		key, text = strings.Trim(key, blanks), strings.Trim(text, blanks)
		switch {
		case !ok || key == "":
			return nil, fmt.Errorf("%q is not key = text", brief(pair))
		case len(text) > s.limits.maxResult:
			return nil, fmt.Errorf("the text of %q is longer than %d octets (tables.max_result)", brief(key), s.limits.maxResult)
		}
		if !t.keepCase {
			key = fold(key)
		}
		if _, twice := t.entries[key]; twice {
			s.warn(&Mistake{File: string(n), Text: fmt.Sprintf("duplicate entry %q: the first counts", brief(key))})
			continue
		}
		t.entries[key] = text
	}
	return memory{t}, nil
}

// memory is a table whose content never changes.
type memory struct{ *textMap }

func (t memory) Lookup(ctx context.Context, key string) (string, error) { return t.lookup(ctx, key) }

// fail can never answer.
type fail struct{ name }

func openFail(_ context.Context, _ *Set, n name, _ string) (Table, error) { return fail{n}, nil }

func (t fail) Lookup(_ context.Context, key string) (string, error) {
	return "", t.unavailable(key, errors.New("a table of type fail has no other answer"))
}

func (fail) wantsWhole() bool { return true }

// environ has the variables of the process.
type environ struct {
	name
	keepCase bool
}

func openEnviron(_ context.Context, s *Set, n name, _ string) (Table, error) {
	return environ{n, s.limits.keepCase}, nil
}

func (t environ) Lookup(_ context.Context, key string) (string, error) {
	folded := key
	if !t.keepCase {
		folded = fold(key)
	}
	if text, ok := os.LookupEnv(folded); ok && key != "" {
		return text, nil
	}
	return "", t.missing(key)
}

// List is Lister's.
func (t environ) List(yield func(key, text string) bool) {
	for _, pair := range os.Environ() {
		key, text, _ := strings.Cut(pair, "=")
		if !yield(key, text) {
			return
		}
	}
}

// randmap has one of its texts, whatever is asked.
type randmap struct {
	name
	texts []string
}

func openRandmap(_ context.Context, s *Set, n name, argument string) (Table, error) {
	texts, err := list(argument)
	if err != nil {
		return nil, err
	}
	for i, t := range texts {
		if strings.HasPrefix(t, "{") {
			if texts[i], err = unbrace(t); err != nil {
				return nil, err
			}
		}
		if len(texts[i]) > s.limits.maxResult {
			return nil, fmt.Errorf("a text is longer than %d octets (tables.max_result)", s.limits.maxResult)
		}
	}
	return randmap{n, texts}, nil
}

func (t randmap) Lookup(_ context.Context, key string) (string, error) {
	if key == "" {
		return "", t.missing(key)
	}
	return t.texts[rand.IntN(len(t.texts))], nil
}

func (randmap) wantsWhole() bool { return true }
