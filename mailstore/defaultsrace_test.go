package mailstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/vfs"
)

// overtaken has somebody else make a default folder between the look at its place
// and what follows.
type overtaken struct {
	vfs.FS
	path string
	make atomic.Pointer[func()]
}

func (o *overtaken) Stat(name string) (fs.FileInfo, error) {
	info, err := o.FS.Stat(name)
	if errors.Is(err, fs.ErrNotExist) && name == filepath.Join(o.path, "maildirfolder") { // the last that is looked for
		if made := o.make.Swap(nil); made != nil {
			(*made)()
		}
	}
	return info, err
}

// TestADefaultFolderMadeMeanwhile: two want the same default folder for the first
// time, in one process or in two, or another program makes it. The later one gets it, too.
func TestADefaultFolderMadeMeanwhile(t *testing.T) {
	t.Parallel()
	for what, use := range map[string]func(t *testing.T, u *User) error{
		"open": func(t *testing.T, u *User) error {
			v, err := u.Open(t.Context(), "Archive", false)
			if err != nil {
				return err
			}
			return v.Close()
		},
		"append": func(t *testing.T, u *User) error {
			_, _, err := u.Append(t.Context(), "Archive", nil, time.Time{}, message("x"))
			return err
		},
		"copy": func(t *testing.T, u *User) error {
			v := openView(t, u, "INBOX")
			_, _, err := v.Copy(t.Context(), []uint32{1}, "Archive")
			return errors.Join(err, v.Close())
		},
		"status": func(t *testing.T, u *User) error {
			st, err := u.Status(t.Context(), "Archive")
			if err == nil && st.UIDValidity == 0 {
				err = errors.New("it has no UIDVALIDITY")
			}
			return err
		},
		"delete": func(t *testing.T, u *User) error {
			if err := u.Delete(t.Context(), "Archive"); err != nil {
				return err
			}
			if _, err := u.Status(t.Context(), "Archive"); !errors.Is(err, ErrNotFound) {
				t.Errorf("it is there: %v", err)
			}
			return nil
		},
		"rename": func(t *testing.T, u *User) error { return u.Rename(t.Context(), "Archive", "Other") },
		"create below": func(t *testing.T, u *User) error {
			return u.Create(t.Context(), "Archive/2026", imap.MailboxAttrArchive)
		},
	} {
		for _, processes := range []int{1, 2} {
			alone := what == "rename" || what == "create below"
			if alone && processes == 1 {
				continue // these look while they hold the account, so it is another program
			}
			t.Run(what, func(t *testing.T) {
				t.Parallel()
				root := t.TempDir()
				fsys := &overtaken{FS: vfs.OS{}, path: home(root, ".Archive")}
				o := options(root)
				o.FS, o.Store.DefaultFolders = fsys, []string{"Archive"}
				s, err := Open(t.Context(), o)
				check(t, err)
				other := s
				if processes == 2 {
					o.FS = vfs.OS{}
					other, err = Open(t.Context(), o)
					check(t, err)
				}
				u, u2 := openUser(t, s), openUser(t, other)
				deliver(t, s, Delivery{Content: message("x")})
				meanwhile := func() {
					made := make(chan error)
					go func() { // somebody else, with locks of their own
						if !alone {
							made <- u2.MakeDefault(t.Context(), "Archive")
							return
						}
						var errs []error
						for _, sub := range []string{"tmp", "new", "cur"} {
							errs = append(errs, os.MkdirAll(home(root, ".Archive", sub), 0o700))
						}
						made <- errors.Join(append(errs, os.WriteFile(home(root, ".Archive", "maildirfolder"), nil, 0o600))...)
					}()
					if err := <-made; err != nil {
						t.Error(err)
					}
				}
				fsys.make.Store(&meanwhile)
				if err := use(t, u); err != nil {
					t.Errorf("%d processes: %v", processes, err)
				}
				if fsys.make.Load() != nil {
					t.Error("nobody has looked")
				}
				check(t, errors.Join(u.Close(), u2.Close()))
				if other != s {
					check(t, other.Close())
				}
				check(t, s.Close())
			})
		}
	}
}
