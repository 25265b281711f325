package password

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
)

// guessers try to log in, all at once and again and again, each until a
// minute is over. It returns how many guesses were decided, by client.
func guessers(t *testing.T, a *Authenticator, clients []netip.Addr, perClient int, login func(n int) string) map[netip.Addr]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var mu sync.Mutex
	guesses := map[netip.Addr]int{}
	var wg sync.WaitGroup
	for n, client := range clients {
		for i := range perClient {
			wg.Go(func() {
				for k := 0; ctx.Err() == nil; k++ {
					try := attempt(login(n), fmt.Sprintf("guess %d %d %d", n, i, k))
					try.Client = client
					_, err := a.Authenticate(ctx, try)
					if err != nil && strings.HasPrefix(statusOf(err).String(), "5") {
						mu.Lock()
						guesses[client]++
						mu.Unlock()
						continue
					}
					// Refused unseen: a real client connects anew.
					_ = wait(ctx, clock.System{}, time.Second)
				}
			})
		}
	}
	wg.Wait()
	return guesses
}

// quick are parameters and people whose hashes cost nothing.
func quick(t *testing.T, change func(*configs.Auth)) *Authenticator {
	c := configs.Default().Auth
	c.Argon2Memory, c.Argon2Time = 64<<10, 1
	if change != nil {
		change(&c)
	}
	var boxes []directory.Account
	for _, name := range []string{"alice", "eve", "u0", "u1", "u2", "u3"} {
		boxes = append(boxes, static.Box(name+"@example.test", NewHasher(c).Hash("secret")))
	}
	return newBench(t, c, hosted(t, boxes...), func(o *Options) { o.Clock = clock.System{} }).auth
}

func sum(guesses map[netip.Addr]int) int {
	n := 0
	for _, g := range guesses {
		n += g
	}
	return n
}

func addresses(format string, n int) []netip.Addr {
	var out []netip.Addr
	for i := range n {
		out = append(out, netip.MustParseAddr(fmt.Sprintf(format, i+1)))
	}
	return out
}

func alice(int) string { return "alice@example.test" }

// TestParallelGuessesOfOneClient: 286 connections are no faster than one.
func TestParallelGuessesOfOneClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := sum(guessers(t, quick(t, nil), addresses("192.0.2.%d", 1), 286, alice))
		if got < 4 || got > 10 {
			t.Errorf("%d guesses in a minute", got)
		}
	})
}

// TestParallelGuessesOfOneNetwork: neither are the addresses of a /24 or a /48,
// at one account or at many.
func TestParallelGuessesOfOneNetwork(t *testing.T) {
	for _, format := range []string{"192.0.2.%d", "2001:db8:1:%x::1"} {
		for what, login := range map[string]func(int) string{
			"one account": alice, "accounts": func(n int) string { return fmt.Sprintf("u%d@example.test", n) },
		} {
			synctest.Test(t, func(t *testing.T) {
				got := sum(guessers(t, quick(t, nil), addresses(format, 200), 2, login))
				if got < 10 || got > 40 {
					t.Errorf("%s %s: %d guesses in a minute", format, what, got)
				}
			})
		}
	}
}

// TestGuessesFromEverywhere: an account under attack from many networks is
// slow for strangers.
func TestGuessesFromEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := sum(guessers(t, quick(t, nil), addresses("192.0.%d.7", 200), 2, alice))
		if got < 10 || got > 40 {
			t.Errorf("%d guesses in a minute", got)
		}
	})
}

// TestGuessesFromThePlaceOfTheOwner: a password that is remembered is no faster
// way in, and a place that is known is no place to guess from.
func TestGuessesFromThePlaceOfTheOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := quick(t, nil)
		if _, err := a.Authenticate(t.Context(), attempt("alice@example.test", "secret")); err != nil {
			t.Fatal(err)
		}
		got := sum(guessers(t, a, addresses("192.0.2.%d", 1), 286, alice))
		if got < 4 || got > 10 {
			t.Errorf("%d guesses in a minute", got)
		}
		// The right one waits like the others.
		began := time.Now()
		if _, err := a.Authenticate(t.Context(), attempt("alice@example.test", "secret")); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < a.o.Params.FailureDelay {
			t.Errorf("after %v", took)
		}
	})
}

// TestOwnerIsNotLockedOut: under attack from everywhere, who logged in before
// from an address or its network gets in at once, and a stranger is delayed.
func TestOwnerIsNotLockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := quick(t, nil)
		login := func(from string) (time.Duration, error) {
			began := time.Now()
			try := attempt("Alice@example.test", "secret")
			try.Client = netip.MustParseAddr(from)
			_, err := a.Authenticate(t.Context(), try)
			return time.Since(began), err
		}
		for _, from := range []string{"198.51.100.7", "2001:db8::1"} {
			if _, err := login(from); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			guessers(t, a, addresses("192.0.%d.7", 200), 2, alice)
		}()
		for range 20 {
			time.Sleep(2 * time.Second)
			for _, from := range []string{"198.51.100.7", "198.51.100.99", "2001:db8::9", "2001:db8:0:77::1"} {
				if took, err := login(from); err != nil || took > 0 {
					t.Errorf("%s: after %v %v", from, took, err)
				}
			}
		}
		if took, err := login("203.0.113.1"); took < a.o.Params.FailureDelay && statusOf(err) != dsn.AuthUnavailable {
			t.Errorf("a stranger: after %v %v", took, err)
		}
		<-done
		// The attack is over: strangers are welcome after a while.
		time.Sleep(2 * a.o.Params.FailureMemory)
		if took, err := login("203.0.113.2"); err != nil || took > 0 {
			t.Errorf("a stranger later: after %v %v", took, err)
		}
		if n := len(a.guard.lanes.lanes); n != 0 {
			t.Errorf("%d lanes left", n)
		}
	})
}

// TestOwnerIsKnownAfterARestart: the attack goes on over a restart, and the
// place of the last log-in is known at once. The database is asked once, however
// many come, and not for accounts that there are not.
func TestOwnerIsKnownAfterARestart(t *testing.T) {
	for what, c := range map[string]struct {
		ago     time.Duration
		fails   int32
		delayed bool
	}{
		"a day ago":           {ago: 24 * time.Hour},
		"the clock went back": {ago: -time.Hour},
		"too long ago":        {ago: 31 * 24 * time.Hour, delayed: true},
		"asked again":         {ago: 24 * time.Hour, fails: 1},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { restarted(t, c.ago, c.fails, c.delayed) })
		})
	}
}

func restarted(t *testing.T, ago time.Duration, fails int32, delayed bool) {
	a := quick(t, nil)
	var asked atomic.Int32
	a.o.LastLogins = func(ctx context.Context, mailbox string) ([]LastLogin, error) {
		if mailbox != "alice@example.test" {
			t.Errorf("asked for %q", mailbox)
		}
		n := asked.Add(1)
		_ = wait(ctx, clock.System{}, 50*time.Millisecond)
		if n <= fails {
			return nil, errors.New("disk I/O error")
		}
		return []LastLogin{
			{Client: netip.MustParseAddr("198.51.100.7"), At: time.Now().Add(-ago)},
			{Client: netip.Addr{}, At: time.Now()},
			{Client: netip.MustParseAddr("2001:db8::1"), At: time.Now().Add(-ago)},
		}, nil
	}
	for _, client := range addresses("192.0.%d.9", 5) {
		try := attempt("nobody@example.test", "guess")
		try.Client = client
		_, _ = a.Authenticate(t.Context(), try)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		guessers(t, a, addresses("192.0.%d.7", 200), 2, alice)
	}()
	time.Sleep(20 * time.Second)
	for _, from := range []string{"198.51.100.7", "198.51.100.99", "2001:db8::9"} {
		began := time.Now()
		try := attempt("Alice@example.test", "secret")
		try.Client = netip.MustParseAddr(from)
		_, err := a.Authenticate(t.Context(), try)
		if took := time.Since(began); (err != nil || took > 0) != delayed {
			t.Errorf("%s: after %v %v", from, took, err)
		}
	}
	<-done
	if n := asked.Load(); n != 1+fails {
		t.Errorf("asked %d times", n)
	}
}

// TestOwnAccountForgivesNothing: an attacker logs in to his own account between
// his guesses.
func TestOwnAccountForgivesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := quick(t, nil)
		for i := range 4 {
			_, _ = a.Authenticate(t.Context(), attempt("alice@example.test", fmt.Sprint("guess", i)))
			if _, err := a.Authenticate(t.Context(), attempt("eve@example.test", "secret")); err != nil {
				t.Fatal(err)
			}
		}
		client := a.guard.counter.Client(netip.MustParseAddr("192.0.2.1"))
		if n := a.guard.counter.Rate(anvil.Auth, client); n != 4 {
			t.Errorf("%d failures after four", n)
		}
		// But who knows the password takes his own mistakes back.
		_, _ = a.Authenticate(t.Context(), attempt("eve@example.test", "misspelt"))
		if _, err := a.Authenticate(t.Context(), attempt("eve@example.test", "secret")); err != nil {
			t.Fatal(err)
		}
		if n := a.guard.counter.Rate(anvil.Auth, client); n != 4 {
			t.Errorf("%d failures after a mistake of his own", n)
		}
	})
}

// TestTheSameWrongPasswordIsOneFailure: a program with an old password guesses
// nothing.
func TestTheSameWrongPasswordIsOneFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := quick(t, nil)
		for range 50 {
			if _, err := a.Authenticate(t.Context(), attempt("alice@example.test", "old one")); statusOf(err).String() != "5.7.8" {
				t.Fatal(err)
			}
		}
		if n := a.guard.counter.Rate(anvil.Auth, a.guard.counter.Client(netip.MustParseAddr("192.0.2.1"))); n != 1 {
			t.Errorf("%d failures", n)
		}
	})
}

// TestBlockedAttemptsAreGathered: a thousand attempts that were refused unseen
// make few lines, and the last of them says how many.
func TestBlockedAttemptsAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := configs.Default().Auth
		c.Argon2Memory, c.Argon2Time, c.ClientWaiting = 64<<10, 1, 0
		b := newBench(t, c, people(t), func(o *Options) { o.Clock = clock.System{} })
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				_, _ = b.auth.Authenticate(t.Context(), attempt("alice@example.test", fmt.Sprint(i)))
			})
		}
		wg.Wait()
		if n := strings.Count(b.log.String(), "msg=login"); n > 12 || !strings.Contains(b.log.String(), "blocked=512") {
			t.Errorf("%d lines:\n%s", n, b.log)
		}
	})
}

// TestRefusedTokens: the API's way to say that a secret was wrong.
func TestRefusedTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := quick(t, func(c *configs.Auth) { c.ClientWaiting = 1 })
		token := Attempt{Service: "admin", Mechanism: "Bearer", Client: netip.MustParseAddr("192.0.2.1")}
		for i, want := range []time.Duration{1, 3, 5, 9} {
			began := time.Now()
			if err := a.Refused(t.Context(), token); err != nil || time.Since(began) != want*time.Second {
				t.Errorf("%d: %v after %v", i, err, time.Since(began))
			}
		}
		var wg sync.WaitGroup
		var blocked atomic.Int32
		for range 50 {
			wg.Go(func() {
				if a.Refused(t.Context(), token) != nil {
					blocked.Add(1)
				}
			})
		}
		wg.Wait()
		if n := blocked.Load(); n < 48 {
			t.Errorf("%d of 50 were blocked", n)
		}
		// Both kinds of failures are one client's.
		began := time.Now()
		_, _ = a.Authenticate(t.Context(), attempt("alice@example.test", "guess"))
		if time.Since(began) < 10*time.Second {
			t.Errorf("a password after that: %v", time.Since(began))
		}
	})
}
