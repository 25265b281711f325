package parts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/clock"
	"toastmaster/internal/identity"
	"toastmaster/internal/msglog"
	"toastmaster/internal/run/usage"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestDecideStart goes through all that three parts and a configuration can say: a start has one
// id, which nobody contradicts, all parts, and gives the id to those alone that have none.
func TestDecideStart(t *testing.T) {
	t.Parallel()
	var kinds []identity.Found
	for _, s := range []identity.State{identity.Absent, identity.Claimed, identity.Unmarked} {
		kinds = append(kinds, identity.Found{State: s})
	}
	for _, s := range []identity.State{identity.Adopting, identity.Marked} {
		kinds = append(kinds, identity.Found{State: s, ID: "A"}, identity.Found{State: s, ID: "B"})
	}
	kinds = append(kinds, identity.Found{State: identity.Marked, ID: "A", Lacks: "/x/lost"}, identity.Found{State: identity.Unmarked, Lacks: "/x/lost"})
	all, starts := 0, 0
	for _, configured := range []identity.ID{"", "A", "B"} {
		for i := range len(kinds) * len(kinds) * len(kinds) {
			found := []identity.Found{kinds[i%len(kinds)], kinds[i/len(kinds)%len(kinds)], kinds[i/len(kinds)/len(kinds)]}
			var parts []*Part
			ids := map[identity.ID]bool{}
			if configured != "" {
				ids[configured] = true
			}
			absent, lacks, unmarked, marked, adopting := 0, 0, 0, 0, 0
			var without []string
			for k, f := range found {
				parts = append(parts, &Part{Name: partNames[k], What: "the " + partNames[k], param: "p." + partNames[k], Path: "/x/" + partNames[k], found: f})
				if f.ID != "" {
					ids[f.ID] = true
				}
				count := map[identity.State]*int{identity.Absent: &absent, identity.Unmarked: &unmarked, identity.Marked: &marked, identity.Adopting: &adopting, identity.Claimed: new(int)}[f.State]
				*count++
				if f.Lacks != "" {
					lacks++
				}
				if f.State != identity.Marked {
					without = append(without, partNames[k])
				}
			}
			plan, at, err := decideStart(configured, parts)
			all++
			good := absent == 0 && lacks == 0 && len(ids) < 2 && (unmarked == 0 || marked == 0 || adopting > 0)
			what := fmt.Sprintf("configured %q, %+v", configured, found)
			if good != (err == nil) || good != (at == "") {
				t.Fatalf("%s: %q, %v", what, at, err)
			}
			if !good {
				if wanted := map[bool]string{true: "there is no instance yet", false: ""}[absent == 3]; !strings.Contains(err.Error(), wanted) || at != "main.data_dir" && !strings.HasPrefix(at, "p.") {
					t.Fatalf("%s: %q, %v", what, at, err)
				}
				continue
			}
			starts++
			if len(ids) == 1 && !ids[plan.ID] || len(ids) == 0 && len(plan.ID) != 26 || plan.Adopted() != strings.Join(without, " ") {
				t.Fatalf("%s: id %q, adopts %q", what, plan.ID, plan.Adopted())
			}
			for k, f := range found {
				if plan.Adopts(partNames[k]) != (f.State != identity.Marked) {
					t.Fatalf("%s: adopts %s", what, partNames[k])
				}
			}
		}
	}
	if starts < 50 || starts > all/4 {
		t.Errorf("%d of %d start", starts, all)
	}
}

// TestMistakesThatPass: a database that somebody has locked is no mistake of the configuration,
// and a question that was given up is none either.
func TestMistakesThatPass(t *testing.T) {
	t.Parallel()
	c := configs.Default()
	locked, broken := errors.New("locked"), errors.New("broken")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	passes := &Part{param: "directory.path", temporary: func(err error) bool { return errors.Is(err, locked) }}
	for _, m := range []struct {
		p   *Part
		ctx context.Context
		err error
		is  bool
	}{{passes, t.Context(), locked, false}, {passes, t.Context(), broken, true}, {passes, gone, broken, false}, {&Part{param: "store.path"}, t.Context(), locked, true}} {
		err := m.p.mistake(m.ctx, c, m.err)
		var at *configs.Error
		if errors.Is(err, usage.Err) != m.is || !errors.Is(err, m.err) || !errors.As(err, &at) || at.Param != m.p.param {
			t.Errorf("%v: %v", m.err, err)
		}
	}
}

// instance is a configuration of a folder in which nothing is.
func instance(t *testing.T) *configs.Config {
	t.Helper()
	c := configs.Default()
	c.Main.DataDir = filepath.Join(t.TempDir(), "data")
	return c
}

func named(parts []*Part) (names []string) {
	for _, p := range parts {
		names = append(names, p.Name)
	}
	return names
}

// TestMakeMissing: nothing is made, taken over or given an id beside what is in use, unless it was
// named; and what was made is one instance, for Look too.
func TestMakeMissing(t *testing.T) {
	t.Parallel()
	const queueEpoch = "queue/epoch"
	use := func(dir string) error { return os.WriteFile(filepath.Join(dir, queueEpoch), []byte("1"), 0o600) }
	gone := func(names ...string) func(string) error {
		return func(dir string) (err error) {
			for _, n := range names {
				err = errors.Join(err, os.RemoveAll(filepath.Join(dir, n)))
			}
			return err
		}
	}
	both := func(fs ...func(string) error) func(string) error {
		return func(dir string) (err error) {
			for _, f := range fs {
				err = errors.Join(err, f(dir))
			}
			return err
		}
	}
	photos := both(gone("mail"), func(dir string) error {
		return errors.Join(os.MkdirAll(dir+"/mail/photos", 0o700), os.WriteFile(dir+"/mail/photos/1.jpg", []byte("x"), 0o600))
	})
	other := func(dir string) error {
		return os.WriteFile(dir+"/queue/instance", []byte(string(identity.New())+"\n"), 0o600)
	}
	for name, s := range map[string]struct {
		spoil func(dir string) error
		o     Options
		made  []string
		param string // of the refusal, "" for none
		says  string
	}{
		"whole":                           {use, Options{}, nil, "", ""},
		"a database alone":                {gone("mail"), Options{}, nil, "store.path", "the database is in use"},
		"used":                            {both(use, gone("mail")), Options{}, nil, "store.path", "add --new store"},
		"named":                           {both(use, gone("mail")), Options{Fresh: []string{Store}}, []string{Store}, "", ""},
		"another is named":                {both(use, gone("mail", "directory.db")), Options{Fresh: []string{Database}}, nil, "store.path", "the queue is in use"},
		"two are named":                   {both(use, gone("mail", "directory.db")), Options{Fresh: []string{Database, Store}}, []string{Store, Database}, "", ""},
		"is there":                        {use, Options{Fresh: []string{Queue}}, nil, "main.data_dir", "--new makes what is missing, and removes nothing"},
		"lost a part":                     {both(use, gone("mail/.toastmaster/journal-0")), Options{}, nil, "store.path", "/journal-0, is not whole"},
		"the part is to be empty":         {both(use, gone("mail/.toastmaster/journal-0")), Options{Fresh: []string{Store}}, []string{Store}, "", ""},
		"without an id":                   {both(use, gone("queue/instance")), Options{}, nil, "main.data_dir", "add --adopt queue"},
		"it is of this instance":          {both(use, gone("queue/instance")), Options{Adopt: []string{Queue}}, []string{Queue}, "", ""},
		"of another":                      {both(use, other), Options{}, nil, "main.data_dir", "belongs to another instance"},
		"taken over":                      {both(use, other), Options{Adopt: []string{Queue}}, []string{Queue}, "", ""},
		"photos":                          {photos, Options{}, nil, "store.path", "has photos in it"},
		"photos are taken over for mail":  {both(photos, gone("queue", "directory.db")), Options{Adopt: []string{Store}}, []string{Store, Queue, Database}, "", ""},
		"no such part":                    {nil, Options{Fresh: []string{"mail"}}, nil, "", `"mail" is no part of an instance (parts: store, queue, database)`},
		"no such part to be taken over":   {nil, Options{Adopt: []string{""}}, nil, "", `"" is no part`},
		"all is gone, and nothing in use": {gone("mail", "queue", "directory.db"), Options{}, []string{Store, Queue, Database}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := instance(t)
			id, made, err := MakeMissing(t.Context(), c, Options{})
			if err != nil || !slices.Equal(named(made), partNames[:]) {
				t.Fatalf("%q, %v", named(made), err)
			}
			if _, err := identity.Parse(string(id)); err != nil {
				t.Error(err)
			}
			if s.spoil != nil {
				must(t, s.spoil(c.Dir()))
			}
			before := everything(t, c.Dir())
			again, made, err := MakeMissing(t.Context(), c, s.o)
			if s.says != "" {
				var at *configs.Error
				if !errors.Is(err, usage.Err) || !strings.Contains(err.Error(), s.says) || errors.As(err, &at) != (s.param != "") || at != nil && at.Param != s.param {
					t.Errorf("%v", err)
				}
				if after := everything(t, c.Dir()); after != before {
					t.Errorf("refused, and changed:\n%s\nbefore\n%s", after, before)
				}
				return
			}
			if err != nil || !slices.Equal(named(made), s.made) || again != id && len(s.made) < 3 {
				t.Fatalf("%q, id %s, was %s, %v", named(made), again, id, err)
			}
			plan, err := Look(t.Context(), c)
			if err != nil || plan.ID != again || plan.Adopted() != "" {
				t.Errorf("%+v, %v", plan, err)
			}
			if _, made, err := MakeMissing(t.Context(), c, Options{}); err != nil || len(made) > 0 {
				t.Errorf("once more: %q, %v", named(made), err)
			}
			if strings.HasPrefix(name, "photos are") {
				if text, err := os.ReadFile(c.Dir() + "/mail/photos/1.jpg"); err != nil || string(text) != "x" {
					t.Errorf("%q, %v", text, err)
				}
			}
		})
	}
}

// everything is the names below a folder, with their sizes but for the database's.
func everything(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || strings.HasPrefix(d.Name(), "directory.db") {
			return err
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			fmt.Fprintln(&b, path, info.Size())
		} else {
			fmt.Fprintln(&b, path)
		}
		return err
	}))
	return b.String()
}

// TestTheIDOfTheConfigurationCounts: a part of another instance is not made that of this one.
func TestTheIDOfTheConfigurationCounts(t *testing.T) {
	t.Parallel()
	c := instance(t)
	id, _, err := MakeMissing(t.Context(), c, Options{})
	must(t, err)
	c.Main.Instance = string(identity.New())
	_, looked := Look(t.Context(), c)
	_, _, made := MakeMissing(t.Context(), c, Options{})
	for _, err := range []error{looked, made} {
		if !errors.Is(err, usage.Err) || !strings.Contains(err.Error(), string(id)) || !strings.Contains(err.Error(), "main.instance has "+c.Main.Instance) {
			t.Errorf("%v", err)
		}
	}
	got, changed, err := MakeMissing(t.Context(), c, Options{Adopt: []string{Store, Queue, Database}})
	if err != nil || string(got) != c.Main.Instance || !slices.Equal(named(changed), partNames[:]) {
		t.Errorf("%s, %q, %v", got, named(changed), err)
	}
	// Without one in the configuration the parts' own may stay.
	c.Main.Instance = ""
	again, changed, err := MakeMissing(t.Context(), c, Options{Adopt: []string{Store, Queue, Database}})
	if err != nil || again != got || len(changed) > 0 {
		t.Errorf("%s, %q, %v", again, named(changed), err)
	}
	c.Directory.Type = "none"
	for _, err := range []error{errorOf(Look(t.Context(), c)), errorOf(OpenHosted(t.Context(), c, Startup{}))} {
		if err == nil || !strings.Contains(err.Error(), `no directory of type "none"`) {
			t.Errorf("%v", err)
		}
	}
	if param, allowed, err := CheckDirectory(c); param != "directory.type" || allowed != "" || err == nil {
		t.Errorf("%q %q %v", param, allowed, err)
	}
}

func errorOf[T any](_ T, err error) error { return err }

// TestOpenHosted opens the database of the instance that was planned, and of no other.
func TestOpenHosted(t *testing.T) {
	t.Parallel()
	c := instance(t)
	id, _, err := MakeMissing(t.Context(), c, Options{})
	must(t, err)
	if _, err := OpenHosted(t.Context(), c, Startup{ID: identity.New()}); !errors.Is(err, errDatabase) || !strings.Contains(err.Error(), c.Path(c.Directory.Path)) {
		t.Errorf("another's: %v", err)
	}
	h, err := OpenHosted(t.Context(), c, Startup{ID: id})
	must(t, err)
	told := 0
	s, err := h.Store(c, func() { told++ }, msglog.Discard(), clock.System{})
	must(t, err)
	if _, err := s.AddDomain(t.Context(), "test", model.NewDomain{Name: "x.test"}); err != nil || told != 1 {
		t.Errorf("%v, told %d times", err, told)
	}
	d, closeIt, err := Answers(c)
	must(t, err)
	if _, err := d.Entry(t.Context(), directory.DomainKey("x.test")); err != nil {
		t.Errorf("mail does not know what was written: %v", err)
	}
	must(t, errors.Join(closeIt(), h.Close()))
	if err := h.Reader.PingContext(t.Context()); err == nil {
		t.Error("the reader is open")
	}
	if err := h.Writer.PingContext(t.Context()); err == nil {
		t.Error("the writer is open")
	}
}
