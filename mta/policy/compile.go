package policy

import (
	"fmt"
	"slices"
	"strings"

	"toastmaster/configs"
)

// Mistake is an error in a list of the configuration.
type Mistake struct {
	// Param is the parameter, Item the place in its list, or -1 for the whole.
	Param string
	Item  int
	Err   error
}

// Error is for the operator.
func (m *Mistake) Error() string { return m.Param + ": " + m.Err.Error() }

// Unwrap gives the mistake itself.
func (m *Mistake) Unwrap() error { return m.Err }

// Compile makes a list of the names of restrictions. The error is a *Mistake
// without Param.
func Compile(s Stage, names []string, e *Env) (List, error) { return compile(rows(), s, names, e) }

func compile(table []row, s Stage, names []string, e *Env) (List, error) {
	checks := make([]Check, 0, len(names))
	for i, name := range names {
		at := slices.IndexFunc(table, func(r row) bool { return r.name == name })
		switch {
		case at < 0:
			return List{}, &Mistake{Item: i, Err: unknownName(table, s, name)}
		case !table[at].stages.has(s):
			return List{}, &Mistake{Item: i, Err: fmt.Errorf("%s cannot be asked here, before what it is about is known (allowed: %s)", name, strings.Join(namesFor(table, s), ", "))}
		}
		checks = append(checks, table[at].make(s, e))
	}
	return NewList(checks...), nil
}

// unknownName is the error about a name that no restriction has.
func unknownName(table []row, s Stage, name string) error {
	names := namesFor(table, s)
	if near := configs.NearestName(name, names); near != "" {
		return fmt.Errorf("unknown restriction %q, did you mean %s?", name, near)
	}
	return fmt.Errorf("unknown restriction %q (allowed: %s)", name, strings.Join(names, ", "))
}

// namesFor are the restrictions of a stage.
func namesFor(table []row, s Stage) []string {
	var out []string
	for _, r := range table {
		if r.stages.has(s) {
			out = append(out, r.name)
		}
	}
	return out
}
