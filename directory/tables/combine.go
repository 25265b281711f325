package tables

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"toastmaster/directory"
)

// several is what unionmap and pipemap share.
type several struct {
	name
	members []Table
	most    int
}

// open opens the tables of "{type:argument, ...}". A pair of braces around one lets
// its argument have white space.
func openSeveral(ctx context.Context, s *Set, n name, argument string) (several, error) {
	names, err := list(argument)
	if err != nil {
		return several{}, err
	}
	t := several{n, nil, s.limits.maxResult}
	for _, one := range names {
		if strings.HasPrefix(one, "{") {
			if one, err = unbrace(one); err != nil {
				return several{}, err
			}
		}
		member, err := s.open(ctx, one)
		if err != nil {
			return several{}, err
		}
		t.members = append(t.members, member)
	}
	return t, nil
}

// wantsWhole: a member that looks at the whole key makes parts of it meaningless.
func (t several) wantsWhole() bool { return slices.ContainsFunc(t.members, WantsWhole) }

func (t several) quotesKey() bool { return slices.ContainsFunc(t.members, QuotesKey) }

// tooLong is the answer for a text that the limits do not allow.
func (t several) tooLong(key string) error {
	return t.misconfigured(key, fmt.Errorf("the text is longer than %d octets (tables.max_result)", t.most))
}

// unionmap gives what all its tables have, with commas between.
type unionmap struct{ several }

func openUnionmap(ctx context.Context, s *Set, n name, argument string) (Table, error) {
	t, err := openSeveral(ctx, s, n, argument)
	return unionmap{t}, err
}

func (t unionmap) Lookup(ctx context.Context, key string) (string, error) {
	var found []string
	length := 0
	for _, m := range t.members {
		text, err := m.Lookup(ctx, key)
		switch {
		case err == nil && text == "":
			return "", t.misconfigured(key, errors.New("table "+Name(m)+": "+errEmptyText.Error()))
		case err == nil:
			found = append(found, text)
		case directory.OutcomeOf(err) != directory.NotFound:
			return "", err
		}
		if length += len(text) + 1; length > t.most+1 {
			return "", t.tooLong(key)
		}
	}
	if len(found) == 0 {
		return "", t.missing(key)
	}
	return strings.Join(found, ","), nil
}

// pipemap asks each table for what the one before it has said.
type pipemap struct{ several }

func openPipemap(ctx context.Context, s *Set, n name, argument string) (Table, error) {
	t, err := openSeveral(ctx, s, n, argument)
	return pipemap{t}, err
}

func (t pipemap) Lookup(ctx context.Context, key string) (string, error) {
	text := key
	for _, m := range t.members {
		next, err := m.Lookup(ctx, text)
		switch {
		case err == nil && next == "":
			return "", t.misconfigured(key, errors.New("table "+Name(m)+": "+errEmptyText.Error()))
		case directory.OutcomeOf(err) == directory.NotFound:
			return "", t.missing(key)
		case err != nil:
			return "", err
		}
		text = next
	}
	return text, nil
}
