package recovery

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"

	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/journal"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/logtest"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/volume"
)

// TestRecordsOnTheDisk: each kind of record as it lies on the disk. What was written once
// must be read by every later program, so these never change.
func TestRecordsOnTheDisk(t *testing.T) {
	t.Parallel()
	item := Item{
		UID: 1, Name: "n", NewUID: 300, NewName: "m", Flags: maildir.Seen, Keywords: flags("k", "$x"), Rest: ":2,Z", Date: -1, Zone: -90,
	}
	position := journal.Position{Segment: 1 << 40, Offset: 70000}
	for name, c := range map[string]struct {
		disk string
		want Record
	}{
		"stored":                      {"01010468406578022e41016e87040580808080041bb40101016b01636f6e74656e74", Record{Kind: Stored, Home: "h@ex", Dir: ".A", Name: "n", Validity: 519, UID: 5, Flags: maildir.Seen, Date: -14, Zone: 90, Keywords: flags("k"), HasContent: true}},
		"left":                        {hex.EncodeToString((Departure{Folder: Folder{"h", ".A"}, Validity: 7, Deleted: true, operation: 9}).record()), Record{Kind: Left, Home: "h", Dir: ".A", Validity: 7, operation: 9, Deleted: true}},
		"left, old":                   {"01020168022e41", Record{Kind: Left, Home: "h", Dir: ".A"}},
		"left, older than operations": {"01020168022e4107", Record{Kind: Left, Home: "h", Dir: ".A", Validity: 7}},
		"done":                        {"0103808080808020f0a204", Record{Kind: Done, done: position}},
		"copied":                      {"01040168022e41ac020000022e42070101016eac02016d808080800401b30102016b022478043a322c5a", Record{Kind: Copied, Home: "h", Dir: ".A", To: ".B", operation: 300, ToValidity: 7, Items: []Item{item}}},
		"moved":                       {"0105016800ac020105022e42070101016eac02016d808080800401b30102016b022478043a322c5a", Record{Kind: Moved, Home: "h", To: ".B", operation: 300, more: true, Validity: 5, ToValidity: 7, Items: []Item{item}}},
		"expunged":                    {"0106016800ac0200050201016e02016f", Record{Kind: Expunged, Home: "h", operation: 300, Validity: 5, Items: []Item{{UID: 1, Name: "n"}, {UID: 2, Name: "o"}}}},
		"undone":                      {"01070000ac02", Record{Kind: Undone, operation: 300}},
		"renamed":                     {"01080168022e41ac02022e42", Record{Kind: Renamed, Home: "h", Dir: ".A", operation: 300, To: ".B"}},
	} {
		b, err := hex.DecodeString(c.disk)
		if err != nil {
			t.Errorf("%s: %v: %x", name, err, encode(&c.want))
			continue
		}
		got, err := decodeRecord(b)
		if err != nil {
			t.Errorf("%s: %v, it is %x", name, err, encode(&c.want))
			continue
		}
		content := got.content
		got.content = nil
		if !reflect.DeepEqual(got, &c.want) || name == "stored" && string(content) != "content" {
			t.Errorf("%s:\n%+v, want\n%+v", name, got, &c.want)
		}
		if again := encode(&c.want); again != nil && c.want.Kind != Left && hex.EncodeToString(again) != c.disk {
			t.Errorf("%s is written as\n%x, was\n%s", name, again, c.disk)
		}
		// Cut anywhere it is no record, or an older form.
		for n := range b {
			if r, err := decodeRecord(b[:n]); err == nil && r.Kind != Left && r.Kind != Stored {
				t.Errorf("%s, cut at %d of %d, is %+v", name, n, len(b), r)
			}
		}
	}
	for name, bad := range map[string]string{
		"nothing": "", "another version": "02010168", "no such kind": "01090168022e41", "kind 0": "01000168022e41",
		"a message without a name": "010101680000070504021b000000", "without a UID": "0101016800016e070000000000",
		"an item without a new name": "0105016800000505022e42070101016e0500000000000000",
	} {
		b, err := hex.DecodeString(bad)
		if err != nil {
			t.Fatal(name, err)
		}
		if r, err := decodeRecord(b); err == nil {
			t.Errorf("%s is %+v", name, r)
		}
	}
}

// encode is a record as it is written.
func encode(r *Record) []byte {
	switch r.Kind {
	case Stored:
		return append(r.stored(r.HasContent), "content"...)
	case Undone:
		return appendUndone(r.operation)
	case Renamed:
		return appendRenamed(Folder{r.Home, r.Dir}, r.operation, r.To)
	case Copied, Moved, Expunged:
		b := r.head()
		b = append(b, byte(len(r.Items)))
		for i := range r.Items {
			b = r.Items[i].append(b, r.Kind)
		}
		return b
	}
	return nil
}

// room is a journal with little room on a disk that fails on demand.
type room struct {
	*Journal
	vol    *volume.Volume
	disk   *faultfs.Disk
	faults *faultfs.Faults
	log    *logtest.Buffer
	hands  *notes
}

func newRoom(t *testing.T, disk *faultfs.Disk, h *notes) *room {
	t.Helper()
	r := &room{disk: disk, faults: faultfs.Wrap(disk), log: &logtest.Buffer{}, hands: h}
	c := configs.Default().Store
	c.JournalSegment = 1 << 20
	r.vol = volume.New(volume.Options{
		Root: "/mail", FS: r.faults, Clock: clock.System{}, Log: msglog.New(slog.NewTextHandler(r.log, nil)), Hostname: "host.test", Config: c,
	})
	check(t, disk.MkdirAll("/mail/"+volume.Private, 0o700))
	check(t, r.vol.Open(t.Context()))
	r.Journal = New(r.vol)
	check(t, r.Recover(t.Context(), h))
	return r
}

func (r *room) end(t *testing.T) {
	t.Helper()
	check(t, errors.Join(r.Journal.Close(t.Context()), r.vol.Close()))
}

// killed is the disk as the next process finds it, with what was noted lazily.
func (r *room) killed(t *testing.T) *faultfs.Disk {
	t.Helper()
	check(t, r.Flush(t.Context()))
	disk := r.disk.Crash()
	r.end(t)
	return disk
}

// TestAnOperationOfManyRecords is done again whole, and when its last record is missing not
// at all: it was never begun.
func TestAnOperationOfManyRecords(t *testing.T) {
	t.Parallel()
	items := make([]Item, 2*maxItems+1)
	for i := range items {
		items[i] = Item{UID: uint32(i) + 1, Name: fmt.Sprint("n", i)}
	}
	r := &Record{Kind: Expunged, Home: "alice", Validity: 7, Items: items, operation: 5}
	records := r.records()
	if len(records) != 3 {
		t.Fatalf("%d records", len(records))
	}
	var all []Item
	for i, b := range records {
		one, err := decodeRecord(b)
		check(t, err)
		if one.more != (i < 2) || len(one.Items) > maxItems {
			t.Errorf("record %d: more %v, %d items", i, one.more, len(one.Items))
		}
		all = append(all, one.Items...)
	}
	if !reflect.DeepEqual(all, items) {
		t.Error("the items are not those")
	}
	for n, want := range map[int]int{2: 0, 3: 3} {
		j := newRoom(t, faultfs.NewDisk(), &notes{})
		for _, b := range records[:n] {
			check(t, j.own.AppendLazy(b))
		}
		next := newRoom(t, j.killed(t), &notes{})
		if len(next.hands.did) != want {
			t.Errorf("%d of three records are there, and %q was done", n, next.hands.did)
		}
		next.end(t)
	}
}

// TestWhatIsNoRecordIsKept in corrupt/, with a line in the log; the others are done.
func TestWhatIsNoRecordIsKept(t *testing.T) {
	t.Parallel()
	j := newRoom(t, faultfs.NewDisk(), &notes{})
	store(t, j.Account("alice"), "", "one")
	check(t, j.own.AppendLazy([]byte("\x02a record of a later version")))
	store(t, j.Account("alice"), "", "two")
	next := newRoom(t, j.killed(t), &notes{})
	if len(next.hands.did) != 2 {
		t.Errorf("%q", next.hands.did)
	}
	dir := next.corrupt(next.dir(0))
	entries, err := next.disk.ReadDir(dir)
	check(t, err)
	if len(entries) != 1 {
		t.Fatalf("%v", entries)
	}
	kept, err := volume.ReadFile(next.disk, dir+"/"+entries[0].Name())
	if err != nil || string(kept) != "\x02a record of a later version" || !strings.Contains(next.log.String(), "kept in corrupt") {
		t.Errorf("%q %v, log %s", kept, err, next.log)
	}
	// Where it cannot be kept the log says so.
	next.faults.FailFrom(faultfs.Create, 1, faultfs.ENOSPC)
	if next.saveRecord(next.dir(0), journal.Position{}, []byte("x"), errors.New("why")) || !strings.Contains(next.log.String(), "cannot be kept") {
		t.Errorf("log %s", next.log)
	}
	next.faults.Reset()
	next.end(t)
}

// TestAFolderLeavesOnlyWhenThatIsNoted, and what could not leave has not: what was put there
// is done again at the next start.
func TestAFolderLeavesOnlyWhenThatIsNoted(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(a *AccountJournal, move func() error) error{
		"one": func(a *AccountJournal, move func() error) error {
			return a.Leave(context.Background(), Departure{Folder: Folder{Dir: ".A"}, Validity: 7}, move)
		},
		"all": func(a *AccountJournal, move func() error) error {
			return a.LeaveAll(context.Background(), func() ([]string, error) { return []string{"", ".A"}, nil }, move)
		},
	} {
		j := newRoom(t, faultfs.NewDisk(), &notes{})
		a := j.Account("alice")
		store(t, a, ".A", "one")
		j.faults.FailFrom(faultfs.Sync, 1, faultfs.EIO)
		if err := leave(a, func() error { t.Errorf("%s: it left without a note", name); return nil }); err == nil {
			t.Errorf("%s: no error", name)
		}
		j.faults.Reset()
		disk := j.disk.Crash()
		_ = j.Journal.Close(t.Context()) // its disk has failed
		check(t, j.vol.Close())
		next := newRoom(t, disk, &notes{})
		if len(next.hands.did) != 1 {
			t.Errorf("%s: %q", name, next.hands.did)
		}
		next.end(t)
	}
	// Who asks which folders there are hears of a failure, and nothing leaves.
	j := newRoom(t, faultfs.NewDisk(), &notes{})
	failed := errors.New("no")
	err := j.Account("alice").LeaveAll(t.Context(), func() ([]string, error) { return nil, failed }, func() error { t.Error("it left"); return nil })
	if !errors.Is(err, failed) {
		t.Error(err)
	}
	j.end(t)
}

// TestBeginOnAFailingDisk: with an error nothing is to be changed, and nothing will be at the
// next start; the account's order is free again.
func TestBeginOnAFailingDisk(t *testing.T) {
	t.Parallel()
	for _, reserve := range []Reserve{AnyRoom, FreeRoom} {
		for _, op := range []faultfs.Op{faultfs.Write, faultfs.Sync} {
			j := newRoom(t, faultfs.NewDisk(), &notes{})
			a := j.Account("alice")
			store(t, a, "", "one")
			j.faults.Reset()
			j.faults.FailFrom(op, 1, faultfs.EIO)
			r := &Record{Kind: Moved, To: ".B", Items: []Item{{UID: 1, Name: "n", NewUID: 2, NewName: "m"}}}
			if _, err := a.Begin(t.Context(), r, reserve); err == nil {
				t.Errorf("%v %s: no error", reserve, op)
			}
			// Who takes the order alone has it at once.
			none := errors.New("none")
			if err := a.LeaveAll(t.Context(), func() ([]string, error) { return nil, none }, nil); !errors.Is(err, none) {
				t.Error(err)
			}
			j.faults.Reset()
			disk := j.disk.Crash()
			_ = j.Journal.Close(t.Context())
			check(t, j.vol.Close())
			next := newRoom(t, disk, &notes{})
			if len(next.hands.did) != 1 || !strings.HasPrefix(next.hands.did[0], "restore") {
				t.Errorf("%v %s: %q", reserve, op, next.hands.did)
			}
			next.end(t)
		}
	}
}

// TestJournalsOfSeveralProcesses: each has its own. A start finishes those that nobody uses,
// and none that somebody does; what one of them did is what another waited for.
func TestJournalsOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	first, second := newRoom(t, disk, &notes{}), newRoom(t, disk, &notes{})
	store(t, first.Account("alice"), "", "one")
	store(t, second.Account("alice"), ".A", "two")
	check(t, first.Account("alice").Leave(t.Context(), Departure{Folder: Folder{Dir: ".A"}, Validity: 7}, func() error { return nil }))
	third := newRoom(t, disk, &notes{})
	if len(third.hands.did) != 0 {
		t.Errorf("of processes that live: %q", third.hands.did)
	}
	third.end(t)
	killed := disk.Crash()
	second.end(t)
	first.end(t)
	next := newRoom(t, killed, &notes{once: map[string]bool{}})
	// All are done again as long as one of them did something: that folder left, as another
	// journal says, so what was put there counts only in the very same one.
	want := []string{`restore alice one "content of one" left false`, `restore alice.A two "content of two" left true`}
	if !slices.Equal(next.hands.did, want) {
		t.Errorf("%q", next.hands.did)
	}
	next.end(t)
}

// TestPromises are what clients were told of messages, while a start finishes what is undone,
// and nothing afterwards.
func TestPromises(t *testing.T) {
	t.Parallel()
	j := newRoom(t, faultfs.NewDisk(), &notes{})
	a := j.Account("alice")
	r := &Record{Dir: ".A", Name: "gone", Validity: 7, UID: 3, Date: 100, HasContent: true}
	check(t, a.Stored(t.Context(), r, never, nil, []byte("x")))
	check(t, a.Leave(t.Context(), Departure{Folder: Folder{Dir: ".A"}, Validity: 7}, func() error { return nil }))
	r = &Record{Dir: "", Name: "one", Validity: 7, UID: 4, Date: 200, Zone: 60, HasContent: true}
	check(t, a.Stored(t.Context(), r, never, []byte("prefix "), []byte("x")))
	begin(t, a, Copied, "", ".B")
	begin(t, a, Moved, "", ".C").Undo()
	h := &asking{notes: &notes{}}
	disk := j.killed(t)
	vol := volume.New(j.vol.Options)
	vol.FS = disk
	check(t, vol.Open(t.Context()))
	next := New(vol)
	h.ask = func() {
		for f, want := range map[Folder]map[string]Promise{
			{"alice", ""}:   {"one": {4, 200, 60}},
			{"alice", ".A"}: nil,
			{"alice", ".B"}: {"m": {2, 0, 0}},
			{"alice", ".C"}: nil,
			{"bob", ""}:     nil,
		} {
			if got := next.Promised(f); len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
				t.Errorf("%v: %+v, want %+v", f, got, want)
			}
		}
	}
	check(t, next.Recover(t.Context(), h))
	if h.asked == 0 || next.Promised(Folder{"alice", ""}) != nil {
		t.Errorf("asked %d times; afterwards %v", h.asked, next.Promised(Folder{"alice", ""}))
	}
	check(t, errors.Join(next.Close(t.Context()), vol.Close()))
	if len(h.did) == 0 || h.did[0] != `restore alice one "prefix x" left false` {
		t.Errorf("%q", h.did)
	}
}

// asking are hands that ask something when they restore a message.
type asking struct {
	*notes
	ask   func()
	asked int
}

func (a *asking) Restore(ctx context.Context, r *Record, left bool, content func() ([]byte, error)) (int, error) {
	a.ask()
	a.asked++
	return a.notes.Restore(ctx, r, left, content)
}

// TestAbandon: what waits for an account that is removed waits no more, and nothing of it is
// done at the next start; what waits for others goes on waiting.
func TestAbandon(t *testing.T) {
	t.Parallel()
	j := newRoom(t, faultfs.NewDisk(), &notes{})
	store(t, j.Account("alice"), ".A", "one")
	store(t, j.Account("bob"), ".A", "two")
	begin(t, j.Account("alice"), Copied, ".A", ".B")
	h := &notes{broken: map[string]bool{".A": true}}
	next := newRoom(t, j.killed(t), h)
	if next.Unfinished() != 3 || !next.Waits(Folder{"alice", ".A"}) || !next.Waits(Folder{"alice", ".B"}) || next.Waits(Folder{"bob", ".B"}) {
		t.Errorf("%d wait", next.Unfinished())
	}
	check(t, next.Abandon(t.Context(), "alice"))
	if next.Unfinished() != 1 || next.Waits(Folder{"alice", ".A"}) || next.Waits(Folder{"alice", ".B"}) || !next.Waits(Folder{"bob", ".A"}) {
		t.Errorf("%d wait", next.Unfinished())
	}
	last := newRoom(t, next.killed(t), &notes{})
	if want := []string{`restore bob.A two "content of two" left false`}; !slices.Equal(last.hands.did, want) {
		t.Errorf("%q", last.hands.did)
	}
	last.end(t)
}

func flags(names ...imap.Flag) []imap.Flag { return names }
