package parts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/identity"
	"toastmaster/internal/run/rights"
	"toastmaster/internal/run/usage"
	"toastmaster/mailstore"
)

// Options are what init may do about the parts: both name parts.
type Options struct{ Fresh, Adopt []string }

func (o Options) check() error {
	for _, name := range slices.Concat(o.Fresh, o.Adopt) {
		if !slices.Contains(partNames[:], name) {
			return usage.Errorf("%q is no part of an instance (parts: %s)", name, strings.Join(partNames[:], ", "))
		}
	}
	return nil
}

// Make makes what is missing of an instance whose configuration is there, and
// gives what is there its id. Root does it as the user whose the instance is, and
// stays that user.
func Make(ctx context.Context, c *configs.Config, o Options) (identity.ID, []*Part, error) {
	who := c.Main.User
	if who == "" {
		who, _ = rights.OwnerOf(c)
	}
	if len(c.Master.RoleUsers) == 0 {
		if err := rights.BecomeOwner(who, ""); err != nil {
			return "", nil, err
		}
	}
	return MakeMissing(ctx, c, o)
}

// MakeMissing makes what is missing, and gives what is there the id of the
// instance. It returns that and the parts it changed. While anything that is
// there may have been used, something else is only made, or taken over, when
// its name was given.
func MakeMissing(ctx context.Context, c *configs.Config, o Options) (identity.ID, []*Part, error) {
	if err := o.check(); err != nil {
		return "", nil, err
	}
	parts, err := partsOf(c)
	if err != nil {
		return "", nil, err
	}
	foreign := map[*Part]bool{}
	for _, p := range parts {
		p.found, err = p.inspect(ctx)
		if errors.Is(err, mailstore.ErrForeign) && slices.Contains(o.Adopt, p.Name) {
			foreign[p], err = true, nil
		}
		if err != nil {
			return "", nil, p.mistake(ctx, c, err)
		}
	}
	kept := having(parts, func(p *Part) bool { return !slices.Contains(o.Adopt, p.Name) })
	id, at, err := agreed(identity.ID(c.Main.Instance), kept)
	if err != nil {
		return "", nil, usage.New(c.Mistake(at, err))
	}
	if id == "" {
		// All that has an id is to be adopted: it may keep it if it is one.
		if id, _, err = agreed("", parts); err != nil || id == "" {
			id = identity.New()
		}
	}
	used := having(parts, func(p *Part) bool { return p.found.Used })
	marked := having(kept, func(p *Part) bool { return p.found.State == identity.Marked })
	var change []*Part
	for _, p := range parts {
		fresh, adopt := slices.Contains(o.Fresh, p.Name), slices.Contains(o.Adopt, p.Name)
		f := p.found
		switch {
		case (f.State == identity.Absent && !foreign[p] || f.Lacks != "") && len(used) > 0 && !fresh:
			return "", nil, usage.New(c.Mistake(p.param, fmt.Errorf("%s, %s, is not whole, and %s is in use: mount its volume or restore it; if it is to be empty, add --new %s", p.What, orPath(f.Lacks, p.Path), used[0].What, p.Name)))
		case f.State == identity.Unmarked && len(marked) > 0 && !adopt:
			return "", nil, usage.New(c.Mistake(p.param, fmt.Errorf("%s, %s, has no instance id, and %s has one: if it is of this instance, add --adopt %s", p.What, p.Path, marked[0].What, p.Name)))
		case f.State != identity.Absent && f.Lacks == "" && fresh:
			return "", nil, usage.New(c.Mistake(p.param, fmt.Errorf("%s, %s, is there; --new makes what is missing, and removes nothing", p.What, p.Path)))
		case f.State != identity.Marked || f.ID != id || f.Lacks != "":
			change = append(change, p)
		}
	}
	if err := os.MkdirAll(c.Dir(), 0o700); err != nil {
		return "", nil, err
	}
	for _, p := range change {
		if err := p.create(ctx, id, foreign[p]); err != nil {
			return "", nil, fmt.Errorf("%s: %w", p.What, err)
		}
	}
	return id, change, nil
}

func orPath(lacks, path string) string {
	if lacks != "" {
		return lacks
	}
	return path
}
