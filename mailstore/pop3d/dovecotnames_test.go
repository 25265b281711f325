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
