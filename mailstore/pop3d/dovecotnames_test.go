package pop3d

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// TestSavedUIDLsThatAreFileNames: where the unique id is the file's name, Dovecot
// saves an empty one. It is the name here too, so that clients of a host with
// pop3_uidl_format %f or %g get nothing again.
func TestSavedUIDLsThatAreFileNames(t *testing.T) {
	peers.Need(t, "dovecot", "dovecot-pop3d")
	peers.NeedRoot(t, "Dovecot's master changes users")
	bob := peers.Account{Address: "bob@example.test", Password: "secret word"}
	for _, format := range []string{"%f", "%g"} {
		d, err := peers.StartDovecot(t.Context(), peers.DovecotOptions{
			Dir: peers.TempDir(t), Accounts: []peers.Account{bob},
			Conf: "protocol pop3 {\n  pop3_save_uidl = yes\n  pop3_uidl_format = " + format + "\n}\n",
		})
		if err != nil {
			t.Fatal(err)
		}
		theirs := d.Maildir(bob.Address)
		for i, m := range []string{first, second, third} {
			write(t, filepath.Join(theirs, "new", fmt.Sprintf("100000000%d.M%dP1.mx,S=%d", i, i, len(m))), m)
		}
		own(t, d, theirs)
		want := uidls(t, dial(t, d.POP3()), "keep")
		d.Stop()
		list, err := os.ReadFile(filepath.Join(theirs, "dovecot-uidlist"))
		if err != nil || len(want) != 3 || !strings.Contains(string(list), " P :") {
			t.Fatalf("%s: %q, %v, no empty field in %s", format, want, err, list)
		}
		h := newHost(t, nil)
		if err := os.CopyFS(filepath.Join(storeRoot(h), "example.test", "bob"), os.DirFS(theirs)); err != nil {
			t.Fatal(err)
		}
		if mine := uidls(t, h.Dial(0), "keep"); !slices.Equal(mine, want) {
			t.Errorf("%s: Dovecot: %q\nhere: %q", format, want, mine)
		}
		h.Finish()
	}
}

// TestUIDLFormatsOfDovecot: on the same Maildir, with GUIDs of its own and without, each
// format makes the ids that a live Dovecot makes, which has saved none.
func TestUIDLFormatsOfDovecot(t *testing.T) {
	peers.Need(t, "dovecot", "dovecot-pop3d")
	peers.NeedRoot(t, "Dovecot's master changes users")
	bob := peers.Account{Address: "bob@example.test", Password: "secret word"}
	for _, format := range []string{"%f", "%g", "%v.%u", "%Xv%Xu", "%08Xu%08Xv", "x%g-%u%%"} {
		d, err := peers.StartDovecot(t.Context(), peers.DovecotOptions{
			Dir: peers.TempDir(t), Accounts: []peers.Account{bob}, Conf: "protocol pop3 {\n  pop3_uidl_format = " + format + "\n}\n",
		})
		if err != nil {
			t.Fatal(err)
		}
		theirs := d.Maildir(bob.Address)
		list := "3 V1600000000 N30\n"
		for i, m := range []string{first, second, third, first} {
			name := fmt.Sprintf("100000000%d.M%dP1.mx,S=%d", i, i, len(m))
			switch i {
			case 1:
				write(t, filepath.Join(theirs, "cur", name+":2,S"), m)
				list += fmt.Sprintf("%d G0123456789abcdef0123456789abcdef :%s\n", 10+i, name)
			case 2:
				write(t, filepath.Join(theirs, "cur", name+",W=99:2,"), m)
				list += fmt.Sprintf("%d :%s,W=99\n", 10+i, name)
			default:
				write(t, filepath.Join(theirs, "new", name), m)
			}
		}
		write(t, filepath.Join(theirs, "dovecot-uidlist"), list)
		own(t, d, theirs)
		want := uidls(t, dial(t, d.POP3()), "keep")
		d.Stop()
		if len(want) != 4 || slices.Contains(want, "") || len(slices.Compact(slices.Sorted(slices.Values(want)))) != 4 {
			t.Fatalf("%s: Dovecot says %q", format, want)
		}
		h := newHost(t, func(h *host) { h.config.POP3D.UIDLFormat = format })
		if err := os.CopyFS(filepath.Join(storeRoot(h), "example.test", "bob"), os.DirFS(theirs)); err != nil {
			t.Fatal(err)
		}
		if mine := uidls(t, h.Dial(0), "keep"); !slices.Equal(mine, want) {
			t.Errorf("%s: Dovecot: %q\nhere: %q", format, want, mine)
		}
		h.Finish()
	}
}
