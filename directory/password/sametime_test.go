package password

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/static"
	"toastmaster/internal/clock"
)

// TestFailuresTellNothing: whatever stands behind a name, a failed log-in is
// answered after the same time, and a hash of full strength was computed. The
// work itself takes no time on this clock, so any difference is a difference.
func TestFailuresTellNothing(t *testing.T) {
	c := configs.Default().Auth
	c.Argon2Memory, c.Argon2Time = 256<<10, 1
	c.BulkArgon2Memory = 64 << 10
	h := NewHasher(c)
	off := static.Box("off@example.test", h.Hash("off"))
	off.Mailbox.Enabled = false
	boxes := hosted(t, static.Box("full@example.test", h.Hash("x")), static.Box("bulk@example.test", h.BulkHash("x")), off,
		static.Box("ssha@example.test", "{SSHA}OzzvfepGxsUTtI24VJOyxGOx6G886Nvd"), static.Box("plain@example.test", "{PLAIN}x"),
		static.Box("bcrypt@example.test", "$2y$04$......................u7DbvmN5NYOGlXXbIC9dO0rRKMZYFmK"),
		static.Box("none@example.test", ""))
	for _, client := range []string{"192.0.2.1", "127.0.0.1"} {
		for _, name := range []string{"full", "bulk", "off", "ssha", "plain", "bcrypt", "none", "unknown", "off "} {
			synctest.Test(t, func(t *testing.T) {
				a := newBench(t, c, boxes, func(o *Options) { o.Clock = clock.System{} }).auth
				var work atomic.Int32
				a.compute = func(hash, password string) (bool, error) {
					if !a.hasher.Weak(hash) {
						work.Add(1)
					}
					return Verify(hash, password)
				}
				try := attempt(strings.TrimSpace(name)+"@example.test", "wrong")
				if strings.HasSuffix(name, " ") {
					try.Password = "off" // right, but disabled
				}
				try.Client = addresses(strings.TrimSuffix(client, "1")+"%d", 1)[0]
				began := time.Now()
				_, err := a.Authenticate(t.Context(), try)
				if took := time.Since(began); statusOf(err).String() != "5.7.8" || took != time.Second || work.Load() != 1 {
					t.Errorf("%s from %s: %v after %v, %d hashes of full strength", name, client, err, took, work.Load())
				}
			})
		}
	}
}

// TestABusyMinuteIsTheSameForAll: after one late answer others are as late, so
// that not the kind of hash decides who is; a minute later it is over.
func TestABusyMinuteIsTheSameForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := quick(t, func(c *configs.Auth) { c.FailureDelay = 0 })
		work := 2500 * time.Millisecond
		a.compute = func(string, string) (bool, error) {
			time.Sleep(work)
			return false, nil
		}
		try := func(password string) time.Duration {
			began := time.Now()
			_, _ = a.Authenticate(t.Context(), attempt("alice@example.test", password))
			return time.Since(began)
		}
		if took := try("1"); took != 3*time.Second {
			t.Errorf("the late one took %v", took)
		}
		work = 0
		if took := try("2"); took != 3*time.Second {
			t.Errorf("the next took %v", took)
		}
		time.Sleep(paceMemory)
		if took := try("3"); took != time.Second {
			t.Errorf("a minute later: %v", took)
		}
	})
}

// TestLongWorkIsRoundedUp: an answer that is late tells as little as may be.
func TestLongWorkIsRoundedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, work := range []time.Duration{0, time.Millisecond, 999 * time.Millisecond, 1001 * time.Millisecond} {
			a := quick(t, nil)
			a.compute = func(string, string) (bool, error) {
				time.Sleep(work)
				return false, nil
			}
			began := time.Now()
			_, _ = a.Authenticate(t.Context(), attempt("alice@example.test", "wrong"))
			if took := time.Since(began); took != work.Truncate(time.Second)+time.Second {
				t.Errorf("work of %v: answer after %v", work, took)
			}
		}
	})
}
