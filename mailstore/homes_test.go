package mailstore

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// TestALinkIsNoHome: a symbolic link that stands for a home, or for a folder on
// the way to it, is not followed, wherever it leads: not by a session, not by a
// delivery, and above all not by a removal.
func TestALinkIsNoHome(t *testing.T) {
	t.Parallel()
	bob := Account{Home: "example.test/bob"}
	for name, c := range map[string]struct {
		link, target string
		account      Account
	}{
		"another's home":           {"example.test/alice", "bob", alice()},
		"a folder of another disk": {"example.test/alice", "OUTSIDE", alice()},
		"itself":                   {"example.test/alice", "alice", alice()},
		"nothing":                  {"example.test/alice", "nothing", alice()},
		"another's domain":         {"linked.test", "example.test", Account{Home: "linked.test/bob"}},
		"a domain elsewhere":       {"linked.test", "OUTSIDE", Account{Home: "linked.test/carol"}},
		"deeper":                   {"a/linked.test", "../example.test", Account{Home: "a/linked.test/bob"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, outside := peers.TempDir(t), peers.TempDir(t)
			s := openStore(t, root)
			check(t, s.Deliver(t.Context(), bob, &Delivery{Content: message("bob's")}))
			for _, dir := range []string{outside, filepath.Join(outside, "carol")} {
				check(t, os.MkdirAll(filepath.Join(dir, "cur"), 0o700))
				check(t, os.WriteFile(filepath.Join(dir, "cur", "1.x:2,S"), []byte("Subject: outside\n\nx\n"), 0o600))
			}
			link := filepath.Join(root, c.link)
			check(t, os.MkdirAll(filepath.Dir(link), 0o700))
			check(t, os.Symlink(strings.Replace(c.target, "OUTSIDE", outside, 1), link))
			before := append(mailTree(t, outside), mailTree(t, root)...)
			c.account.QuotaBytes = 1 << 20 // else nobody asks for room
			u, userErr := s.User(t.Context(), c.account)
			if userErr == nil {
				check(t, u.Close())
			}
			_, hasErr := s.HasAccount(c.account)
			_, usageErr := s.Usage(t.Context(), c.account)
			for what, err := range map[string]error{
				"session": userErr, "look": hasErr, "usage": usageErr,
				"delivery": s.Deliver(t.Context(), c.account, &Delivery{Content: message("for the wrong one")}),
				"room":     s.Fits(t.Context(), c.account, 10),
				"removal":  s.RemoveAccount(t.Context(), c.account),
			} {
				if err == nil || !strings.Contains(err.Error(), link+" is a symbolic link") {
					t.Errorf("%s: %v", what, err)
				}
			}
			if after := append(mailTree(t, outside), mailTree(t, root)...); strings.Join(after, "\n") != strings.Join(before, "\n") {
				t.Errorf("have\n%s\nwant\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
			}
			check(t, s.Close())
		})
	}
}

// TestAHomeThatBecomesALink: somebody puts a link in the place of a home that is
// in use. A removal leaves what it leads to alone.
func TestAHomeThatBecomesALink(t *testing.T) {
	t.Parallel()
	root := peers.TempDir(t)
	s := openStore(t, root)
	bob := Account{Home: "example.test/bob"}
	check(t, s.Deliver(t.Context(), bob, &Delivery{Content: message("bob's")}))
	u := openUser(t, s)
	check(t, os.Rename(home(root), filepath.Join(root, "example.test", "old")))
	check(t, os.Symlink("bob", home(root)))
	if err := s.RemoveAccount(t.Context(), alice()); err == nil || !strings.Contains(err.Error(), "is a symbolic link") {
		t.Error(err)
	}
	if got := files(t, filepath.Join(root, "example.test", "bob", "new")); len(got) != 1 {
		t.Errorf("%q", got)
	}
	check(t, u.Close())
	check(t, s.Close())
}

// TestDeleteOfALinkedMailbox: a link that stands for a mailbox in a home is
// followed, as with Dovecot; DELETE takes the link away and not the mail.
func TestDeleteOfALinkedMailbox(t *testing.T) {
	t.Parallel()
	root := peers.TempDir(t)
	s := openStore(t, root)
	bob := Account{Home: "example.test/bob"}
	u, err := s.User(t.Context(), bob)
	check(t, err)
	check(t, u.Create(t.Context(), "Shared", ""))
	check(t, u.Close())
	check(t, s.Deliver(t.Context(), bob, &Delivery{Content: message("bob's"), Folder: "Shared"}))
	u = openUser(t, s)
	link := home(root, ".Shared")
	check(t, os.Symlink(filepath.Join(root, "example.test", "bob", ".Shared"), link))
	v := openView(t, u, "Shared")
	if v.Len() != 1 {
		t.Error(v.Len())
	}
	check(t, v.Close())
	check(t, u.Delete(t.Context(), "Shared"))
	if _, err := os.Lstat(link); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if got := files(t, filepath.Join(root, "example.test", "bob", ".Shared", "new")); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if got := files(t, filepath.Join(root, Private, "spool")); len(got) != 0 {
		t.Errorf("%q", got)
	}
	check(t, u.Close())
	check(t, s.Close())
}

// mailTree lists what lies below a folder, without the store's own.
func mailTree(t *testing.T, root string) []string {
	t.Helper()
	return slices.DeleteFunc(tree(t, root), func(path string) bool { return strings.Contains(path, Private) })
}
