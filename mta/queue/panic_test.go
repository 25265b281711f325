package queue

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/testkit/faultfs"
)

// TestAPanicKeepsTheMessage: a panic while a message is deferred, or read
// again, is an error about that message, which is handed out again later.
func TestAPanicKeepsTheMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := faultfs.Wrap(faultfs.NewDisk())
		o := options(disk)
		o.Config.RunDelay = 20 * time.Millisecond
		q := running(t, o)
		add(t, q, "text\n", "a")
		it := take(t, q)
		var fire atomic.Value // the operation that panics next, once
		fire.Store(faultfs.Chtimes)
		disk.Hook(func(op faultfs.Op, name string) error {
			if strings.Contains(name, "/deferred/") && fire.CompareAndSwap(op, faultfs.Any) {
				panic("the disk is on fire")
			}
			return nil
		})
		it.Failed(0, dsn.New(dsn.NoAnswer, "no"))
		soon := func() time.Time { return time.Now().Add(20 * time.Millisecond) }
		if err := it.Close(t.Context(), soon(), false); err == nil || !dsn.From(err).Temporary() {
			t.Fatalf("%v", err)
		}
		it = take(t, q)
		closeItem(t, it, soon())
		fire.Store(faultfs.Open)
		it = take(t, q)
		if got := text(t, it); got != prefix+"text\n" || len(it.Pending()) != 1 || fire.Load() != faultfs.Any {
			t.Errorf("%q, %v pending, fire %v", got, it.Pending(), fire.Load())
		}
		done(t, it, EffectFinal)
	})
}
