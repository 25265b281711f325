package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

// Limits bound an expansion.
type Limits struct {
	// Depth is how many aliases may point to one another in a row.
	Depth int
	// Addresses is how many addresses may come out.
	Addresses int
	// Virtual is asked before the aliases of the directory, nil for nothing more than these.
	Virtual Virtual
}

// Virtual says what an address stands for by the tables of cleanup.virtual_alias_maps, in one step; nothing is found for
// one that they do not have. The error is a *dsn.Error: there was no answer, or none that makes sense.
type Virtual func(ctx context.Context, a addr.Address) (targets []addr.Address, found bool, err error)

// LimitsOf are those of a configuration.
func LimitsOf(c configs.Cleanup) Limits {
	return Limits{Depth: c.AliasDepthLimit, Addresses: c.AliasExpandLimit}
}

// LoopError is aliases that lead to themselves.
type LoopError struct {
	// Path begins and ends with the same alias. Catch-alls have no Local.
	Path []addr.Address
}

// Error is for the log and for administrators: it names every alias.
func (e *LoopError) Error() string {
	names := make([]string, len(e.Path))
	for i, a := range e.Path {
		names[i] = a.String()
	}
	return "aliases lead to themselves: " + strings.Join(names, " -> ")
}

// TooLargeError is an expansion beyond its Limits.
type TooLargeError struct{ text string }

// Error is for the log and for administrators.
func (e *TooLargeError) Error() string { return e.text }

// Expand appends to out the addresses that a stands for when no alias is left
// to follow, each once and in the order of the targets: a itself when it is no
// alias. Those in alias domains become those of the real domain. What is found
// nowhere stays, and so do addresses of other hosts.
//
// An alias that names itself ends there, and the address is among the results
// (Postfix virtual(5)): it is what it is beside the alias. For a catch-all of the directory that
// leads to itself there is nothing beside it, so it is a loop.
//
// What Limits.Virtual has for an address comes before an alias of the directory, as if both were one list of
// tables: there is one expansion, with one limit.
//
// The error is a *dsn.Error: 5.4.6 with a *LoopError as its cause, 4.3.5 with a
// *TooLargeError, or DSN when the directory could not say. out is then returned
// as it was.
func Expand(ctx context.Context, d *Directory, a addr.Address, l Limits, out []addr.Address) ([]addr.Address, error) {
	e := expansion{d: d, limits: l, out: out, given: len(out)}
	if err := e.resolve(ctx, a); err != nil {
		return out, err
	}
	return e.out, nil
}

// IsUnexpandable says that an error of Expand is the alias's own, and will be the same the next time.
func IsUnexpandable(err error) bool {
	var loop *LoopError
	var large *TooLargeError
	return errors.As(err, &loop) || errors.As(err, &large)
}

// expansion is the work on one address.
type expansion struct {
	d      *Directory
	limits Limits
	out    []addr.Address
	given  int                   // of out, what the caller had in it
	seen   map[addr.Address]bool // folded results; nil until there are two
	path   []above               // the aliases above the present address
	asked  int
}

// above is an alias that is being followed.
type above struct {
	Recipient
	// virtual: Limits.Virtual has it, by its whole address.
	virtual bool
}

func (e *expansion) resolve(ctx context.Context, a addr.Address) error {
	if e.limits.Virtual != nil {
		targets, found, err := e.limits.Virtual(ctx, a)
		switch {
		case err != nil:
			return err
		case found:
			return e.enter(ctx, a, above{Recipient{Kind: KindAlias, Matched: a.Fold(), Targets: targets}, true})
		}
	}
	domain, found, err := e.d.resolve(ctx, a)
	switch {
	case OutcomeOf(err) == NotFound:
		return e.add(a)
	case err != nil:
		return DSN(err)
	}
	if domain.AliasOf != "" {
		a = a.WithDomain(domain.AliasOf)
	}
	if found.Kind != KindAlias {
		return e.add(a)
	}
	return e.enter(ctx, a, above{Recipient: found})
}

// enter follows an alias that a was found to be, or decides what it is the second time.
func (e *expansion) enter(ctx context.Context, a addr.Address, found above) error {
	for i := range e.path {
		if e.path[i].Matched == found.Matched && e.path[i].virtual == found.virtual {
			return e.again(ctx, a, i)
		}
	}
	return e.follow(ctx, found)
}

// follow goes on with the targets of an alias.
func (e *expansion) follow(ctx context.Context, found above) error {
	if len(e.path) >= e.limits.Depth {
		return tooLarge("aliases nested deeper than %d at %s", e.limits.Depth, found.Matched)
	}
	// Targets that lead to the same address are asked again and again; this
	// bounds the work where the limit of addresses does not.
	if e.asked += len(found.Targets); e.asked > 10*e.limits.Addresses {
		return tooLarge("more than %d alias targets at %s", 10*e.limits.Addresses, found.Matched)
	}
	e.path = append(e.path, found)
	for _, target := range found.Targets {
		if err := e.resolve(ctx, target); err != nil {
			return err
		}
	}
	e.path = e.path[:len(e.path)-1]
	return nil
}

// again decides about a, which is the alias e.path[i] for the second time.
func (e *expansion) again(ctx context.Context, a addr.Address, i int) error {
	if i == len(e.path)-1 && e.path[i].Matched.Local != "" {
		return e.end(ctx, a, e.path[i])
	}
	// Two that forward to one another are no loop when one of them keeps a
	// copy: the second time round it would end there, with nothing new.
	loop := &LoopError{}
	for _, r := range e.path[i:] {
		ends, err := e.namesItself(ctx, r)
		if err != nil || ends {
			return err
		}
		loop.Path = append(loop.Path, r.Matched)
	}
	loop.Path = append(loop.Path, e.path[i].Matched)
	return dsn.Wrap(dsn.LoopDetected, "Alias loop", loop)
}

// end adds an address that an alias has named as itself.
func (e *expansion) end(ctx context.Context, a addr.Address, alias above) error {
	if alias.virtual { // which knows nothing of alias domains
		switch domain, err := e.d.Domain(ctx, a.Domain); {
		case err != nil && OutcomeOf(err) != NotFound:
			return DSN(err)
		case err == nil && domain.AliasOf != "":
			a = a.WithDomain(domain.AliasOf)
		}
	}
	return e.add(a)
}

// namesItself says whether the alias is among its own targets, which may be in
// an alias domain.
func (e *expansion) namesItself(ctx context.Context, alias above) (bool, error) {
	if alias.Matched.Local == "" {
		return false, nil
	}
	for _, target := range alias.Targets {
		if alias.virtual {
			if target.Equal(alias.Matched) {
				return true, nil
			}
			continue
		}
		found, err := e.d.Recipient(ctx, target)
		switch {
		case err != nil && OutcomeOf(err) != NotFound:
			return false, DSN(err)
		case err == nil && found.Matched == alias.Matched:
			return true, nil
		}
	}
	return false, nil
}

// add notes a result, once.
func (e *expansion) add(a addr.Address) error {
	if len(e.out) == e.given {
		e.out = append(e.out, a)
		return nil
	}
	if e.seen == nil {
		e.seen = map[addr.Address]bool{e.out[e.given].Fold(): true}
	}
	key := a.Fold()
	if e.seen[key] {
		return nil
	}
	if len(e.out)-e.given >= e.limits.Addresses {
		return tooLarge("more than %d addresses", e.limits.Addresses)
	}
	e.seen[key] = true
	e.out = append(e.out, a)
	return nil
}

func tooLarge(format string, args ...any) error {
	return dsn.Wrap(dsn.Misconfigured, "Alias expansion error", &TooLargeError{fmt.Sprintf(format, args...)})
}
