package mailstore

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

func TestUpdateKeepsExpungedUntilAsked(t *testing.T) {
	t.Parallel()
	s, u, _ := openEmpty(t)
	for i := range 4 {
		deliver(t, s, Delivery{Content: message(fmt.Sprint(i))})
	}
	a, b := openView(t, u, "INBOX"), openView(t, u, "INBOX")
	check(t, a.Expunge(t.Context(), []uint32{2, 3}))
	deliver(t, s, Delivery{Content: message("new")})
	got := update(t, b, false)
	if len(got.Expunged) != 0 || got.Exists != 5 || b.Len() != 5 || b.UID(2) != 2 || b.UID(5) != 5 {
		t.Errorf("%+v", got)
	}
	if _, err := b.Read(t.Context(), 2); !errors.Is(err, ErrExpunged) {
		t.Errorf("%v", err)
	}
	if m := b.Message(2); m.UID != 2 || m.Size == 0 {
		t.Errorf("%+v", m)
	}
	if got := update(t, b, false); len(got.Expunged) != 0 || got.Exists != 0 {
		t.Errorf("%+v", got)
	}
	got = update(t, b, true)
	if !reflect.DeepEqual(got.Expunged, []uint32{2, 2}) || !reflect.DeepEqual(got.ExpungedUIDs, []imap.UID{2, 3}) || got.Exists != 0 || b.Len() != 3 {
		t.Errorf("%+v", got)
	}
	if b.Seq(5) != 3 || b.Seq(2) != 0 || b.SeqAtLeast(2) != 2 || b.SeqAtLeast(99) != 4 || b.UID(9) != 0 {
		t.Errorf("%d %d %d", b.Seq(5), b.Seq(2), b.SeqAtLeast(2))
	}
	check(t, a.Close())
	check(t, b.Close())
	check(t, u.Close())
	check(t, s.Close())
}

func TestFlagsBetweenSessions(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	o.Store.MaxKeywords = 26
	s, err := Open(t.Context(), o)
	check(t, err)
	u := openUser(t, s)
	for i := range 3 {
		deliver(t, s, Delivery{Content: message(fmt.Sprint(i))})
	}
	a, b := openView(t, u, "INBOX"), openView(t, u, "INBOX")
	set := func(v *View, op FlagOp, unchangedSince uint64, flags ...imap.Flag) []uint32 {
		t.Helper()
		modified, err := v.SetFlags(t.Context(), []uint32{1, 3}, op, flags, unchangedSince)
		check(t, err)
		return modified
	}
	before := a.Info().HighestModSeq
	set(a, FlagsAdd, 0, `\seen`, "$MDNSent", `\Recent`)
	if got := update(t, a, true); len(got.Flags) != 0 {
		t.Errorf("told of its own change: %+v", got)
	}
	got := update(t, b, true)
	if !reflect.DeepEqual(got.Flags, []uint32{1, 3}) || !got.NewKeywords {
		t.Errorf("%+v", got)
	}
	if f := b.Message(3).Flags; !reflect.DeepEqual(f, []imap.Flag{imap.FlagSeen, "$MDNSent"}) {
		t.Errorf("%v", f)
	}
	if modified := set(b, FlagsSet, before, imap.FlagDeleted); !reflect.DeepEqual(modified, []uint32{1, 3}) {
		t.Errorf("%v", modified)
	}
	if modified := set(b, FlagsSet, b.Info().HighestModSeq, imap.FlagDeleted); len(modified) != 0 {
		t.Errorf("%v", modified)
	}
	set(b, FlagsRemove, 0, imap.FlagSeen, "never-made")
	if f := a.Message(1).Flags; !reflect.DeepEqual(f, []imap.Flag{imap.FlagDeleted}) {
		t.Errorf("%v", f)
	}
	for i := range 24 {
		set(a, FlagsAdd, 0, imap.Flag(fmt.Sprint("k", i)))
	}
	// Two are more than are left, and what is refused takes none.
	_, err = a.SetFlags(t.Context(), []uint32{1}, FlagsAdd, []imap.Flag{"two", "more"}, 0)
	if names := a.Info().Flags; !errors.Is(err, ErrLimit) || a.Info().KeywordsFull || slices.Contains(names, "two") {
		t.Errorf("%v %v", err, names)
	}
	set(a, FlagsAdd, 0, "last", "LAST")
	if _, err := a.SetFlags(t.Context(), []uint32{1}, FlagsAdd, []imap.Flag{"onemore"}, 0); !a.Info().KeywordsFull || !errors.Is(err, ErrLimit) {
		t.Errorf("%v", err)
	}
	check(t, a.Close())
	check(t, b.Close())
	check(t, u.Close())
	check(t, s.Close())
}

func TestRecentBelongsToOneSession(t *testing.T) {
	t.Parallel()
	s, u, _ := openEmpty(t)
	deliver(t, s, Delivery{})
	look, err := u.Open(t.Context(), "INBOX", true)
	check(t, err)
	first, second := openView(t, u, "INBOX"), openView(t, u, "INBOX")
	if !first.Message(1).Recent || second.Message(1).Recent || first.Info().Recent != 1 || second.Info().Recent != 0 {
		t.Errorf("%+v %+v", first.Info(), second.Info())
	}
	deliver(t, s, Delivery{})
	if got := update(t, second, true); got.Recent != 1 {
		t.Errorf("%+v", got)
	}
	if got := update(t, first, true); got.Recent != 1 || first.Message(2).Recent || !second.Message(2).Recent {
		t.Errorf("%+v", got)
	}
	if err := look.Expunge(t.Context(), []uint32{1}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("%v", err)
	}
	if _, err := look.SetFlags(t.Context(), []uint32{1}, FlagsAdd, nil, 0); !errors.Is(err, ErrReadOnly) {
		t.Errorf("%v", err)
	}
	for _, v := range []*View{look, first, second} {
		check(t, v.Close())
	}
	check(t, u.Close())
	check(t, s.Close())
}

// TestOwnChangesCauseNoScan counts scans, and then hides another program's
// change behind one of ours: it is found after verify_interval.
func TestOwnChangesCauseNoScan(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	clk := clocktest.New(time.Now().Add(time.Hour)) // all mtimes are old
	o := options(root)
	faults := faultfs.Wrap(vfs.OS{})
	o.FS, o.Clock = faults, clk
	s, err := Open(t.Context(), o)
	check(t, err)
	u := openUser(t, s)
	v := openView(t, u, "INBOX")
	var scans atomic.Int32
	faults.Hook(func(op faultfs.Op, name string) error {
		if op == faultfs.ReadDir && strings.Contains(name, "alice") {
			scans.Add(1)
		}
		return nil
	})
	clk.Advance(time.Second)
	for i := range 5 {
		deliver(t, s, Delivery{Content: message(fmt.Sprint(i))})
		_, err := v.SetFlags(t.Context(), []uint32{1}, FlagsAdd, []imap.Flag{imap.FlagSeen}, 0)
		check(t, err)
		update(t, v, true)
	}
	check(t, v.Expunge(t.Context(), []uint32{2}))
	update(t, v, true)
	if scans.Load() != 0 {
		t.Error("our own changes made us read the directories")
	}
	file := home(root, "new", "1.foreign.h")
	info, err := os.Stat(home(root, "new"))
	check(t, err)
	check(t, os.WriteFile(file, message("foreign"), 0o600))
	check(t, os.Chtimes(home(root, "new"), info.ModTime(), info.ModTime())) // as if in the volume.Tick of ours
	if got := update(t, v, true); got.Exists != 0 {
		t.Errorf("%+v", got)
	}
	clk.Advance(o.Store.VerifyInterval)
	if got := update(t, v, true); got.Exists != 5 {
		t.Errorf("%+v", got)
	}
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}

// TestLargeSpooledMessage goes through the spool: without a prefix the file
// itself becomes the message.
func TestLargeSpooledMessage(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	o := options(root)
	o.Store.SpoolMemory = 4 << 10
	s, err := Open(t.Context(), o)
	check(t, err)
	text := "Subject: large\n\n" + strings.Repeat("a line\n", 5000)
	for i, prefix := range []string{"", "Return-Path: <>\n"} {
		for _, durable := range []bool{false, true} {
			b := s.Spool().New()
			_, err := b.Write([]byte(text))
			check(t, err)
			// Two recipients may share one file.
			for range 2 {
				check(t, s.Deliver(t.Context(), alice(), &Delivery{Content: b, Prefix: []byte(prefix), Durable: durable}))
			}
			check(t, b.Close())
		}
		u := openUser(t, s)
		v := openView(t, u, "INBOX")
		for seq := uint32(4*i + 1); seq <= uint32(v.Len()); seq++ {
			if got := readAllOf(t, v, seq); got != prefix+text || v.Message(seq).Size != int64(len(got)+strings.Count(got, "\n")) {
				t.Errorf("message %d: %d octets", seq, len(got))
			}
		}
		check(t, v.Close())
		check(t, u.Close())
	}
	check(t, s.Close())
}

// TestChangedFile: another program writes to a message.
func TestChangedFile(t *testing.T) {
	t.Parallel()
	s, u, root := openEmpty(t)
	deliver(t, s, Delivery{})
	v := openView(t, u, "INBOX")
	check(t, os.WriteFile(home(root, "new", files(t, home(root, "new"))[0]), []byte("Subject: y\n\nlonger than before, much longer\n"), 0o600))
	if got := readAllOf(t, v, 1); v.Message(1).Size != int64(len(got)+3) {
		t.Errorf("%d for %d octets", v.Message(1).Size, len(got))
	}
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}

// TestFirstUnseenIsCurrent: who opens a mailbox hears of the first message that is
// unseen now, whoever changed it since it was opened last, and a session of before of
// the first of its own.
func TestFirstUnseenIsCurrent(t *testing.T) {
	t.Parallel()
	s, u, root := openEmpty(t)
	for i := range 4 {
		deliver(t, s, Delivery{Content: message(fmt.Sprint(i))})
	}
	first := func() uint32 {
		t.Helper()
		v := openView(t, u, "INBOX")
		defer v.Close()
		if once, again := v.Info().FirstUnseen, v.Info().FirstUnseen; once != again {
			t.Errorf("%d, then %d", once, again)
		}
		return v.Info().FirstUnseen
	}
	wants := func(what string, want uint32) {
		t.Helper()
		for range 2 {
			if got := first(); got != want {
				t.Errorf("%s: %d, want %d", what, got, want)
			}
		}
	}
	wants("all are", 1)
	v, idle := openView(t, u, "INBOX"), openView(t, u, "INBOX")
	set := func(op FlagOp, seqs ...uint32) {
		t.Helper()
		_, err := v.SetFlags(t.Context(), seqs, op, []imap.Flag{imap.FlagSeen}, 0)
		check(t, err)
		update(t, v, true)
	}
	set(FlagsAdd, 1, 2)
	wants("two are seen", 3)
	set(FlagsRemove, 1)
	wants("the first is unseen again", 1)
	set(FlagsAdd, 1)
	check(t, v.Expunge(t.Context(), []uint32{1}))
	wants("the first is gone", 2)
	if got := idle.Info().FirstUnseen; got != 3 {
		t.Errorf("to whom nothing was told it is %d", got)
	}
	wants("the first is gone, and somebody still has it", 2)
	update(t, v, true)
	set(FlagsAdd, 2, 3)
	wants("all are seen", 0)
	deliver(t, s, Delivery{Content: message("new")})
	wants("one came", 4)
	update(t, v, true)
	set(FlagsAdd, 4)
	wants("that is seen", 0)
	check(t, s.Checkpoint(t.Context()))
	// Another program takes a flag.
	name := files(t, home(root, "cur"))[0]
	check(t, os.Rename(home(root, "cur", name), home(root, "cur", strings.TrimSuffix(name, "S"))))
	updateUntil(t, v, true, func(got Update) bool { return len(got.Flags) > 0 })
	if got := first(); got == 0 {
		t.Error("what another program changed is not seen")
	}
	check(t, errors.Join(v.Close(), idle.Close(), u.Close(), s.Close()))
}
