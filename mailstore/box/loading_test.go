package box_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/mailstore/box"
	"toastmaster/mailstore/index"
)

// kept is a disk with a mailbox that a process has left in order: three messages, one of
// them with a keyword that has a letter and one that has none, one gone.
func kept(t *testing.T) (disk *faultfs.Disk, has []string) {
	t.Helper()
	disk = faultfs.NewDisk()
	d := newDesk(t, disk, func(c *configs.Store) { c.MaxKeywords = 40 })
	for i := range 28 { // beyond 26 a keyword has no letter
		d.append("", fmt.Sprint("k", i), "work")
		v := d.view("")
		_, err := v.SetFlags(t.Context(), []uint32{1}, box.FlagsAdd, flags(fmt.Sprintf("key%02d", i)), 0)
		check(t, err)
		seqs := []uint32{2}
		if v.Len() > 1 {
			check(t, v.Expunge(t.Context(), seqs))
		}
		check(t, v.Close())
	}
	d.append("", "two", `\Seen`, "work", "key27")
	d.append("", "three")
	has = d.see("")
	check(t, d.box("").Shut(t.Context()))
	check(t, d.vol.Checkpoint(t.Context()))
	d.end()
	return disk, has
}

// ruins are what may have become of a mailbox's small files between two processes, and
// whether what it has is known without them all the same.
func ruins() map[string]func(d *desk) {
	remove := func(names ...string) func(d *desk) {
		return func(d *desk) {
			for _, name := range names {
				check(d.t, d.disk.Remove("/mail/alice/"+name))
			}
		}
	}
	return map[string]func(d *desk){
		"nothing":           func(*desk) {},
		"no index":          remove(index.LogFile, index.CacheFile),
		"a damaged log":     func(d *desk) { d.write(index.LogFile, "this is no log") },
		"a log of nothing":  func(d *desk) { d.write(index.LogFile, "") },
		"no cache":          remove(index.CacheFile),
		"a damaged cache":   func(d *desk) { d.write(index.CacheFile, strings.Repeat("x", 4000)) },
		"no uidlist":        remove("dovecot-uidlist"),
		"a damaged uidlist": func(d *desk) { d.write("dovecot-uidlist", "what is this\n") },
		"no keywords":       remove("dovecot-keywords"),
	}
}

// TestAMailboxComesBack: whatever is lost of a mailbox's small files, and whatever operation
// of the disk fails while it is opened, or is the last one of the process, it has all its
// messages with their UIDs, flags and keywords when it can be opened.
func TestAMailboxComesBack(t *testing.T) {
	t.Parallel()
	for name, ruin := range ruins() {
		for _, what := range []string{"any for good", "any once", "stat once", "open once", "read once", "readdir once", "lock once"} {
			first, how, _ := strings.Cut(what, " ")
			op := faultfs.Op(first)
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				was, has := kept(t)
				for n := 1; ; n++ {
					d := newDesk(t, was.Clone(), func(c *configs.Store) { c.MaxKeywords = 40 })
					ruin(d)
					d.faults.Reset()
					if how == "for good" {
						d.faults.FailFrom(op, n, faultfs.EIO)
					} else {
						d.faults.FailNth(op, n, faultfs.EIO)
					}
					_, err := d.OpenDir(t.Context(), "")
					failed := d.faults.Count(op) >= n
					d.faults.Reset()
					if how == "for good" { // another process goes on
						next := newDesk(t, d.disk.Clone(), func(c *configs.Store) { c.MaxKeywords = 40 })
						d.end()
						d = next
					}
					if !failed && err != nil {
						t.Fatalf("nothing failed: %v", err)
					}
					if d.sees("", has...); t.Failed() {
						t.Fatalf("%s %d failed, which said %v", op, n, err)
					}
					check(t, d.box("").Shut(t.Context()))
					delete(d.boxes, "")
					d.sees("", has...) // and again from what was written
					d.end()
					if !failed {
						return
					}
				}
			})
		}
	}
}

// TestABoxThatIsNone: what is not there is not made by opening it, and cannot be used.
func TestABoxThatIsNone(t *testing.T) {
	t.Parallel()
	d := newDesk(t, faultfs.NewDisk(), nil)
	if _, err := d.OpenDir(t.Context(), ".None"); err == nil {
		t.Error("a mailbox that is not there was opened")
	}
	if _, err := d.disk.Stat("/mail/alice/.None"); err == nil {
		t.Error("and was made")
	}
	mb := d.box("")
	if usable, cost := mb.Weigh(); !usable || cost < 4<<10 {
		t.Errorf("%v %d", usable, cost)
	}
	before := func() int64 { _, cost := mb.Weigh(); return cost }()
	d.append("", "one")
	v := d.view("")
	if after := func() int64 { _, cost := mb.Weigh(); return cost }(); after <= before {
		t.Errorf("a message weighs nothing: %d, %d", before, after)
	}
	check(t, v.Expunge(t.Context(), []uint32{1}))
	if after := func() int64 { _, cost := mb.Weigh(); return cost }(); after <= before {
		t.Errorf("one that is remembered weighs nothing: %d, %d", before, after)
	}
	check(t, v.Close())
	mb.Leave()
	if usable, _ := mb.Weigh(); usable {
		t.Error("a mailbox that left is used again")
	}
	for name, use := range map[string]func() error{
		"deliver": func() error { return mb.Deliver(t.Context(), delivery("x")) },
		"status":  func() error { _, err := mb.Status(t.Context()); return err },
		"load":    func() error { return mb.Load(t.Context()) },
		"view":    func() error { _, err := mb.View(t.Context(), "", false); return err },
	} {
		if err := use(); err == nil {
			t.Errorf("%s: of a mailbox that left", name)
		}
	}
	if len(d.files("")) != 0 {
		t.Errorf("%q", d.files(""))
	}
	check(t, mb.Shut(t.Context()))
	if usable, cost := mb.Weigh(); usable || cost != 0 {
		t.Error("a mailbox that was shut has a weight")
	}
}

// TestLazyWork: a change calls for it once, it is done when its time has come, and nothing
// is left then; the next change calls for it again.
func TestLazyWork(t *testing.T) {
	t.Parallel()
	d := newDesk(t, faultfs.NewDisk(), nil)
	mb := d.box("")
	d.append("", "one")
	if !d.lazy[""] {
		t.Error("there is something to write")
	}
	check(t, mb.Tidy(t.Context(), d.vol.Points.Durable()))
	if first := d.read("dovecot-uidlist"); !strings.Contains(first, "1 :") {
		// uidlist_delay is the time between two.
		t.Errorf("the first one is written at once: %q", first)
	}
	d.append("", "two")
	check(t, mb.Tidy(t.Context(), d.vol.Points.Durable()))
	if strings.Contains(d.read("dovecot-uidlist"), "2 :") || !d.lazy[""] {
		t.Errorf("it is written too soon: %q", d.read("dovecot-uidlist"))
	}
	d.clock.Advance(d.vol.Config.UIDListDelay)
	check(t, mb.Tidy(t.Context(), d.vol.Points.Durable()))
	if !strings.Contains(d.read("dovecot-uidlist"), "2 :") || d.lazy[""] {
		t.Errorf("it is not written, or there is work left: %q %v", d.read("dovecot-uidlist"), d.lazy)
	}
	// That an expunged message is gone for good is noted after a checkpoint.
	v := d.view("")
	check(t, v.Expunge(t.Context(), []uint32{1}))
	check(t, v.Close())
	d.clock.Advance(d.vol.Config.UIDListDelay)
	check(t, mb.Tidy(t.Context(), d.vol.Points.Durable()))
	if !d.lazy[""] {
		t.Error("no checkpoint has covered the expunge")
	}
	check(t, d.vol.Checkpoint(t.Context()))
	check(t, mb.Tidy(t.Context(), d.vol.Points.Durable()))
	if d.lazy[""] {
		t.Error("there is nothing more")
	}
}

// TestALongLogIsReplaced by a snapshot, in which what was expunged long ago has no name
// any more; what was delivered lately is remembered.
func TestALongLogIsReplaced(t *testing.T) {
	t.Parallel()
	d := newDesk(t, faultfs.NewDisk(), func(c *configs.Store) { c.LogLimit, c.ExpungeEntries = 1, 2 })
	mb := d.box("")
	expunge := func(id string) {
		m := delivery("gone")
		m.ID = id
		check(t, mb.Deliver(t.Context(), m))
		v := d.view("")
		check(t, v.Expunge(t.Context(), []uint32{1}))
		check(t, v.Close())
	}
	tidy := func() {
		check(t, d.vol.Checkpoint(t.Context()))
		check(t, mb.Tidy(t.Context(), d.vol.Points.Durable()))
	}
	for _, id := range []string{"A", "B", "C"} {
		expunge(id)
	}
	tidy()
	known := func() []string {
		ids, err := mb.Delivered(t.Context())
		check(t, err)
		return ids
	}
	if got := known(); !slices.Equal(got, []string{"A", "B", "C"}) {
		t.Errorf("%q", got)
	}
	if !strings.HasPrefix(d.read(index.SnapshotFile), "TMIXSNP") {
		t.Error("there is no snapshot")
	}
	d.clock.Advance(d.vol.Config.ExpungeMemory + time.Hour)
	expunge("D")
	tidy()
	if got := known(); !slices.Equal(got, []string{"D"}) {
		t.Errorf("long ago: %q", got)
	}
	m := delivery("again")
	m.ID, m.Replay = "D", true
	check(t, mb.Deliver(t.Context(), m))
	d.sees("")
	check(t, mb.Shut(t.Context()))
	delete(d.boxes, "")
	mb = d.box("")
	if got := known(); !slices.Equal(got, []string{"D"}) || d.append("", "next") != 5 {
		t.Errorf("from the snapshot: %q", got)
	}
}

// TestAFileThatMovesWhileWeLook is listed under neither name, and is no message that
// vanished: it is looked for once more.
func TestAFileThatMovesWhileWeLook(t *testing.T) {
	t.Parallel()
	d := newDesk(t, faultfs.NewDisk(), nil)
	d.append("", "one", `\Seen`)
	d.sees("", `1 one [\Seen]`)
	file := d.files("")[0]
	moved := false
	d.faults.Hook(func(op faultfs.Op, name string) error {
		if op == faultfs.ReadDir && strings.HasSuffix(name, "/cur") && !moved { // new was listed
			moved = true
			return d.disk.Rename("/mail/alice/"+file, "/mail/alice/new"+strings.TrimPrefix(file, "cur"))
		}
		return nil
	})
	d.write("cur/2.two:2,", "Subject: two\n\nx\n")
	if d.sees("", `1 one [\Seen]`, "2 two []"); !moved {
		t.Error("nothing moved")
	}
}
