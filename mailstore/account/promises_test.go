package account

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/emersion/go-imap/v2"

	"toastmaster/configs"
	"toastmaster/mailstore/volume"
)

// TestNamesOfFolders: what a mailbox may be called; what could be another's folder, or
// none, is refused before anything is made.
func TestNamesOfFolders(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(c *configs.Store) { c.DefaultFolders = nil })
	for _, good := range []string{"a", "A", "with space", "Entwürfe/2026", "a*b%", "INBOX/under", "ä/ö/ü"} {
		if err := b.Create(t.Context(), good, ""); err != nil {
			t.Errorf("%q: %v", good, err)
		}
		if err := b.Create(t.Context(), good, ""); !errors.Is(err, volume.ErrExists) {
			t.Errorf("%q twice: %v", good, err)
		}
	}
	before := b.listed(t)
	for _, bad := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a.b", "a\x00b", "a\nb", "\xff"} {
		err := b.Create(t.Context(), bad, "")
		if !errors.Is(err, volume.ErrInvalidName) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if after := b.listed(t); !slices.Equal(after, before) {
		t.Errorf("%q, before %q", after, before)
	}
	for _, name := range []string{"Entwürfe", "ä/ö", "INBOX"} {
		if !slices.Contains(before, name) {
			t.Errorf("%s is not there: %q", name, before)
		}
	}
}

// TestSubscriptionsAreASet with a limit, kept over a restart, and a name that is gone
// can be taken out.
func TestSubscriptionsAreASet(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(c *configs.Store) { c.DefaultFolders, c.MaxSubscriptions = nil, 3 })
	for i := range 4 {
		check(t, b.Create(t.Context(), fmt.Sprint("m", i), ""))
	}
	for range 2 {
		for i := range 3 {
			check(t, b.Subscribe(t.Context(), fmt.Sprint("m", i), true))
		}
	}
	if err := b.Subscribe(t.Context(), "m3", true); !errors.Is(err, volume.ErrTooManySubscriptions) {
		t.Errorf("a fourth: %v", err)
	}
	subscribed := func() (names []string) {
		folders, err := b.List(t.Context())
		check(t, err)
		for _, f := range folders {
			if f.Subscribed {
				names = append(names, f.Name)
			}
		}
		return names
	}
	if got := subscribed(); !slices.Equal(got, []string{"m0", "m1", "m2"}) {
		t.Errorf("%q", got)
	}
	check(t, b.Subscribe(t.Context(), "m1", false))
	check(t, b.Subscribe(t.Context(), "m1", false))
	check(t, b.Subscribe(t.Context(), "nowhere", false))
	check(t, b.Subscribe(t.Context(), "m3", true))
	if got := subscribed(); !slices.Equal(got, []string{"m0", "m2", "m3"}) {
		t.Errorf("%q", got)
	}
}

// TestAUseIsOfOneMailbox: a folder made with a use has it in the listing, and a rename
// takes it along with the names below.
func TestAUseIsOfOneMailbox(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(c *configs.Store) { c.DefaultFolders = nil })
	check(t, b.Create(t.Context(), "Old/Post", imap.MailboxAttrArchive))
	check(t, b.Create(t.Context(), "Oldest", imap.MailboxAttrJunk))
	uses := func() map[string]imap.MailboxAttr {
		folders, err := b.List(t.Context())
		check(t, err)
		out := map[string]imap.MailboxAttr{}
		for _, f := range folders {
			if f.SpecialUse != "" {
				out[f.Name] = f.SpecialUse
			}
		}
		return out
	}
	if got := uses(); len(got) != 2 || got["Old/Post"] != imap.MailboxAttrArchive || got["Oldest"] != imap.MailboxAttrJunk {
		t.Fatalf("%v", got)
	}
	check(t, b.Create(t.Context(), "New/Post", ""))
	check(t, b.Lock())
	check(t, b.MoveSpecialUse("Old", "New"))
	b.Unlock()
	if got := uses(); got["New/Post"] != imap.MailboxAttrArchive || got["Oldest"] != imap.MailboxAttrJunk || got["Old/Post"] != "" {
		t.Errorf("after a rename %v: the use of a name that only begins alike stays", got)
	}
}
