package journal

import (
	"errors"
	"os"
	"testing"

	"toastmaster/internal/vfs"
)

// TestWhatIsNoSegment: a file without a header is removed when there is nothing
// in it, and else kept under another name, whatever its size.
func TestWhatIsNoSegment(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size    int64
		last    string // octets at the end
		removed bool
	}{
		"empty": {0, "", true}, "zeroes": {600<<10 + 1, "", true}, "not only zeroes": {600<<10 + 1, "x", false},
		"more than memory": {1 << 42, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(vfs.OS{})
			o.Dir = t.TempDir()
			path := slotName(o.Dir, 0)
			f, err := os.Create(path)
			if err == nil {
				_, err = f.WriteAt([]byte(c.last), c.size-int64(len(c.last)))
			}
			if err == nil {
				err = f.Truncate(c.size)
			}
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			damages := 0
			o.Damaged = func(Damage) { damages++ }
			j, _ := open(t, o, nil)
			closeJournal(t, j)
			_, err = os.Stat(path + ".damaged")
			if removed := errors.Is(err, os.ErrNotExist); removed != c.removed || (damages == 0) != c.removed {
				t.Errorf("removed %v, %d damages: %v", removed, damages, err)
			}
		})
	}
}
