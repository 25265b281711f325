package box_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/logtest"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mailstore/box"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/search"
)

// oldAccount puts alice's account as a program left it whose records had version 2:
// seven messages in INBOX, of which the sixth is expunged, flags and keywords.
func oldAccount(t *testing.T, root string) {
	t.Helper()
	s, err := mailstore.Open(t.Context(), options(root))
	check(t, err)
	check(t, s.Close())
	file, err := os.Open("testdata/golden/account-record2.tar")
	check(t, err)
	defer file.Close()
	r := tar.NewReader(file)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		check(t, err)
		name := home(root, h.Name)
		if h.Typeflag == tar.TypeDir {
			check(t, os.MkdirAll(name, 0o700))
			continue
		}
		content, err := io.ReadAll(r)
		check(t, errors.Join(err, os.WriteFile(name, content, 0o600)))
	}
}

// watched says which files of messages are opened.
func watched(o *mailstore.Options) *[]string {
	opened := &[]string{}
	faults := faultfs.Wrap(o.FS)
	faults.Hook(func(op faultfs.Op, name string) error {
		if dir := filepath.Base(filepath.Dir(name)); op == faultfs.Open && (dir == "cur" || dir == "new") {
			*opened = append(*opened, name)
		}
		return nil
	})
	o.FS = faults
	return opened
}

// whole is all that is kept of a message, in one piece.
func whole(m *mime.Message) []byte { return m.Fields.AppendBinary(m.AppendBinary(nil)) }

// scanned is what a scan of message seq finds today.
func scanned(t *testing.T, v *mailstore.View, seq uint32) *mime.Message {
	t.Helper()
	c, err := v.Read(t.Context(), seq)
	check(t, err)
	m, err := mime.Scan(envelope.Reader(c))
	check(t, errors.Join(err, c.Close()))
	m.Keys = search.AppendSortKeys(nil, m)
	return m
}

// told is what a client knows of a mailbox.
func told(v *mailstore.View) (all []mailstore.Message) {
	for seq := range uint32(v.Len()) {
		m := v.Message(seq + 1)
		m.Flags = slices.Clone(m.Flags)
		all = append(all, m)
	}
	return all
}

func sameMessages(t *testing.T, got, want []mailstore.Message) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b mailstore.Message) bool {
		return a.UID == b.UID && slices.Equal(a.Flags, b.Flags) && a.Size == b.Size && a.Date.Equal(b.Date)
	}) {
		t.Errorf("%v\nwant %v", got, want)
	}
}

// sameListing compares what a list of message seq shows with its record.
func sameListing(t *testing.T, v *mailstore.View, seq uint32, record *mime.Message) {
	t.Helper()
	envelope, structure, body := slices.Clone(record.Envelope), slices.Clone(record.Structure), record.AppendBody(nil)
	var m mime.Message
	var in mailstore.Message
	check(t, v.Listing(t.Context(), seq, &m, &in))
	if !bytes.Equal(m.Envelope, envelope) || !bytes.Equal(m.Structure, structure) || !bytes.Equal(m.AppendBody(nil), body) {
		t.Errorf("message %d is listed as %q %q", seq, m.Envelope, m.Structure)
	}
	sameMessages(t, []mailstore.Message{in}, []mailstore.Message{v.Message(seq)})
	check(t, v.Listing(t.Context(), seq, &m, nil))
	if !bytes.Equal(m.Envelope, envelope) {
		t.Errorf("message %d has the envelope %q", seq, m.Envelope)
	}
}

// TestAListing of a message whose record is lost comes from the message, one of a
// message that is no more is an error, and one goes on where the mailbox was renamed.
func TestAListing(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	opened := watched(&o)
	s, u := open(t, o)
	deliver(t, s, "one")
	deliver(t, s, "two")
	check(t, u.Create(t.Context(), "A", ""))
	v := inbox(t, u)
	check(t, box.PutEntry(t.Context(), v, 1, []byte{255}))
	*opened = nil
	sameListing(t, v, 1, scanned(t, v, 1))
	if len(*opened) == 0 {
		t.Error("a lost record was read")
	}
	_, _, err := v.Copy(t.Context(), []uint32{1, 2}, "A")
	check(t, err)
	a, err := u.Open(t.Context(), "A", false)
	check(t, err)
	defer func() { check(t, a.Close()) }()
	check(t, u.Rename(t.Context(), "A", "B"))
	sameListing(t, a, 2, scanned(t, v, 2))
	var m mime.Message
	var in mailstore.Message
	check(t, v.Expunge(t.Context(), []uint32{2}))
	for _, seq := range []uint32{0, 2, 3} {
		if err := v.Listing(t.Context(), seq, &m, &in); !errors.Is(err, mailstore.ErrExpunged) {
			t.Errorf("message %d: %v", seq, err)
		}
	}
}

// TestAnIndexOfBeforeIsReadAndFilled: nothing of it is lost, its records answer what
// they know without a look at a message, and what they lack is looked up once.
func TestAnIndexOfBeforeIsReadAndFilled(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	oldAccount(t, root)
	var before []mailstore.Message
	var records [][]byte
	for pass := range 3 {
		o := options(root)
		opened := watched(&o)
		s, err := mailstore.Open(t.Context(), o)
		check(t, err)
		u, err := s.User(t.Context(), alice())
		check(t, err)
		v, err := u.Open(t.Context(), "INBOX", false)
		check(t, err)
		if pass == 0 {
			before = told(v)
			var uids []imap.UID
			for _, m := range before {
				uids = append(uids, m.UID)
			}
			if !slices.Equal(uids, []imap.UID{1, 2, 3, 4, 5, 7}) || !slices.Equal(before[4].Flags, []imap.Flag{imap.FlagSeen, "$Label", "work"}) ||
				!slices.Equal(before[1].Flags, []imap.Flag{imap.FlagAnswered, "work"}) {
				t.Fatalf("%v", before)
			}
		}
		sameMessages(t, told(v), before)
		*opened = nil
		var m mime.Message
		for seq := range uint32(v.Len()) {
			check(t, v.Record(t.Context(), seq+1, &m, false))
			if m.Whole() != (pass > 0) || len(m.Envelope) == 0 {
				t.Errorf("pass %d: message %d is whole: %v", pass, seq+1, m.Whole())
			}
			sameListing(t, v, seq+1, &m)
		}
		if len(*opened) > 0 {
			t.Errorf("pass %d: opened %q", pass, *opened)
		}
		for seq := range uint32(v.Len()) {
			check(t, v.Record(t.Context(), seq+1, &m, true))
			if pass == 0 {
				records = append(records, whole(&m))
			}
			if !bytes.Equal(whole(&m), records[seq]) {
				t.Errorf("pass %d: message %d has another record", pass, seq+1)
			}
		}
		if want := []int{v.Len(), 0, 0}[pass]; len(*opened) != want {
			t.Errorf("pass %d: opened %q", pass, *opened)
		}
		for seq := range uint32(v.Len()) {
			if want := scanned(t, v, seq+1); !bytes.Equal(whole(want), records[seq]) {
				t.Errorf("message %d: the header was not read as a scan reads it", seq+1)
			}
		}
		check(t, errors.Join(v.Close(), u.Close(), s.Close()))
	}
}

// putOld gives a message of v the record that a program of version 2 wrote.
func putOld(t *testing.T, v *mailstore.View, seq uint32) {
	t.Helper()
	m := scanned(t, v, seq)
	m.Keys, m.Fields = nil, mime.Fields{}
	record := m.AppendBinary(nil)
	record[0] = 2
	check(t, box.PutEntry(t.Context(), v, seq, record))
	box.DropWindow(v)
	check(t, v.Record(t.Context(), seq, m, false))
	if m.Whole() {
		t.Fatal("the record is not an old one")
	}
}

// TestAFillThatCannotBeKept: the answer is right all the same, whatever the disk
// says.
func TestAFillThatCannotBeKept(t *testing.T) {
	t.Parallel()
	for _, name := range []string{index.CacheFile, index.LogFile} {
		o := options(t.TempDir())
		faults := faultfs.Wrap(o.FS)
		o.FS = faults
		s, u := open(t, o)
		deliver(t, s, "one")
		v := inbox(t, u)
		putOld(t, v, 1)
		for _, failure := range []error{syscall.ENOSPC, syscall.EIO} {
			faults.Hook(func(op faultfs.Op, file string) error {
				if op == faultfs.Write && filepath.Base(file) == name {
					return failure
				}
				return nil
			})
			var m mime.Message
			if err := v.Record(t.Context(), 1, &m, true); err != nil || !m.Fields.Answers("subject") || !strings.Contains(string(m.Fields.Lines), "Subject: one\n") {
				t.Errorf("%s, %v: %v %q", name, failure, err, m.Fields.Lines)
			}
		}
		faults.Hook(nil)
		var m mime.Message
		check(t, v.Record(t.Context(), 1, &m, true))
		box.DropWindow(v)
		check(t, v.Record(t.Context(), 1, &m, false))
		if !m.Whole() {
			t.Error("it is not kept when that is possible again")
		}
	}
}

// TestAFillThatIsBrokenOffHidesNothing: who goes away while a record is written, and a
// process that has the mailbox locked, are no failure of the disk. The log says the one
// that comes after them, once.
func TestAFillThatIsBrokenOffHidesNothing(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	o := options(root)
	faults := faultfs.Wrap(o.FS)
	o.FS, o.Store.LockTimeout = faults, time.Millisecond
	var said logtest.Buffer
	o.Log = msglog.New(slog.NewTextHandler(&said, nil))
	s, u := open(t, o)
	deliver(t, s, "one")
	v := inbox(t, u)
	putOld(t, v, 1)
	ask := func(ctx context.Context) {
		t.Helper()
		var m mime.Message
		if err := v.Record(ctx, 1, &m, true); err != nil || !m.Fields.Answers("subject") {
			t.Errorf("%v %q", err, m.Fields.Lines)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	other, err := (vfs.OS{}).OpenFile(home(root, index.LogFile), os.O_RDWR, 0)
	check(t, err)
	check(t, other.TryLock())
	ask(ctx)
	ask(t.Context())
	check(t, other.Close())
	if log := said.String(); log != "" {
		t.Errorf("the log has %s", log)
	}
	faults.Hook(func(op faultfs.Op, file string) error {
		if op == faultfs.Write && filepath.Base(file) == index.LogFile {
			return syscall.EIO
		}
		return nil
	})
	ask(t.Context())
	ask(t.Context())
	faults.Hook(nil)
	if log := said.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "cannot be written") || !strings.Contains(log, syscall.EIO.Error()) {
		t.Errorf("the log has %q", log)
	}
}

// TestTheEndOfAProcessInAFill, and of the power, at every operation: the mailbox has
// its messages, flags and records.
func TestTheEndOfAProcessInAFill(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	faults := faultfs.Wrap(disk)
	o := options("/store")
	o.FS = faults
	s, err := mailstore.Open(t.Context(), o)
	check(t, err)
	u, err := s.User(t.Context(), alice())
	check(t, err)
	for _, n := range []string{"one", "two", "three"} {
		check(t, s.Deliver(t.Context(), alice(), &mailstore.Delivery{Content: message(n), Flags: []imap.Flag{imap.FlagFlagged, imap.Flag(n)}}))
	}
	v, err := u.Open(t.Context(), "INBOX", false)
	check(t, err)
	for seq := range uint32(3) {
		putOld(t, v, seq+1)
	}
	check(t, s.Checkpoint(t.Context()))
	want := told(v)
	random := rand.New(rand.NewPCG(1, 31))
	var disks []*faultfs.Disk
	var mu sync.Mutex // the journal makes a segment beside
	faults.Hook(func(op faultfs.Op, _ string) error {
		mu.Lock()
		defer mu.Unlock()
		disks = append(disks, disk.Clone(), disk.CrashRandom(random))
		return nil
	})
	var m mime.Message
	for seq := range uint32(3) {
		check(t, v.Record(t.Context(), seq+1, &m, true))
	}
	mu.Lock()
	disks = append(disks, disk.Clone())
	mu.Unlock()
	faults.Hook(nil)
	check(t, errors.Join(v.Close(), u.Close(), s.Close()))
	mu.Lock() // who was in the hook is out
	defer mu.Unlock()
	if len(disks) < 12 {
		t.Fatalf("%d operations", len(disks)/2)
	}
	for i, d := range disks {
		o := options("/store")
		o.FS = d
		s, u := open(t, o)
		v := inbox(t, u)
		sameMessages(t, told(v), want)
		for seq := range uint32(v.Len()) {
			check(t, v.Record(t.Context(), seq+1, &m, true))
			if !bytes.Equal(whole(&m), whole(scanned(t, v, seq+1))) {
				t.Errorf("disk %d, message %d: another record", i, seq+1)
			}
		}
		_ = s
	}
}

// TestCopiesHaveTheWholeRecord: nobody reads a header again because its message was
// copied or moved.
func TestCopiesHaveTheWholeRecord(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	opened := watched(&o)
	s, u := open(t, o)
	deliver(t, s, "one")
	deliver(t, s, "two")
	check(t, u.Create(t.Context(), "A", ""))
	v := inbox(t, u)
	_, _, err := v.Copy(t.Context(), []uint32{1}, "A")
	check(t, err)
	_, _, err = v.Move(t.Context(), []uint32{2}, "A")
	check(t, err)
	a, err := u.Open(t.Context(), "A", false)
	check(t, err)
	defer func() { check(t, a.Close()) }()
	*opened = nil
	for seq := range uint32(a.Len()) {
		var m mime.Message
		check(t, a.Record(t.Context(), seq+1, &m, true))
		if !m.Fields.Answers("from") || len(m.Fields.Lines) == 0 {
			t.Errorf("message %d: %q", seq+1, m.Fields.Lines)
		}
	}
	if a.Len() != 2 || len(*opened) > 0 {
		t.Errorf("%d messages, opened %q", a.Len(), *opened)
	}
}

// TestARecordOfEverySize is read through the window, whatever was read before, and
// in any order.
func TestARecordOfEverySize(t *testing.T) {
	t.Parallel()
	s, u := open(t, options(t.TempDir()))
	random := rand.New(rand.NewPCG(3, 31))
	const n = 60
	for range n {
		text := "From: a@example.test\nSubject: " + strings.Repeat("s", random.IntN(3000)) + "\nTo: " + strings.Repeat("x@example.test,\n ", random.IntN(700)) + "y@example.test\n\nbody\n"
		check(t, s.Deliver(t.Context(), alice(), &mailstore.Delivery{Content: envelope.Memory(text)}))
	}
	v := inbox(t, u)
	var want [][]byte
	for seq := range uint32(n) {
		want = append(want, whole(scanned(t, v, seq+1)))
	}
	var m mime.Message
	for range 2000 {
		seq := uint32(random.IntN(n))
		if random.IntN(3) == 0 {
			v.Ahead(seq+1, min(seq+1+uint32(random.IntN(10)), n))
		}
		all := random.IntN(3) > 0
		check(t, v.Record(t.Context(), seq+1, &m, all))
		if all && !bytes.Equal(whole(&m), want[seq]) || !all && !bytes.HasPrefix(want[seq], m.AppendBinary(nil)) {
			t.Fatalf("message %d has another record", seq+1)
		}
		if random.IntN(10) == 0 {
			box.DropWindow(v)
		}
	}
}
