package qmgr

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/vfs"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

// BenchmarkLocalMessage is one message for one mailbox from the queue until it
// left it, without the work of the agent. The log is off; b.N are in the queue
// before the clock starts.
func BenchmarkLocalMessage(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	log := msglog.New(slog.DiscardHandler)
	cq := configs.Default().Queue
	cq.IncomingLimit = 10_000_000
	q, err := queue.Open(ctx, queue.Options{FS: vfs.OS{}, Dir: b.TempDir(), Config: cq, Clock: clock.System{}, Log: log})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	to := addr.Address{Local: "alice", Domain: "one.test"}
	sem := make(chan struct{}, 256)
	var adding sync.WaitGroup
	for range b.N {
		sem <- struct{}{}
		adding.Go(func() {
			defer func() { <-sem }()
			env := &envelope.Envelope{
				ID: q.NewID(), Arrived: clock.System{}.Now(), Sender: addr.Address{Local: "s", Domain: "x.test"},
				Recipients: []envelope.Recipient{{Address: to, Original: to}},
			}
			if err := q.Add(ctx, env, nil, envelope.Memory("Subject: y\n\nz\n")); err != nil {
				b.Error(err)
			}
		})
	}
	adding.Wait()
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan struct{})
	c := configs.Default().Qmgr
	m := New(Options{Queue: q, Log: log, Clock: clock.System{}, Renewal: Renewal{
		Params: c, Resolver: byDomain{}, Reporter: &reporter{},
		Transports: []Transport{{Name: "test", Limits: LocalLimits(c), Agent: scripted{func(_ context.Context, r *agent.Request, report func(agent.Result)) {
			for _, i := range r.Recipients {
				report(agent.Result{Recipient: i, Action: agent.Sent, Text: "ok", Relay: "virtual", Effect: queue.EffectStore})
			}
			if left.Add(-1) == 0 {
				close(done)
			}
		}}}},
	}})
	b.ReportAllocs()
	b.ResetTimer()
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	<-done
	b.StopTimer()
	cancel()
	running.Wait()
}
