package mailstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
)

func names(t testing.TB, u *User) string {
	t.Helper()
	list, err := u.List(t.Context())
	check(t, err)
	var out []string
	for _, f := range list {
		s := f.Name
		for _, flag := range []struct {
			on   bool
			mark string
		}{{f.NoSelect, "!"}, {f.Subscribed, "*"}, {f.HasChildren, "+"}} {
			if flag.on {
				s += flag.mark
			}
		}
		out = append(out, s+string(f.SpecialUse))
	}
	return strings.Join(out, " ")
}

func openEmpty(t testing.TB, folders ...string) (*Store, *User, string) {
	t.Helper()
	root := t.TempDir()
	o := options(root)
	o.Store.DefaultFolders = folders
	s, err := Open(t.Context(), o)
	check(t, err)
	return s, openUser(t, s), root
}

func TestFolders(t *testing.T) {
	t.Parallel()
	s, u, root := openEmpty(t, "Sent")
	ctx := t.Context()
	step := func(want string, err error, wantErr error) {
		t.Helper()
		if !errors.Is(err, wantErr) || err != nil && wantErr == nil {
			t.Errorf("error %v, want %v", err, wantErr)
		}
		if got := names(t, u); got != want {
			t.Errorf("have %s\nwant %s", got, want)
		}
	}
	step(`INBOX Sent*\Sent`, nil, nil)
	step(`INBOX Sent*\Sent a+ a/b+ a/b/c`, u.Create(ctx, "a/b/c", ""), nil)
	step(`INBOX Sent*\Sent a+ a/b+ a/b/c`, u.Create(ctx, "a/b", ""), ErrExists)
	step(`INBOX Sent*\Sent a+ a/b+ a/b/c`, u.Create(ctx, "x.y", ""), ErrInvalidName)
	step(`INBOX Gesendet\Sent Sent* a+ a/b+ a/b/c`, u.Create(ctx, "Gesendet", imap.MailboxAttrSent), nil)
	step(`INBOX Gesendet\Sent Sent* a+ a/b!+ a/b/c`, u.Delete(ctx, "a/b"), nil)
	step(`INBOX Gesendet\Sent Sent* a+ a/b!+ a/b/c`, u.Delete(ctx, "a/b"), ErrHasChildren)
	step(`INBOX Gesendet\Sent Sent* a+ a/b!+ a/b/c`, u.Delete(ctx, "none"), ErrNotFound)
	step(`INBOX Gesendet\Sent Sent* a+ a/b!+ a/b/c`, u.Delete(ctx, "inbox"), ErrInvalidName)
	step(`INBOX Gesendet\Sent Sent* z+ z/b!+ z/b/c`, u.Rename(ctx, "a", "z"), nil)
	step(`INBOX Gesendet\Sent Sent* z+ z/b!+ z/b/c`, u.Rename(ctx, "a", "y"), ErrNotFound)
	step(`INBOX Gesendet\Sent Sent* z+ z/b!+ z/b/c`, u.Rename(ctx, "z", "Sent"), ErrExists)
	step(`INBOX Gesendet\Sent Sent* z+ z/b!+ z/b/c`, u.Rename(ctx, "z", "z/q"), ErrInvalidName)
	step(`INBOX Gesendet\Sent Sent* p+ p/q+ p/q/b!+ p/q/b/c`, u.Rename(ctx, "z", "p/q"), nil)
	step(`INBOX Ausgang\Sent Sent* p+ p/q+ p/q/b!+ p/q/b/c`, u.Rename(ctx, "Gesendet", "Ausgang"), nil)
	step(`INBOX Ausgang*\Sent Sent* p+ p/q+ p/q/b!+ p/q/b/c`, u.Subscribe(ctx, "Ausgang", true), nil)
	step(`INBOX Ausgang!* Sent*\Sent p+ p/q+ p/q/b!+ p/q/b/c`, func() error {
		err := u.Delete(ctx, "Ausgang")
		if got := names(t, u); !strings.Contains(got, `Sent*\Sent`) {
			t.Errorf("the default use did not come back: %s", got)
		}
		return err
	}(), nil)
	check(t, u.Close())
	check(t, s.Close())
	if left, _ := os.ReadDir(root + "/.toastmaster/spool"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDeletedAndRenamedUnderViews(t *testing.T) {
	t.Parallel()
	s, u, _ := openEmpty(t, "A", "B")
	for _, folder := range []string{"A", "B"} {
		for i := range 3 {
			deliver(t, s, Delivery{Folder: folder, Content: message(fmt.Sprint(folder, i))})
		}
	}
	a, b := openView(t, u, "A"), openView(t, u, "B")
	validity := b.Info().UIDValidity
	check(t, u.Delete(t.Context(), "A"))
	if got, err := a.Update(t.Context(), true); !errors.Is(err, ErrGone) {
		t.Errorf("%+v %v", got, err)
	}
	check(t, u.Rename(t.Context(), "B", "C"))
	if got := readAllOf(t, b, 1); !strings.Contains(got, "B0") {
		t.Errorf("%q", got)
	}
	if _, err := b.SetFlags(t.Context(), []uint32{1}, FlagsAdd, []imap.Flag{imap.FlagSeen}, 0); err != nil {
		t.Errorf("%v", err)
	}
	if got := update(t, b, true); len(got.Expunged) != 0 || b.Len() != 3 || b.Info().Name != "C" {
		t.Errorf("%+v", got)
	}
	c := openView(t, u, "C")
	if c.Len() != 3 || c.Info().UIDValidity != validity {
		t.Errorf("%+v", c.Info())
	}
	// A mailbox made anew has another UIDVALIDITY.
	check(t, u.Create(t.Context(), "B", ""))
	again := openView(t, u, "B")
	if again.Info().UIDValidity <= validity {
		t.Errorf("%d after %d", again.Info().UIDValidity, validity)
	}
	for _, v := range []*View{a, b, c, again} {
		check(t, v.Close())
	}
	check(t, u.Close())
	check(t, s.Close())
}

func TestRenameInbox(t *testing.T) {
	t.Parallel()
	s, u, _ := openEmpty(t)
	for i := range 3 {
		deliver(t, s, Delivery{Content: message(fmt.Sprint(i))})
	}
	check(t, u.Rename(t.Context(), "INBOX", "old/mail"))
	if got := subjectsOf(t, s, "old/mail"); len(got) != 3 {
		t.Errorf("%v", got)
	}
	if got := subjectsOf(t, s, "INBOX"); len(got) != 0 {
		t.Errorf("%v", got)
	}
	check(t, u.Close())
	check(t, s.Close())
}

func TestRemoveAccount(t *testing.T) {
	t.Parallel()
	s, u, root := openEmpty(t, "A")
	deliver(t, s, Delivery{})
	v := openView(t, u, "INBOX")
	check(t, s.RemoveAccount(t.Context(), alice()))
	if got, err := v.Update(t.Context(), true); !errors.Is(err, ErrGone) {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := os.Stat(home(root)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.RemoveAccount(t.Context(), alice()))
	deliver(t, s, Delivery{})
	if got := subjectsOf(t, s, "INBOX"); len(got) != 1 {
		t.Errorf("%v", got)
	}
	check(t, s.Close())
}

// TestRemoveLastAccount: no folder of a domain stays behind its last account.
func TestRemoveLastAccount(t *testing.T) {
	t.Parallel()
	s, u, root := openEmpty(t, "A")
	check(t, u.Close())
	one, two := alice(), alice()
	one.Home, two.Home = "gone.test/x/one", "gone.test/x/two"
	domain := filepath.Join(root, "gone.test")
	for _, a := range []Account{one, two} {
		check(t, s.Deliver(t.Context(), a, &Delivery{Content: message("x")}))
	}
	check(t, s.RemoveAccount(t.Context(), one))
	if _, err := os.Stat(filepath.Join(root, two.Home)); err != nil {
		t.Error(err)
	}
	check(t, s.RemoveAccount(t.Context(), two))
	if _, err := os.Stat(domain); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	// As after a crash between the two steps.
	check(t, os.MkdirAll(filepath.Dir(filepath.Join(root, two.Home)), 0o700))
	check(t, s.RemoveAccount(t.Context(), two))
	if _, err := os.Stat(domain); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	check(t, s.Deliver(t.Context(), one, &Delivery{Content: message("x")}))
	check(t, s.Close())
}

// TestUserOfARemovedAccount: who had the account open neither sees nor touches
// the one that is made in its place.
func TestUserOfARemovedAccount(t *testing.T) {
	t.Parallel()
	s, old, root := openEmpty(t, "A")
	deliver(t, s, Delivery{})
	view := openView(t, old, "INBOX")
	limited := alice()
	limited.QuotaBytes = 1 << 20
	check(t, s.RemoveAccount(t.Context(), alice()))
	u, err := s.User(t.Context(), limited)
	check(t, err)
	check(t, u.Create(t.Context(), "B", ""))
	deliver(t, s, Delivery{Content: message("new")})
	if used, err := s.Usage(t.Context(), limited); err != nil || used.Messages != 1 {
		t.Errorf("usage %+v %v", used, err)
	}
	before := tree(t, home(root))

	ctx := t.Context()
	_, _, appended := old.Append(ctx, "INBOX", nil, time.Time{}, message("old"))
	_, opened := old.Open(ctx, "INBOX", false)
	_, listed := old.List(ctx)
	_, status := old.Status(ctx, "INBOX")
	_, _, copied := view.Copy(ctx, []uint32{1}, "B")
	_, _, moved := view.Move(ctx, []uint32{1}, "B")
	for what, err := range map[string]error{
		"append": appended, "open": opened, "list": listed, "status": status, "copy": copied, "move": moved,
		"create": old.Create(ctx, "C", ""), "delete": old.Delete(ctx, "B"), "rename": old.Rename(ctx, "B", "C"),
		"rename INBOX": old.Rename(ctx, "INBOX", "C"), "subscribe": old.Subscribe(ctx, "B", true),
	} {
		if !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrGone) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got, err := view.Update(ctx, true); !errors.Is(err, ErrGone) {
		t.Errorf("%+v %v", got, err)
	}
	check(t, view.Close())
	check(t, old.Close())
	if after := tree(t, home(root)); !slices.Equal(before, after) {
		t.Errorf("the new account was changed:\n%q\n%q", before, after)
	}
	if got := subjectsOf(t, s, "INBOX"); len(got) != 1 {
		t.Errorf("%v", got)
	}
	check(t, u.Close())
	check(t, s.Close())
}

// tree lists the files below a folder with their sizes.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			path = fmt.Sprint(path, " ", info.Size())
		}
		out = append(out, path)
		return err
	}))
	return out
}

func TestQuota(t *testing.T) {
	t.Parallel()
	s, u, root := openEmpty(t, "A")
	size := int64(len(message("x")))
	limited := alice()
	limited.QuotaBytes, limited.QuotaMessages = 10*size, 4
	check(t, u.Close())
	u, err := s.User(t.Context(), limited)
	check(t, err)
	put := func() error { return s.Deliver(t.Context(), limited, &Delivery{Content: message("x")}) }
	for range 3 {
		check(t, put())
	}
	v := openView(t, u, "INBOX")
	_, _, err = v.Copy(t.Context(), []uint32{1}, "A")
	check(t, err)
	if err := put(); !errors.Is(err, ErrOverQuota) {
		t.Errorf("%v", err)
	}
	if _, _, err := v.Copy(t.Context(), []uint32{1}, "A"); !errors.Is(err, ErrOverQuota) {
		t.Errorf("%v", err)
	}
	if used, err := s.Usage(t.Context(), limited); err != nil || used != (Usage{Bytes: 4 * size, Messages: 4}) {
		t.Errorf("%+v %v", used, err)
	}
	// Moving is always allowed, and changes nothing.
	_, _, err = v.Move(t.Context(), []uint32{1}, "A")
	check(t, err)
	check(t, v.Expunge(t.Context(), []uint32{2, 3}))
	check(t, put())
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
	data, err := os.ReadFile(home(root, "maildirsize"))
	check(t, err)
	if want := fmt.Sprintf("%dS,4C\n", 10*size); !strings.HasPrefix(string(data), want) {
		t.Errorf("%q", data)
	}
	s = openStore(t, root)
	if used, err := s.Usage(t.Context(), limited); err != nil || used != (Usage{Bytes: 3 * size, Messages: 3}) {
		t.Errorf("%+v %v: %q", used, err, data)
	}
	// What Dovecot adds counts, a message and its line in maildirsize.
	check(t, os.WriteFile(home(root, "new", "1.M1.dovecot"), message("x"), 0o600))
	f, err := os.OpenFile(home(root, "maildirsize"), os.O_APPEND|os.O_WRONLY, 0)
	check(t, err)
	fmt.Fprintf(f, "%d 1\n", size)
	check(t, f.Close())
	if err := s.Deliver(t.Context(), limited, &Delivery{Content: message("x")}); !errors.Is(err, ErrOverQuota) {
		t.Errorf("%v", err)
	}
	if used, err := s.Usage(t.Context(), Account{Home: "example.test/nobody"}); err != nil || used != (Usage{}) {
		t.Errorf("%+v %v", used, err)
	}
	check(t, s.Close())
}
