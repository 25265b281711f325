package queue

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/faultfs"
)

// addFrom adds a message of a sender's domain for a recipient's, and says how that went.
func addFrom(ctx context.Context, q *Queue, from, to string) error {
	address := func(domain string) addr.Address { return addr.Address{Local: "x", Domain: domain} }
	env := testEnvelope(q)
	env.Sender, env.Recipients = address(from), []envelope.Recipient{{Address: address(to), Original: address(to)}}
	return q.Add(ctx, env, []byte(prefix), envelope.Memory("text\n"))
}

// TestSeatsAreParted: one tenant that has filled the journal, for a site that takes nothing, keeps nobody else's mail out;
// nor his own for another site.
func TestSeatsAreParted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options(faultfs.NewDisk())
		o.Config.IncomingLimit, o.Config.AddWait = 1000, time.Second
		q := open(t, o) // without Run nothing leaves the journal
		defer closeQueue(t, q)
		ctx := context.Background()
		full := func(from, to string) (n int) {
			for ; ; n++ {
				if err := addFrom(ctx, q, from, to); err != nil {
					if dsn.From(err).Status != dsn.MailSystem {
						t.Fatal(err)
					}
					return n
				}
			}
		}
		if n := full("big.test", "slow.test"); n < 400 || n > 600 {
			t.Errorf("one lane has %d seats of 1000", n)
		}
		began := time.Now()
		for i := range 10 {
			for _, who := range [][2]string{{"small.test", "slow.test"}, {"small.test", "quick.test"}, {"big.test", "quick.test"}} {
				if err := addFrom(ctx, q, who[0], who[1]); err != nil {
					t.Errorf("%d of %v: %v", i, who, err)
				}
			}
		}
		if waited := time.Since(began); waited > 100*time.Millisecond { // the journal's own clock
			t.Errorf("they waited %v", waited)
		}
		// However many sites he has, and however many tenants a site has.
		for i := range 40 {
			full("big.test", fmt.Sprintf("slow%d.test", i))
			full(fmt.Sprintf("big%d.test", i), "slow.test")
		}
		if err := addFrom(ctx, q, "other.test", "quick.test"); err != nil {
			t.Errorf("nobody else has a seat: %v", err)
		}
	})
}

// TestWhoWaitsForASeatGetsOne: with Run, mail for which no seat is free moves that of the largest lane to files, and is not
// refused; all of it is there, and comes up once, that of another tenant first of all.
func TestWhoWaitsForASeatGetsOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options(faultfs.NewDisk())
		o.Config.IncomingLimit, o.Config.AddWait = 100, time.Second
		o.Window = Window{Messages: 1000}
		q := running(t, o)
		ctx := context.Background()
		const big = 700
		for i := range big {
			if err := addFrom(ctx, q, "big.test", "slow.test"); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
		}
		if n := q.disk.budget.taken(); n > 100 {
			t.Errorf("%d seats of 100", n)
		}
		for range 5 {
			must(t, addFrom(ctx, q, "small.test", "quick.test"))
		}
		counts, err := q.Counts()
		must(t, err)
		if counts[Incoming]+counts[Deferred] != big+5 || counts[Deferred] < big-100 {
			t.Errorf("%v", counts)
		}
		seen := map[envelope.QueueID]bool{}
		for i := range big + 5 {
			it := take(t, q)
			if seen[it.Envelope.ID] {
				t.Fatalf("%s comes twice", it.Envelope.ID)
			}
			seen[it.Envelope.ID] = true
			if it.Envelope.Sender.Domain == "small.test" && i > 25 {
				t.Errorf("one of the other tenant came as number %d", i)
			}
			done(t, it, EffectFinal)
		}
		nothing(t, q)
		if q.disk.budget.taken() > 0 || q.disk.budget.waiting() > 0 {
			t.Error("a seat is not given back")
		}
	})
}

// TestWhoGivesUpWaitingHasNoSeat: whose connection ended, or whose time is over, leaves nothing behind.
func TestWhoGivesUpWaitingHasNoSeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options(faultfs.NewDisk())
		o.Config.IncomingLimit, o.Config.AddWait = 1, time.Minute
		q := open(t, o)
		defer closeQueue(t, q)
		must(t, addFrom(context.Background(), q, "a.test", "b.test"))
		for range 50 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			if err := addFrom(ctx, q, "a.test", "b.test"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
			cancel()
		}
		if n := q.disk.budget.waiting(); n > 0 {
			t.Errorf("%d wait still", n)
		}
		later := make(chan error, 2)
		go func() { later <- addFrom(context.Background(), q, "a.test", "b.test") }()
		synctest.Wait()
		done(t, take(t, q), EffectFinal)
		must(t, <-later)
		if n := q.disk.budget.taken(); n != 1 {
			t.Errorf("%d seats are taken", n)
		}
	})
}

// TestAMovedMessageIsNotKeptInMemory: what left the journal for a file waits nowhere else.
func TestAMovedMessageIsNotKeptInMemory(t *testing.T) {
	t.Parallel()
	q := open(t, options(faultfs.NewDisk()))
	defer closeQueue(t, q)
	for range 100 {
		must(t, addFrom(context.Background(), q, "a.test", "b.test"))
	}
	for _, m := range q.index.mostInJournal(90) {
		must(t, q.relocate(context.Background(), m))
	}
	if n := q.index.new.Waiting(); n != 10 {
		t.Errorf("%d wait in turns, 10 are new", n)
	}
}

// TestOneMessageDoesNotFillTheWindow: a message with more recipients than the window has room for keeps nobody's mail out.
func TestOneMessageDoesNotFillTheWindow(t *testing.T) {
	t.Parallel()
	o := options(faultfs.NewDisk())
	o.Window = Window{Messages: 1000, Recipients: 100}
	q := open(t, o)
	defer closeQueue(t, q)
	env := testEnvelope(q, make([]string, 500)...)
	must(t, q.Add(context.Background(), env, nil, envelope.Memory("news\n")))
	big := take(t, q)
	must(t, addFrom(context.Background(), q, "small.test", "quick.test"))
	done(t, take(t, q), EffectFinal)
	closeItem(t, big, time.Now().Add(time.Hour))
	if out := q.index.new.Out(); out.Entries != 0 || out.Weight != 0 {
		t.Errorf("%+v", out)
	}
}
