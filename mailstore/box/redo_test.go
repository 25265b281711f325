package box_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/testkit/faultfs"
	"toastmaster/mailstore/box"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/recovery"
	"toastmaster/mailstore/volume"
)

// half is a disk on which an operation on the messages of INBOX "1.one", "2.two" and
// "3.three" is done in part, with its record.
type half struct {
	*desk
	record recovery.Record
}

// newHalf makes the disk; kind is that of the operation on the first two messages.
func newHalf(t *testing.T, kind recovery.Kind) *half {
	t.Helper()
	h := &half{desk: newDesk(t, faultfs.NewDisk(), nil)}
	h.make("Other")
	for _, name := range []string{"new/1.one", "new/2.two", "cur/3.three:2,S"} {
		_, subject, _ := strings.Cut(strings.TrimSuffix(name, ":2,S"), ".")
		h.write(name, "Subject: "+subject+"\n\nx\n")
	}
	v, other := h.view(""), h.view(".Other")
	h.record = recovery.Record{
		Kind: kind, Home: "alice", To: ".Other", Validity: v.Info().UIDValidity, ToValidity: other.Info().UIDValidity,
		Items: []recovery.Item{
			{UID: 1, Name: "1.one", NewUID: 1, NewName: "1.copy", Date: 1e9},
			{UID: 2, Name: "2.two", NewUID: 2, NewName: "2.copy", Flags: maildir.Flagged, Keywords: flags("work")},
		},
	}
	check(t, v.Close())
	check(t, other.Close())
	return h
}

// again does the record again.
func (h *half) again(x recovery.Repetition) int {
	h.t.Helper()
	h.clock.Advance(h.vol.Config.VerifyInterval)
	did, err := box.Repeat(h.t.Context(), h.box(""), h.box(".Other"), &h.record, x)
	check(h.t, err)
	return did
}

// move gives a file another place, as the operation had done.
func (h *half) move(from, to string) {
	h.t.Helper()
	check(h.t, h.disk.Rename(filepath.Join("/mail/alice", from), filepath.Join("/mail/alice", to)))
}

func (h *half) link(from, to string) {
	h.t.Helper()
	check(h.t, h.disk.Link(filepath.Join("/mail/alice", from), filepath.Join("/mail/alice", to)))
}

// names are the subjects of a mailbox with their flags; UIDs are another test's.
func (h *half) names(dir string) (names []string) {
	for _, m := range h.see(dir) {
		_, name, _ := strings.Cut(m, " ")
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (h *half) has(inbox, other []string) {
	h.t.Helper()
	slices.Sort(inbox)
	slices.Sort(other)
	if got := h.names(""); !slices.Equal(got, inbox) {
		h.t.Errorf("INBOX has %q, want %q", got, inbox)
	}
	if got := h.names(".Other"); !slices.Equal(got, other) {
		h.t.Errorf("Other has %q, want %q", got, other)
	}
}

// TestAnOperationIsDoneAgain: a start finds an operation in the journal of which all, a part
// or nothing is done, and finishes it, or takes it back; a second time changes nothing.
func TestAnOperationIsDoneAgain(t *testing.T) {
	t.Parallel()
	all := func() []string { return []string{"one []", "two []", `three [\Seen]`} }
	rest := func() []string { return []string{`three [\Seen]`} }
	copies := func() []string { return []string{"one []", `two [\Flagged work]`} }
	for name, c := range map[string]struct {
		kind         recovery.Kind
		before       func(h *half)
		x            recovery.Repetition
		inbox, other []string
		did          int
	}{
		"a copy, nothing of it":         {recovery.Copied, func(*half) {}, recovery.Repetition{}, all(), copies(), 2},
		"a copy, half of it":            {recovery.Copied, func(h *half) { h.link("new/1.one", ".Other/new/1.copy") }, recovery.Repetition{}, all(), copies(), 1},
		"a copy that was taken back":    {recovery.Copied, func(h *half) { h.link("new/1.one", ".Other/new/1.copy") }, recovery.Repetition{Undo: true}, all(), nil, 1},
		"a copy of what is gone":        {recovery.Copied, func(h *half) { check(h.t, h.disk.Remove("/mail/alice/new/1.one")) }, recovery.Repetition{}, append(rest(), "two []"), copies()[1:], 1},
		"a copy that somebody expunged": {recovery.Copied, func(h *half) { h.copyAndExpunge() }, recovery.Repetition{}, all(), copies()[1:], 1},
		"a move, nothing of it":         {recovery.Moved, func(*half) {}, recovery.Repetition{}, rest(), copies(), 2},
		"a move, half of it":            {recovery.Moved, func(h *half) { h.move("new/1.one", ".Other/new/1.copy") }, recovery.Repetition{}, rest(), copies(), 1},
		"a move with both names":        {recovery.Moved, func(h *half) { h.link("new/1.one", ".Other/new/1.copy") }, recovery.Repetition{}, rest(), copies(), 2},
		"a move that was taken back": {
			recovery.Moved, func(h *half) { h.move("new/1.one", ".Other/new/1.copy") }, recovery.Repetition{Undo: true}, all(), nil, 1,
		},
		"one taken back that has both names": {
			recovery.Moved, func(h *half) { h.link("new/1.one", ".Other/new/1.copy") }, recovery.Repetition{Undo: true}, all(), nil, 1,
		},
		"a copy out of a folder that is another": {recovery.Copied, func(h *half) { h.record.Validity++ }, recovery.Repetition{Left: true}, all(), copies(), 2},
		"a move out of a folder that is another": {recovery.Moved, func(h *half) { h.record.Validity++ }, recovery.Repetition{Left: true}, all(), nil, 0},
		"a move into a folder that is another":   {recovery.Moved, func(h *half) { h.record.ToValidity++ }, recovery.Repetition{ToLeft: true}, rest(), nil, 2},
		"a copy into a folder that is another":   {recovery.Copied, func(h *half) { h.record.ToValidity++ }, recovery.Repetition{ToLeft: true}, all(), nil, 0},
		"a move into the folder of before":       {recovery.Moved, func(*half) {}, recovery.Repetition{Left: true, ToLeft: true}, rest(), copies(), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHalf(t, c.kind)
			c.before(h)
			if did := h.again(c.x); did != c.did {
				t.Errorf("%d messages were touched, want %d", did, c.did)
			}
			h.has(c.inbox, c.other)
			if did := h.again(c.x); did != 0 {
				t.Errorf("%d messages were touched the second time", did)
			}
			h.has(c.inbox, c.other)
		})
	}
}

// copyAndExpunge is the operation, whole, and an owner who removes the first copy.
func (h *half) copyAndExpunge() {
	h.t.Helper()
	h.link("new/1.one", ".Other/new/1.copy")
	h.clock.Advance(h.vol.Config.VerifyInterval)
	v := h.view(".Other")
	check(h.t, v.Expunge(h.t.Context(), []uint32{1}))
	check(h.t, v.Close())
}

// TestWhatWasExpungedStaysAway: an expunge is done again as far as it is not done, and is
// remembered also of messages that the index has never heard of, whose deliveries may be
// repeated.
func TestWhatWasExpungedStaysAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind recovery.Kind
		x    recovery.Repetition
		// other: the record is of another mailbox of that name.
		other bool
		stays bool
	}{
		"expunged":                        {kind: recovery.Expunged},
		"moved to where it is no more":    {kind: recovery.Moved},
		"copied to where it is no more":   {kind: recovery.Copied, stays: true},
		"taken back":                      {kind: recovery.Expunged, x: recovery.Repetition{Undo: true}, stays: true},
		"of the folder that was renamed":  {kind: recovery.Expunged, x: recovery.Repetition{Left: true}},
		"of another folder of that name":  {kind: recovery.Expunged, x: recovery.Repetition{Left: true}, other: true, stays: true},
		"of a folder that was made again": {kind: recovery.Expunged, other: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHalf(t, c.kind)
			id := "ID7"
			file := maildir.BaseName(1e9, maildir.IDName(id), "host.test", 14, 17)
			h.record.Items = append(h.record.Items, recovery.Item{UID: 9, Name: file, NewUID: 9, NewName: "9.copy"})
			if c.other {
				h.record.Validity++
			}
			want := []string{"one []", "two []", `three [\Seen]`}
			did, wantDid := 0, 0
			if !c.stays {
				want, wantDid = want[2:], 2
			}
			for range 2 {
				h.clock.Advance(h.vol.Config.VerifyInterval)
				n, err := box.RepeatExpunge(t.Context(), h.box(""), &h.record, c.x)
				check(t, err)
				did += n
			}
			if did != wantDid {
				t.Errorf("%d files were removed, want %d", did, wantDid)
			}
			h.has(want, nil)
			d := &box.Delivery{Content: message("again"), ID: id, Replay: true, Date: time.Unix(1e9, 0)}
			check(t, h.box("").Deliver(t.Context(), d))
			if there := slices.Contains(h.names(""), "again []"); there != c.stays {
				t.Errorf("its delivery is repeated, and it is there: %v", there)
			}
		})
	}
}

// TestAnOperationIsDoneAgainOnAFailingDisk: whatever fails in it, the next try finishes it.
func TestAnOperationIsDoneAgainOnAFailingDisk(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]recovery.Kind{"copy": recovery.Copied, "move": recovery.Moved} {
		for _, undo := range []bool{false, true} {
			for _, op := range []faultfs.Op{faultfs.Any, faultfs.Stat, faultfs.Open, faultfs.ReadDir} {
				t.Run(fmt.Sprint(name, " ", undo, " ", op), func(t *testing.T) {
					t.Parallel()
					for n := 1; ; n++ {
						h := newHalf(t, kind)
						x := recovery.Repetition{Undo: undo}
						if undo {
							check(t, h.disk.Link("/mail/alice/new/1.one", "/mail/alice/.Other/new/1.copy"))
						}
						h.clock.Advance(h.vol.Config.VerifyInterval)
						h.faults.Reset()
						h.faults.FailNth(op, n, faultfs.EIO)
						_, err := box.Repeat(t.Context(), h.box(""), h.box(".Other"), &h.record, x)
						failed := h.faults.Count(op) >= n
						h.faults.Reset()
						if !failed && err != nil {
							t.Fatalf("nothing failed: %v", err)
						}
						h.again(x)
						switch {
						case undo:
							h.has([]string{"one []", "two []", `three [\Seen]`}, nil)
						case kind == recovery.Moved:
							h.has([]string{`three [\Seen]`}, []string{"one []", `two [\Flagged work]`})
						default:
							h.has([]string{"one []", "two []", `three [\Seen]`}, []string{"one []", `two [\Flagged work]`})
						}
						h.end()
						if t.Failed() {
							t.Fatalf("%s %d failed, which said %v", op, n, err)
						}
						if !failed {
							return
						}
					}
				})
			}
		}
	}
}

// TestAMessageIsRestored: from the journal, with its UID, date, flags and keywords, once; one
// that its owner removed is not, nor one into another mailbox of that name.
func TestAMessageIsRestored(t *testing.T) {
	t.Parallel()
	text := []byte("Subject: restored\n\nx\n")
	name := maildir.BaseName(1e9, "M1P2R3Q4", "host.test", int64(len(text)), int64(len(text))+3)
	for what, c := range map[string]struct {
		before func(d *desk, r *recovery.Record)
		left   bool
		want   []string
		did    int
	}{
		"lost":                            {func(*desk, *recovery.Record) {}, false, []string{`7 restored [\Flagged work]`}, 1},
		"whole":                           {func(d *desk, _ *recovery.Record) { d.write("cur/"+name+":2,F", string(text)) }, false, []string{`1 restored [\Flagged]`}, 0},
		"a part of it":                    {func(d *desk, _ *recovery.Record) { d.write("cur/"+name+":2,F", string(text[:9])) }, false, []string{`1 restored [\Flagged]`}, 0},
		"with more than it had":           {func(d *desk, _ *recovery.Record) { d.write("cur/"+name+":2,F", string(text)+strings.Repeat("y", 99)) }, false, []string{`1 restored [\Flagged]`}, 0},
		"without a record of its content": {func(_ *desk, r *recovery.Record) { r.HasContent = false }, false, nil, 0},
		"its UID is another's":            {func(d *desk, r *recovery.Record) { d.append("", "first"); r.UID = 1 }, false, []string{"1 first []", `2 restored [\Flagged work]`}, 1},
		"another mailbox":                 {func(_ *desk, r *recovery.Record) { r.Validity++ }, true, nil, 0},
		"made anew":                       {func(_ *desk, r *recovery.Record) { r.Validity++ }, false, []string{`1 restored [\Flagged work]`}, 1},
		"the same that was renamed":       {func(*desk, *recovery.Record) {}, true, []string{`7 restored [\Flagged work]`}, 1},
		"removed by its owner": {func(d *desk, r *recovery.Record) {
			d.write("cur/"+name+":2,F", string(text))
			d.clock.Advance(d.vol.Config.VerifyInterval)
			v := d.view("")
			check(d.t, v.Expunge(d.t.Context(), []uint32{1}))
			check(d.t, v.Close())
		}, false, nil, 0},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, faultfs.NewDisk(), nil)
			status, err := d.box("").Status(t.Context())
			check(t, err)
			r := &recovery.Record{
				Kind: recovery.Stored, Home: "alice", Name: name, Validity: status.UIDValidity, UID: 7, Flags: maildir.Flagged,
				Keywords: flags("work"), Date: 1e9, Zone: 90, HasContent: true,
			}
			c.before(d, r)
			d.clock.Advance(d.vol.Config.VerifyInterval)
			did, err := box.Restore(t.Context(), d.box(""), r, c.left, text)
			if err != nil || did != c.did {
				t.Errorf("%d, %v", did, err)
			}
			d.sees("", c.want...)
			if did, err := box.Restore(t.Context(), d.box(""), r, c.left, text); err != nil || did != 0 {
				t.Errorf("again: %d, %v", did, err)
			}
			d.sees("", c.want...)
			if len(c.want) == 0 || c.did == 0 {
				return
			}
			v := d.view("")
			defer v.Close()
			m := v.Message(uint32(v.Len()))
			if _, zone := m.Date.Zone(); m.Date.Unix() != 1e9 || zone != 90*60 || m.Size != int64(len(text))+3 {
				t.Errorf("%+v", m)
			}
		})
	}
}

// TestDeletionsAndRenamesAreDoneAgain for the very folder that is meant, and no other of
// its name.
func TestDeletionsAndRenamesAreDoneAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, faultfs.NewDisk(), nil)
	d.make("A")
	d.append(".A", "one")
	status, err := d.box(".A").Status(t.Context())
	check(t, err)
	aside, err := box.RepeatDelete(t.Context(), d.box(".A"), status.UIDValidity+1)
	if err != nil || aside != "" || d.boxes[".A"] == nil {
		t.Errorf("another folder was taken: %q %v", aside, err)
	}
	d.sees(".A", "1 one []")
	v := d.view(".A")
	left := recovery.Departure{}
	check(t, box.RepeatRename(t.Context(), d.box(".A"), func(l recovery.Departure) error { left = l; return nil }, ".B"))
	if want := (recovery.Departure{Folder: recovery.Folder{Home: "alice", Dir: ".A"}, Validity: status.UIDValidity}); left != want {
		t.Errorf("%+v left", left)
	}
	if !strings.Contains(d.read(".B/dovecot-uidlist"), "1 :") {
		t.Error("its uidlist was not written")
	}
	if _, err := v.Update(t.Context(), true); err == nil {
		t.Error("a view goes on in a folder that was renamed before the start")
	}
	failed := fmt.Errorf("no")
	if err := box.RepeatRename(t.Context(), d.box(".B"), func(recovery.Departure) error { return failed }, ".C"); err == nil {
		t.Error("it was renamed though nobody could note it")
	}
	d.sees(".B", "1 one []")
	aside, err = box.RepeatDelete(t.Context(), d.box(".B"), status.UIDValidity)
	if err != nil || !strings.HasPrefix(aside, "/mail/"+volume.Private+"/spool/") {
		t.Errorf("%q %v", aside, err)
	}
	for _, dir := range []string{".A", ".B", ".C"} {
		if there, err := d.vol.IsMaildir("/mail/alice/" + dir); there || err != nil || d.boxes[dir] != nil {
			t.Errorf("%s is there: %v", dir, err)
		}
	}
}
