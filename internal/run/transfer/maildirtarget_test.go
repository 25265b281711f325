package transfer

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/admin/model"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

// TestMaildirFlagsAreOnDisk: an export that changes nothing but flags is done when their
// names are on disk, and says so when they are not.
func TestMaildirFlagsAreOnDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tree")
	m := &model.MailMessage{UID: 1, Name: "1.a.h", Date: time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC), Size: 3}
	faults := faultfs.Wrap(vfs.OS{})
	export := func(flags ...string) (err error) {
		to, err := openMaildirTarget(&ExportOptions{Address: "a@b", To: path})
		must(t, err)
		defer func() { err = errors.Join(err, to.close()) }()
		to.fs = faults
		must(t, to.folder(inbox))
		m.Flags = flags
		there, err := to.has(m)
		if err == nil && !there {
			must(t, to.put(m, 3, strings.NewReader("x\n\n")))
			err = to.commit()
		}
		return errors.Join(err, to.done(), to.finish(nil))
	}
	must(t, export())
	renamed := ""
	synced := false
	broken := errors.New("broken")
	var fail faultfs.Op
	faults.Hook(func(op faultfs.Op, name string) error {
		if filepath.Base(filepath.Dir(name)) == "cur" && op == faultfs.Rename {
			renamed = filepath.Base(name)
		}
		if strings.HasSuffix(name, "/cur") && op == faultfs.SyncDir {
			synced = renamed != ""
			if op == fail {
				return broken
			}
		}
		return nil
	})
	must(t, export(`\Seen`))
	if renamed == "" || !synced {
		t.Errorf("renamed %q, synced after that: %v", renamed, synced)
	}
	fail = faultfs.SyncDir
	if err := export(`\Flagged`); !errors.Is(err, broken) {
		t.Errorf("the sync fails: %v", err)
	}
}
