package parts

import (
	"context"
	"fmt"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/identity"
	"toastmaster/internal/run/usage"
)

// Startup is what a start does about the parts: all of them are there.
type Startup struct {
	ID identity.ID
	// adopt are the parts that have no id yet and get this one.
	adopt []*Part
}

// Adopts says that a part gets the id.
func (p Startup) Adopts(name string) bool { return p.adopts(name) != nil }

// Adopt gives a part the id, if it is to get it.
func (p Startup) Adopt(ctx context.Context, name string) error {
	if a := p.adopts(name); a != nil {
		return a.create(ctx, p.ID, false)
	}
	return nil
}

func (p Startup) adopts(name string) *Part {
	for _, a := range p.adopt {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// Adopted names the parts that get the id, "" for none.
func (p Startup) Adopted() string {
	var names []string
	for _, a := range p.adopt {
		names = append(names, a.Name)
	}
	return strings.Join(names, " ")
}

// Look looks at the parts and makes nothing. A part that is missing, or
// another instance's, is a mistake of the configuration: no restart mends it.
// Another error may pass.
func Look(ctx context.Context, c *configs.Config) (Startup, error) {
	return LookWithout(ctx, c, "")
}

// LookWithout is Look for a process that has no use for the part of a name, and may not look at it.
func LookWithout(ctx context.Context, c *configs.Config, part string) (Startup, error) {
	parts, err := partsOf(c)
	if err != nil {
		return Startup{}, err
	}
	parts = having(parts, func(p *Part) bool { return p.Name != part })
	for _, p := range parts {
		if p.found, err = p.inspect(ctx); err != nil {
			return Startup{}, p.mistake(ctx, c, err)
		}
	}
	plan, at, err := decideStart(identity.ID(c.Main.Instance), parts)
	if err != nil {
		return plan, usage.New(c.Mistake(at, err))
	}
	return plan, nil
}

// decideStart is Look after the looking. at is the parameter of a mistake.
func decideStart(configured identity.ID, parts []*Part) (plan Startup, at string, err error) {
	missing := having(parts, func(p *Part) bool { return p.found.State == identity.Absent })
	if len(missing) == len(parts) {
		var paths []string
		for _, p := range parts {
			paths = append(paths, p.Path)
		}
		last := len(paths) - 1
		return plan, "main.data_dir", fmt.Errorf("there is no instance yet: `toastmaster init` makes %s and %s", strings.Join(paths[:last], ", "), paths[last])
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
