package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/identity"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mta/queue"
)

// Part is one of the three places where the data of an instance lies. They
// belong together: mail in the queue is for the mailboxes of the database, and
// the store's folders are theirs. So each carries the id of the instance, and
// only init and demo make one.
type Part struct {
	Name  string // as --new and --adopt call it
	What  string // in a sentence
	param string
	Path  string
	found identity.Found
	// temporary says that an error of inspect may pass; nil for one that never does.
	temporary func(error) bool
	// inspect looks at it, create makes it or what it lacks, with an id. With
	// adopt set it takes over what is somebody else's.
	inspect func(context.Context) (identity.Found, error)
	create  func(ctx context.Context, id identity.ID, adopt bool) error
}

// partNames are the names of the parts, in the order in which they are made:
// what is made last says that all is there.
var partNames = [...]string{"store", "queue", "database"}

// partsOf are the parts of a configuration, not looked at yet.
func partsOf(c *configs.Config) ([]*Part, error) {
	disk := vfs.OS{}
	store, mailQueue := c.Path(c.Store.Path), c.Path(QueueDir)
	row, err := directoryOf(c)
	if err != nil {
		return nil, c.Mistake("directory.type", err)
	}
	return []*Part{
		{
			Name: partNames[0], What: "the mail store", param: "store.path", Path: store,
			inspect: func(context.Context) (identity.Found, error) { return mailstore.Inspect(disk, store) },
			create: func(_ context.Context, id identity.ID, adopt bool) error {
				return mailstore.Create(disk, store, id, adopt)
			},
		},
		{
			Name: partNames[1], What: "the queue", param: "main.data_dir", Path: mailQueue,
			inspect: func(context.Context) (identity.Found, error) { return queue.Inspect(disk, mailQueue) },
			create:  func(_ context.Context, id identity.ID, _ bool) error { return queue.Create(disk, mailQueue, id) },
		},
		{
			Name: partNames[2], What: "the database", param: row.param, Path: row.place(c), temporary: row.temporary,
			inspect: func(ctx context.Context) (identity.Found, error) { return row.inspect(ctx, c) },
			create:  func(ctx context.Context, id identity.ID, _ bool) error { return row.create(ctx, c, id) },
		},
	}, nil
}

// StartPlan is what a start does about the parts: all of them are there.
type StartPlan struct {
	ID identity.ID
	// adopt are the parts that have no id yet and get this one.
	adopt []*Part
}

func (p StartPlan) adopts(name string) *Part {
	for _, a := range p.adopt {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// Adopted names the parts.
func (p StartPlan) Adopted() string {
	var names []string
	for _, a := range p.adopt {
		names = append(names, a.Name)
	}
	return strings.Join(names, " ")
}

// PlanStart looks at the parts and makes nothing. A part that is missing, or
// another instance's, is a mistake of the configuration: no restart mends it.
// Another error may pass.
func PlanStart(ctx context.Context, c *configs.Config) (StartPlan, error) {
	parts, err := partsOf(c)
	if err != nil {
		return StartPlan{}, err
	}
	for _, p := range parts {
		if p.found, err = p.inspect(ctx); err != nil {
			return StartPlan{}, p.mistake(ctx, c, err)
		}
	}
	plan, at, err := decideStart(identity.ID(c.Main.Instance), parts)
	if err != nil {
		return plan, &Usage{c.Mistake(at, err)}
	}
	return plan, nil
}

// mistake is what inspect says: one of usage, unless it may pass.
func (p *Part) mistake(ctx context.Context, c *configs.Config, err error) error {
	if ctx.Err() != nil || p.temporary != nil && p.temporary(err) {
		return c.Mistake(p.param, err)
	}
	return &Usage{c.Mistake(p.param, err)}
}

// decideStart is PlanStart after the looking. at is the parameter of a mistake.
func decideStart(configured identity.ID, parts []*Part) (plan StartPlan, at string, err error) {
	missing := having(parts, func(p *Part) bool { return p.found.State == identity.Absent })
	if len(missing) == len(parts) {
		return plan, "main.data_dir", fmt.Errorf("there is no instance yet: `toastmaster init` makes %s, %s and %s",
			parts[0].Path, parts[1].Path, parts[2].Path)
	}
	for _, p := range missing {
		return plan, p.param, fmt.Errorf("%s is missing: there is nothing in %s; mount its volume or restore it; if it is to be empty, `toastmaster init --new %s` makes it", p.What, p.Path, p.Name)
	}
	for _, p := range parts {
		if p.found.Lacks != "" {
			return plan, p.param, fmt.Errorf("%s has lost a part: %s is missing; mount its volume or restore it; if it is to be empty, `toastmaster init --new %s` makes it", p.What, p.found.Lacks, p.Name)
		}
	}
	plan.ID, at, err = agreed(configured, parts)
	if err != nil {
		return plan, at, err
	}
	marked := having(parts, func(p *Part) bool { return p.found.State == identity.Marked })
	adopting := having(parts, func(p *Part) bool { return p.found.State == identity.Adopting })
	plan.adopt = having(parts, func(p *Part) bool { return p.found.State != identity.Marked })
	for _, p := range plan.adopt {
		if p.found.State == identity.Unmarked && len(marked) > 0 && len(adopting) == 0 {
			return plan, p.param, fmt.Errorf("%s, %s, has no instance id, and %s has one: is it of this instance? `toastmaster init --adopt %s` gives it the id", p.What, p.Path, marked[0].What, p.Name)
		}
	}
	if plan.ID == "" {
		plan.ID = identity.New()
	}
	return plan, "", nil
}

// agreed is the one id that the configuration and the parts have, "" for none.
func agreed(configured identity.ID, parts []*Part) (id identity.ID, at string, err error) {
	id, by := configured, "main.instance"
	for _, p := range parts {
		switch {
		case p.found.ID == "":
		case id == "":
			id, by = p.found.ID, p.What
		case p.found.ID != id:
			return "", p.param, fmt.Errorf("%s, %s, belongs to another instance: its id is %s, and %s has %s; mount or restore the right one, or make it this instance's with `toastmaster init --adopt %s`", p.What, p.Path, p.found.ID, by, id, p.Name)
		}
	}
	return id, "", nil
}

func having(parts []*Part, is func(*Part) bool) (out []*Part) {
	for _, p := range parts {
		if is(p) {
			out = append(out, p)
		}
	}
	return out
}

// identify finds out which instance this is and, for one that is older than
// ids, notes that all its parts are to have one. Each gets it when it is opened.
func (i *Instance) identify(ctx context.Context) error {
	plan, err := PlanStart(ctx, i.config)
	if err != nil {
		return err
	}
	i.plan = plan
	if len(plan.adopt) == 0 {
		return nil
	}
	i.log.Warn("instance", "status", "adopted", "id", string(plan.ID), "parts", plan.Adopted(),
		"cause", "what was here had no instance id; main.instance may name it now")
	if plan.adopts("queue") != nil {
		return identity.Intend(i.fs, i.config.Path(QueueDir), plan.ID)
	}
	return nil
}

// adopt gives a part the id, if it is to get it.
func (i *Instance) adopt(ctx context.Context, name string) error {
	if p := i.plan.adopts(name); p != nil {
		return p.create(ctx, i.plan.ID, false)
	}
	return nil
}

// PartsOptions are what init may do about the parts: both name parts.
type PartsOptions struct{ Fresh, Adopt []string }

func (o PartsOptions) check() error {
	for _, name := range slices.Concat(o.Fresh, o.Adopt) {
		if !slices.Contains(partNames[:], name) {
			return Usagef("%q is no part of an instance (parts: %s)", name, strings.Join(partNames[:], ", "))
		}
	}
	return nil
}

// MakeParts makes what is missing of an instance whose configuration is there, and
// gives what is there its id. Root does it as the user whose the instance is, and
// stays that user.
func MakeParts(ctx context.Context, c *configs.Config, o PartsOptions) (identity.ID, []*Part, error) {
	who := c.Main.User
	if who == "" {
		who, _ = ownerOf(c)
	}
	if err := becomeOwner(who, ""); err != nil {
		return "", nil, err
	}
	return makeParts(ctx, c, o)
}

// makeParts makes what is missing, and gives what is there the id of the
// instance. It returns that and the parts it changed. While anything that is
// there may have been used, something else is only made, or taken over, when
// its name was given.
func makeParts(ctx context.Context, c *configs.Config, o PartsOptions) (identity.ID, []*Part, error) {
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
		return "", nil, &Usage{c.Mistake(at, err)}
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
			return "", nil, &Usage{c.Mistake(p.param, fmt.Errorf("%s, %s, is not whole, and %s is in use: mount its volume or restore it; if it is to be empty, add --new %s", p.What, orPath(f.Lacks, p.Path), used[0].What, p.Name))}
		case f.State == identity.Unmarked && len(marked) > 0 && !adopt:
			return "", nil, &Usage{c.Mistake(p.param, fmt.Errorf("%s, %s, has no instance id, and %s has one: if it is of this instance, add --adopt %s", p.What, p.Path, marked[0].What, p.Name))}
		case f.State != identity.Absent && f.Lacks == "" && fresh:
			return "", nil, &Usage{c.Mistake(p.param, fmt.Errorf("%s, %s, is there; --new makes what is missing, and removes nothing", p.What, p.Path))}
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
