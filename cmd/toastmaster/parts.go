package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"toastmaster/configs"
	"toastmaster/directory/sql"
	"toastmaster/internal/identity"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/migrations"
	"toastmaster/mta/queue"
)

// part is one of the three places where the data of an instance lies. They
// belong together: mail in the queue is for the mailboxes of the database, and
// the store's folders are theirs. So each carries the id of the instance, and
// only init and demo make one.
type part struct {
	name  string // as --new and --adopt call it
	what  string // in a sentence
	param string
	path  string
	found identity.Found
	// inspect looks at it, create makes it or what it lacks, with an id. With
	// adopt set it takes over what is somebody else's.
	inspect func(context.Context) (identity.Found, error)
	create  func(ctx context.Context, id identity.ID, adopt bool) error
}

// partNames are the names of the parts, in the order in which they are made:
// what is made last says that all is there.
var partNames = [...]string{"store", "queue", "database"}

// partsOf are the parts of a configuration, not looked at yet.
func partsOf(c *configs.Config) []*part {
	disk := vfs.OS{}
	store, mailQueue, database := c.Path(c.Store.Path), c.Path(queueDir), c.Path(c.Directory.Path)
	return []*part{
		{
			name: partNames[0], what: "the mail store", param: "store.path", path: store,
			inspect: func(context.Context) (identity.Found, error) { return mailstore.Inspect(disk, store) },
			create: func(_ context.Context, id identity.ID, adopt bool) error {
				return mailstore.Create(disk, store, id, adopt)
			},
		},
		{
			name: partNames[1], what: "the queue", param: "main.data_dir", path: mailQueue,
			inspect: func(context.Context) (identity.Found, error) { return queue.Inspect(disk, mailQueue) },
			create:  func(_ context.Context, id identity.ID, _ bool) error { return queue.Create(disk, mailQueue, id) },
		},
		{
			name: partNames[2], what: "the database", param: "directory.path", path: database,
			inspect: func(ctx context.Context) (identity.Found, error) { return inspectDatabase(ctx, c) },
			create:  func(ctx context.Context, id identity.ID, _ bool) error { return createDatabase(ctx, c, id) },
		},
	}
}

// inspectDatabase refuses one of a later version of this program, too.
func inspectDatabase(ctx context.Context, c *configs.Config) (identity.Found, error) {
	path := c.Path(c.Directory.Path)
	found, err := sql.Inspect(ctx, path, c.Directory)
	if err != nil || found.State == identity.Absent {
		return found, err
	}
	r, err := sql.OpenReader(path, c.Directory)
	if err != nil {
		return found, err
	}
	err = errors.Join(migrations.Known(ctx, r), r.Close())
	return found, err
}

// createDatabase makes a database, or brings the one that is there up to date.
func createDatabase(ctx context.Context, c *configs.Config, id identity.ID) (err error) {
	path := c.Path(c.Directory.Path)
	if err := sql.Create(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	w, err := sql.OpenWriter(ctx, path, c.Directory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := migrations.Up(ctx, w); err != nil {
		return err
	}
	return sql.SetInstance(ctx, w, id)
}

// startPlan is what a start does about the parts: all of them are there.
type startPlan struct {
	id identity.ID
	// adopt are the parts that have no id yet and get this one.
	adopt []*part
}

func (p startPlan) adopts(name string) *part {
	for _, a := range p.adopt {
		if a.name == name {
			return a
		}
	}
	return nil
}

// adopted names the parts.
func (p startPlan) adopted() string {
	var names []string
	for _, a := range p.adopt {
		names = append(names, a.name)
	}
	return strings.Join(names, " ")
}

// planStart looks at the parts and makes nothing. A part that is missing, or
// another instance's, is a mistake of the configuration: no restart mends it.
// Another error may pass.
func planStart(ctx context.Context, c *configs.Config) (startPlan, error) {
	parts := partsOf(c)
	for _, p := range parts {
		var err error
		if p.found, err = p.inspect(ctx); err != nil {
			return startPlan{}, p.mistake(ctx, c, err)
		}
	}
	plan, at, err := decideStart(identity.ID(c.Main.Instance), parts)
	if err != nil {
		return plan, &usage{c.Mistake(at, err)}
	}
	return plan, nil
}

// mistake is what inspect says: one of usage, unless it may pass.
func (p *part) mistake(ctx context.Context, c *configs.Config, err error) error {
	if ctx.Err() != nil || sql.Temporary(err) {
		return c.Mistake(p.param, err)
	}
	return &usage{c.Mistake(p.param, err)}
}

// decideStart is planStart after the looking. at is the parameter of a mistake.
func decideStart(configured identity.ID, parts []*part) (plan startPlan, at string, err error) {
	missing := having(parts, func(p *part) bool { return p.found.State == identity.Absent })
	if len(missing) == len(parts) {
		return plan, "main.data_dir", fmt.Errorf("there is no instance yet: `toastmaster init` makes %s, %s and %s",
			parts[0].path, parts[1].path, parts[2].path)
	}
	for _, p := range missing {
		return plan, p.param, fmt.Errorf("%s is missing: there is nothing in %s; mount its volume or restore it; if it is to be empty, `toastmaster init --new %s` makes it", p.what, p.path, p.name)
	}
	for _, p := range parts {
		if p.found.Lacks != "" {
			return plan, p.param, fmt.Errorf("%s has lost a part: %s is missing; mount its volume or restore it; if it is to be empty, `toastmaster init --new %s` makes it", p.what, p.found.Lacks, p.name)
		}
	}
	plan.id, at, err = agreed(configured, parts)
	if err != nil {
		return plan, at, err
	}
	marked := having(parts, func(p *part) bool { return p.found.State == identity.Marked })
	adopting := having(parts, func(p *part) bool { return p.found.State == identity.Adopting })
	plan.adopt = having(parts, func(p *part) bool { return p.found.State != identity.Marked })
	for _, p := range plan.adopt {
		if p.found.State == identity.Unmarked && len(marked) > 0 && len(adopting) == 0 {
			return plan, p.param, fmt.Errorf("%s, %s, has no instance id, and %s has one: is it of this instance? `toastmaster init --adopt %s` gives it the id", p.what, p.path, marked[0].what, p.name)
		}
	}
	if plan.id == "" {
		plan.id = identity.New()
	}
	return plan, "", nil
}

// agreed is the one id that the configuration and the parts have, "" for none.
func agreed(configured identity.ID, parts []*part) (id identity.ID, at string, err error) {
	id, by := configured, "main.instance"
	for _, p := range parts {
		switch {
		case p.found.ID == "":
		case id == "":
			id, by = p.found.ID, p.what
		case p.found.ID != id:
			return "", p.param, fmt.Errorf("%s, %s, belongs to another instance: its id is %s, and %s has %s; mount or restore the right one, or make it this instance's with `toastmaster init --adopt %s`", p.what, p.path, p.found.ID, by, id, p.name)
		}
	}
	return id, "", nil
}

func having(parts []*part, is func(*part) bool) (out []*part) {
	for _, p := range parts {
		if is(p) {
			out = append(out, p)
		}
	}
	return out
}

// identify finds out which instance this is and, for one that is older than
// ids, notes that all its parts are to have one. Each gets it when it is opened.
func (i *instance) identify(ctx context.Context) error {
	plan, err := planStart(ctx, i.config)
	if err != nil {
		return err
	}
	i.plan = plan
	if len(plan.adopt) == 0 {
		return nil
	}
	i.log.Warn("instance", "status", "adopted", "id", string(plan.id), "parts", plan.adopted(),
		"cause", "what was here had no instance id; main.instance may name it now")
	if plan.adopts("queue") != nil {
		return identity.Intend(i.fs, i.config.Path(queueDir), plan.id)
	}
	return nil
}

// adopt gives a part the id, if it is to get it.
func (i *instance) adopt(ctx context.Context, name string) error {
	if p := i.plan.adopts(name); p != nil {
		return p.create(ctx, i.plan.id, false)
	}
	return nil
}

// partsOptions are what init may do about the parts: both name parts.
type partsOptions struct{ fresh, adopt []string }

func (o partsOptions) check() error {
	for _, name := range slices.Concat(o.fresh, o.adopt) {
		if !slices.Contains(partNames[:], name) {
			return usageError("%q is no part of an instance (parts: %s)", name, strings.Join(partNames[:], ", "))
		}
	}
	return nil
}

// makeParts makes what is missing, and gives what is there the id of the
// instance. It returns that and the parts it changed. While anything that is
// there may have been used, something else is only made, or taken over, when
// its name was given.
func makeParts(ctx context.Context, c *configs.Config, o partsOptions) (identity.ID, []*part, error) {
	if err := o.check(); err != nil {
		return "", nil, err
	}
	parts := partsOf(c)
	foreign := map[*part]bool{}
	for _, p := range parts {
		var err error
		p.found, err = p.inspect(ctx)
		if errors.Is(err, mailstore.ErrForeign) && slices.Contains(o.adopt, p.name) {
			foreign[p], err = true, nil
		}
		if err != nil {
			return "", nil, p.mistake(ctx, c, err)
		}
	}
	kept := having(parts, func(p *part) bool { return !slices.Contains(o.adopt, p.name) })
	id, at, err := agreed(identity.ID(c.Main.Instance), kept)
	if err != nil {
		return "", nil, &usage{c.Mistake(at, err)}
	}
	if id == "" {
		// All that has an id is to be adopted: it may keep it if it is one.
		if id, _, err = agreed("", parts); err != nil || id == "" {
			id = identity.New()
		}
	}
	used := having(parts, func(p *part) bool { return p.found.Used })
	marked := having(kept, func(p *part) bool { return p.found.State == identity.Marked })
	var change []*part
	for _, p := range parts {
		fresh, adopt := slices.Contains(o.fresh, p.name), slices.Contains(o.adopt, p.name)
		f := p.found
		switch {
		case (f.State == identity.Absent && !foreign[p] || f.Lacks != "") && len(used) > 0 && !fresh:
			return "", nil, &usage{c.Mistake(p.param, fmt.Errorf("%s, %s, is not whole, and %s is in use: mount its volume or restore it; if it is to be empty, add --new %s", p.what, orPath(f.Lacks, p.path), used[0].what, p.name))}
		case f.State == identity.Unmarked && len(marked) > 0 && !adopt:
			return "", nil, &usage{c.Mistake(p.param, fmt.Errorf("%s, %s, has no instance id, and %s has one: if it is of this instance, add --adopt %s", p.what, p.path, marked[0].what, p.name))}
		case f.State != identity.Absent && f.Lacks == "" && fresh:
			return "", nil, &usage{c.Mistake(p.param, fmt.Errorf("%s, %s, is there; --new makes what is missing, and removes nothing", p.what, p.path))}
		case f.State != identity.Marked || f.ID != id || f.Lacks != "":
			change = append(change, p)
		}
	}
	if err := os.MkdirAll(c.Dir(), 0o700); err != nil {
		return "", nil, err
	}
	for _, p := range change {
		if err := p.create(ctx, id, foreign[p]); err != nil {
			return "", nil, fmt.Errorf("%s: %w", p.what, err)
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
