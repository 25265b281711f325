package index

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

// TestAPanicInResetLeavesNoLock panics at every operation of a Reset: the log can
// be locked and loaded afterwards, and replaced.
func TestAPanicInResetLeavesNoLock(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		f := faultfs.Wrap(vfs.OS{})
		o := optionsIn(t.TempDir())
		o.FS = f
		l, err := OpenLog(o)
		check(t, err)
		check(t, l.Lock(t.Context()))
		s := NewState(7)
		check(t, begin(l, s))
		appendTo(t, l, s, func(b *Batch) { b.Add(msg(1)) })
		f.Reset()
		f.Hook(func(op faultfs.Op, name string) error {
			if f.Count(faultfs.Any) == n && strings.HasPrefix(name, o.Dir) {
				panic(fmt.Sprint("at ", op))
			}
			return nil
		})
		panicked := func() (panicked bool) {
			defer func() { panicked = recover() != nil }()
			check(t, l.Reset(s))
			return false
		}()
		f.Hook(nil)
		check(t, l.Unlock())
		next, err := OpenLog(o)
		check(t, err)
		again, err := next.Load(t.Context())
		if err != nil || len(again.Messages) != 1 {
			t.Errorf("operation %d: %v", n, err)
		} else if err := next.Reset(again); err != nil {
			t.Errorf("operation %d, the next: %v", n, err)
		}
		check(t, next.Unlock())
		check(t, next.Close())
		_ = l.Close()
		if !panicked {
			return
		}
	}
}

// TestALostLogIsLeft: somebody removes a log to which another process has appended
// since we read it. What is written there from now on nobody would find.
func TestALostLogIsLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, first := load(t, dir)
	other, second := load(t, dir)
	appendTo(t, one, first, func(b *Batch) { b.Add(msg(1)) })
	check(t, os.Remove(filepath.Join(dir, LogFile)))
	check(t, other.Lock(t.Context()))
	_, reload, err := other.CatchUp(t.Context(), second)
	check(t, err)
	if !reload || len(second.UIDs) != 1 {
		t.Errorf("reload %v, %v", reload, second.UIDs)
	}
	check(t, one.Close())
	check(t, other.Close())
}
