package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/mailstore/volume"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open opens the journal on a disk.
func open(t *testing.T, disk *faultfs.Disk, h Hands) (*Journal, *volume.Volume) {
	t.Helper()
	c := configs.Default().Store
	c.JournalSegment = 1 << 20
	vol := volume.New(volume.Options{Root: "/mail", FS: disk, Clock: clock.System{}, Log: msglog.Discard(), Hostname: "host.test", Config: c})
	check(t, disk.MkdirAll("/mail/"+volume.Private, 0o700))
	check(t, vol.Open(t.Context()))
	j := New(vol)
	check(t, j.Recover(t.Context(), h))
	return j, vol
}

func closeAll(t *testing.T, j *Journal, vol *volume.Volume) {
	t.Helper()
	check(t, errors.Join(j.Close(t.Context()), vol.Close()))
}

// notes are hands that write down what they are asked for. They fail in the
// folders of broken.
type notes struct {
	did    []string
	broken map[string]bool
	// once has what was done, if nothing is done twice.
	once map[string]bool
}

func (n *notes) note(r *Record, format string, args ...any) (int, error) {
	if n.broken[r.Dir] {
		return 0, errors.New("the folder is damaged")
	}
	what := fmt.Sprintf(format, args...)
	if n.once[what] {
		return 0, nil
	}
	if n.once != nil {
		n.once[what] = true
	}
	n.did = append(n.did, what)
	return 1, nil
}

func (n *notes) Restore(_ context.Context, r *Record, left bool, content func() ([]byte, error)) (int, error) {
	text, err := content()
	if err != nil {
		return 0, err
	}
	return n.note(r, "restore %s%s %s %q left %v", r.Home, r.Dir, r.Name, text, left)
}

func (n *notes) Repeat(_ context.Context, r *Record, x Repetition) (int, error) {
	return n.note(r, "repeat %d %s to %s %+v", r.Kind, r.Dir, r.To, x)
}

func (n *notes) Delete(_ context.Context, r *Record) (int, error) {
	return n.note(r, "delete %s", r.Dir)
}

func (n *notes) Rename(_ context.Context, r *Record, leave func(Departure) error) ([]string, bool, error) {
	_, err := n.note(r, "rename %s to %s", r.Dir, r.To)
	if err == nil {
		err = leave(Departure{Folder: Folder{r.Home, r.Dir}})
	}
	return []string{r.Dir}, err == nil, err
}

func never() bool { return false }

func store(t *testing.T, a *AccountJournal, dir, name string) {
	t.Helper()
	r := &Record{Dir: dir, Name: name, Validity: 7, UID: 1, HasContent: true}
	check(t, a.Stored(t.Context(), r, never, nil, []byte("content of "+name)))
}

// begin leaves an operation as a kill does before the next checkpoint.
func begin(t *testing.T, a *AccountJournal, kind Kind, dir, to string) *Operation {
	t.Helper()
	r := &Record{Kind: kind, Dir: dir, Validity: 7, To: to, Items: []Item{{UID: 1, Name: "n", NewUID: 2, NewName: "m"}}}
	o, err := a.Begin(t.Context(), r, AnyRoom)
	check(t, err)
	o.End()
	return o
}

// TestWhatIsDoneAgain: which records a start has done, in which order, after what
// happened before.
func TestWhatIsDoneAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before func(t *testing.T, j *Journal, a *AccountJournal)
		broken string
		want   []string
		wait   int
	}{
		"stored": {
			before: func(t *testing.T, _ *Journal, a *AccountJournal) { store(t, a, "", "one"); store(t, a, ".A", "two") },
			want:   []string{`restore alice one "content of one" left false`, `restore alice.A two "content of two" left false`},
		},
		"a folder left afterwards": {
			before: func(t *testing.T, _ *Journal, a *AccountJournal) {
				store(t, a, ".A", "one")
				check(t, a.Leave(t.Context(), Departure{Folder: Folder{Dir: ".A"}, Validity: 7}, func() error { return nil }))
				store(t, a, ".A", "two")
			},
			want: []string{`restore alice.A two "content of two" left true`},
		},
		"a folder that stayed after all": {
			before: func(t *testing.T, _ *Journal, a *AccountJournal) {
				store(t, a, ".A", "one")
				if err := a.Leave(t.Context(), Departure{Folder: Folder{Dir: ".A"}, Validity: 7, Deleted: true}, func() error { return errors.New("no") }); err == nil {
					t.Error("no error")
				}
			},
			want: []string{`restore alice.A one "content of one" left false`},
		},
		"a deletion": {
			before: func(t *testing.T, _ *Journal, a *AccountJournal) {
				check(t, a.Leave(t.Context(), Departure{Folder: Folder{Dir: ".A"}, Validity: 7, Deleted: true}, func() error { return nil }))
			},
			want: []string{"delete .A"},
		},
		"operations": {
			before: func(t *testing.T, _ *Journal, a *AccountJournal) {
				begin(t, a, Copied, "", ".A")
				begin(t, a, Moved, ".A", ".B").Undo()
				begin(t, a, Expunged, "", "")
			},
			want: []string{
				"repeat 4  to .A {Undo:false ToLeaves:false Left:false ToLeft:false Seen:false}",
				"repeat 5 .A to .B {Undo:true ToLeaves:false Left:false ToLeft:false Seen:false}",
				"repeat 6  to  {Undo:false ToLeaves:false Left:false ToLeft:false Seen:false}",
			},
		},
		"what waits for a damaged folder waits with it": {
			before: func(t *testing.T, _ *Journal, a *AccountJournal) {
				store(t, a, ".A", "one")
				begin(t, a, Copied, "", ".A")
				store(t, a, "", "two")
				store(t, a, ".C", "three")
			},
			broken: ".A", wait: 3,
			want: []string{`restore alice.C three "content of three" left false`},
		},
		"a rename, and what came while it was under way": {
			before: func(t *testing.T, j *Journal, a *AccountJournal) {
				_, err := a.Renaming(t.Context(), ".A", ".B")
				check(t, err)
				store(t, a, ".A", "one")
			},
			want: []string{`restore alice.A one "content of one" left false`, "rename .A to .B"},
		},
		"a rename, whatever its checkpoints mark": {
			before: func(t *testing.T, j *Journal, a *AccountJournal) {
				_, err := a.Renaming(t.Context(), ".A", ".B")
				check(t, err)
				store(t, a, ".C", "one")
				j.vol.Points.Changed()
				check(t, j.marks.checkpoint(t.Context()))
			},
			want: []string{`restore alice.C one "content of one" left false`, "rename .A to .B"},
		},
		"a rename that is settled, and one that was taken back": {
			before: func(t *testing.T, j *Journal, a *AccountJournal) {
				for range 2 {
					r, err := a.Renaming(t.Context(), ".A", ".B")
					check(t, err)
					r.Settled()
				}
				store(t, a, ".A", "one")
			},
			want: []string{`restore alice.A one "content of one" left false`},
		},
		"a rename, with what waits for a folder below": {
			before: func(t *testing.T, j *Journal, a *AccountJournal) {
				_, err := a.Renaming(t.Context(), ".A", ".B")
				check(t, err)
				store(t, a, ".A.Sub", "one")
			},
			broken: ".A.Sub", wait: 2,
		},
		"marked as done": {
			before: func(t *testing.T, j *Journal, a *AccountJournal) {
				store(t, a, "", "one")
				j.vol.Points.Changed()
				check(t, j.marks.checkpoint(t.Context()))
				check(t, j.Flush(t.Context()))
				store(t, a, "", "two")
			},
			want: []string{`restore alice two "content of two" left false`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := faultfs.NewDisk()
			j, vol := open(t, disk, &notes{})
			c.before(t, j, j.Account("alice"))
			check(t, j.Flush(t.Context())) // a note may lag behind
			killed := disk.Crash()
			closeAll(t, j, vol)

			h := &notes{broken: map[string]bool{}}
			if c.broken != "" {
				h.broken[c.broken] = true
			}
			j, vol = open(t, killed, h)
			if !slices.Equal(h.did, c.want) {
				t.Errorf("did\n%q, want\n%q", h.did, c.want)
			}
			if j.Unfinished() != c.wait || j.Waits(Folder{"alice", c.broken}) != (c.wait > 0) {
				t.Errorf("%d wait, want %d", j.Unfinished(), c.wait)
			}
			check(t, errors.Join(j.marks.checkpoint(t.Context()), j.Flush(t.Context())))
			again := killed.Crash()
			closeAll(t, j, vol)

			// What a checkpoint has covered no start does again, unless something
			// waits.
			all := 0
			if c.wait > 0 {
				all = c.wait + len(c.want)
			}
			h = &notes{}
			j, vol = open(t, again, h)
			if len(h.did) != all || j.Unfinished() != 0 {
				t.Errorf("the next start did %q", h.did)
			}
			closeAll(t, j, vol)
		})
	}
}

// TestARemovedAccountTakesNothing: neither messages nor operations, after it left.
func TestARemovedAccountTakesNothing(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	j, vol := open(t, disk, &notes{})
	a := j.Account("alice")
	store(t, a, ".A", "one")
	dirs := func() ([]string, error) { return []string{"", ".A"}, nil }
	check(t, a.LeaveAll(t.Context(), dirs, func() error { a.Remove(); return nil }))
	if err := a.Stored(t.Context(), &Record{Name: "two", UID: 2}, never, nil, nil); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if _, err := a.Begin(t.Context(), &Record{Kind: Expunged, Items: []Item{{UID: 1, Name: "one"}}}, AnyRoom); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("%v", err)
	}
	killed := disk.Crash()
	closeAll(t, j, vol)
	h := &notes{}
	j, vol = open(t, killed, h)
	if len(h.did) != 0 {
		t.Errorf("%q", h.did)
	}
	closeAll(t, j, vol)
}
