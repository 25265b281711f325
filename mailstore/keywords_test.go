package mailstore

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

func manyKeywords(n int) (flags []imap.Flag) {
	for i := range n {
		flags = append(flags, imap.Flag(fmt.Sprintf("keyword%d", i)))
	}
	return flags
}

// TestManyKeywords: 40 keywords are kept by APPEND, STORE, COPY, MOVE, a
// restart, a snapshot, another process, and a rebuild from the Maildir.
func TestManyKeywords(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := openStore(t, root)
	u := openUser(t, s)
	all := manyKeywords(40)
	want := func(mailbox string, seq uint32, flags []imap.Flag) {
		t.Helper()
		v := openView(t, u, mailbox)
		if got := v.Message(seq).Flags; !slices.Equal(got, flags) {
			t.Errorf("%s %d: %v", mailbox, seq, got)
		}
		check(t, v.Close())
	}
	_, _, err := u.Append(t.Context(), "INBOX", all, s.vol.Clock.Now(), message("a"))
	check(t, err)
	_, _, err = u.Append(t.Context(), "INBOX", nil, s.vol.Clock.Now(), message("b"))
	check(t, err)
	want("INBOX", 1, all)
	v := openView(t, u, "INBOX")
	other := openStore(t, root)
	w := openView(t, openUser(t, other), "INBOX")
	_, err = v.SetFlags(t.Context(), []uint32{1}, FlagsRemove, []imap.Flag{"keyword0", "KEYWORD30"}, 0)
	check(t, err)
	some := slices.DeleteFunc(slices.Clone(all), func(f imap.Flag) bool { return f == "keyword0" || f == "keyword30" })
	updateUntil(t, w, true, func(Update) bool { return slices.Equal(w.Message(1).Flags, some) })
	check(t, w.Close())
	_, err = v.SetFlags(t.Context(), []uint32{2}, FlagsAdd, all[35:36], 0)
	check(t, err)
	_, _, err = v.Copy(t.Context(), []uint32{1, 2}, "Junk")
	check(t, err)
	want("Junk", 1, some)
	_, _, err = v.Move(t.Context(), []uint32{1}, "Trash")
	check(t, err)
	update(t, v, true)
	check(t, v.Close())
	want("Trash", 1, some)
	// A file that another program renames keeps them.
	name := files(t, home(root, ".Junk", "cur"))[0]
	check(t, os.Rename(home(root, ".Junk", "cur", name), home(root, ".Junk", "cur", strings.Replace(name, ":2,", ":2,FX", 1))))
	j := openView(t, u, "Junk")
	updateUntil(t, j, true, func(Update) bool {
		return slices.Equal(j.Message(1).Flags, append([]imap.Flag{imap.FlagFlagged}, some...))
	})
	_, err = j.SetFlags(t.Context(), []uint32{1}, FlagsRemove, []imap.Flag{imap.FlagFlagged}, 0)
	check(t, err)
	check(t, j.Close())
	stop := func() {
		t.Helper()
		check(t, u.Close())
		check(t, s.Close())
	}
	start := func() {
		t.Helper()
		s = openStore(t, root)
		u = openUser(t, s)
	}
	again := func() {
		t.Helper()
		want("INBOX", 1, all[35:36])
		want("Junk", 1, some)
		want("Junk", 2, all[35:36])
		want("Trash", 1, some)
	}
	again()
	stop()
	start()
	again()
	stop()
	for _, folder := range []string{".", ".Junk", ".Trash"} {
		for _, name := range []string{"toastmaster.index", "toastmaster.index.log", "toastmaster.cache"} {
			if err := os.Remove(home(root, folder, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
	start()
	again()
	stop()
	if data, err := os.ReadFile(home(root, ".Junk", "dovecot-keywords")); err != nil || strings.Count(string(data), "\n") != 26 {
		t.Errorf("%q %v", data, err)
	}
	check(t, other.Close())
}

// TestTooManyKeywords: what cannot be kept is refused, except for a delivery.
func TestTooManyKeywords(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	o.Store.MaxKeywords = 30
	s, err := Open(t.Context(), o)
	check(t, err)
	u := openUser(t, s)
	if _, _, err := u.Append(t.Context(), "INBOX", manyKeywords(31), s.vol.Clock.Now(), message("a")); !errors.Is(err, ErrLimit) {
		t.Errorf("%v", err)
	}
	_, _, err = u.Append(t.Context(), "INBOX", manyKeywords(30), s.vol.Clock.Now(), message("a"))
	check(t, err)
	_, _, err = u.Append(t.Context(), "Junk", []imap.Flag{"one-more"}, s.vol.Clock.Now(), message("a"))
	check(t, err)
	v := openView(t, u, "INBOX")
	if !v.Info().KeywordsFull || v.Len() != 1 {
		t.Errorf("%+v", v.Info())
	}
	for _, move := range []bool{false, true} {
		f := v.Copy
		if move {
			f = v.Move
		}
		if _, _, err := f(t.Context(), []uint32{1}, "Junk"); !errors.Is(err, ErrLimit) {
			t.Errorf("%v", err)
		}
	}
	check(t, s.Deliver(t.Context(), alice(), &Delivery{Content: message("b"), Flags: []imap.Flag{"one-more", imap.FlagSeen}}))
	update(t, v, true)
	if f := v.Message(2).Flags; !slices.Equal(f, []imap.Flag{imap.FlagSeen}) {
		t.Errorf("%v", f)
	}
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}

// TestLettersWithoutNames: when dovecot-keywords was lost, a letter in a name is
// still somebody's keyword, and no new one.
func TestLettersWithoutNames(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	oddMailbox(t, root)
	check(t, os.WriteFile(home(root, "cur", "99.x:2,Sab"), []byte("Subject: x\n\nx\n"), 0o600))
	check(t, os.WriteFile(home(root, "dovecot-keywords"), []byte("1 named\n"), 0o600))
	s := openStore(t, root)
	u := openUser(t, s)
	v := openView(t, u, "INBOX")
	if got := v.Message(1).Flags; !slices.Equal(got, []imap.Flag{imap.FlagSeen, "unknown-0", "named"}) {
		t.Errorf("%v", got)
	}
	_, err := v.SetFlags(t.Context(), []uint32{2}, FlagsAdd, []imap.Flag{"new"}, 0)
	check(t, err)
	if got := v.Message(1).Flags; !slices.Equal(got, []imap.Flag{imap.FlagSeen, "unknown-0", "named"}) {
		t.Errorf("%v", got)
	}
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
	data, err := os.ReadFile(home(root, "dovecot-keywords"))
	if err != nil || !strings.HasPrefix(string(data), "0 unknown-0\n1 named\n") {
		t.Errorf("%q %v", data, err)
	}
}
