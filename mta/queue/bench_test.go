package queue

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/vfs"
)

// BenchmarkThrough takes messages of 4 KiB from Add to Done on the real disk,
// with 100 senders and 4 deliverers.
func BenchmarkThrough(b *testing.B) {
	q := running(b, Options{
		FS: vfs.OS{}, Dir: b.TempDir() + "/q", Config: configs.Default().Queue,
		Clock: clock.System{}, Log: msglog.Discard(),
	})
	content := strings.Repeat("0123456789abcdef", 256)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	b.ResetTimer()
	var left, undelivered atomic.Int64
	left.Store(int64(b.N))
	undelivered.Store(int64(b.N))
	ctx, cancel := context.WithCancel(context.Background())
	finished := make(chan struct{})
	for range 100 {
		go func() {
			defer func() { finished <- struct{}{} }()
			for left.Add(-1) >= 0 {
				add(b, q, content, "a")
			}
		}()
	}
	for range 4 {
		go func() {
			defer func() { finished <- struct{}{} }()
			for {
				it, err := q.Next(ctx)
				if err != nil {
					return
				}
				_ = it.Done(0, EffectStore)
				_ = it.Close(ctx, time.Time{}, false)
				if undelivered.Add(-1) == 0 {
					cancel()
				}
			}
		}()
	}
	for range 104 {
		<-finished
	}
	cancel()
}

// BenchmarkAdd is one sender alone: the latency of a 250.
func BenchmarkAdd(b *testing.B) {
	q := running(b, Options{
		FS: vfs.OS{}, Dir: b.TempDir() + "/q", Config: configs.Default().Queue,
		Clock: clock.System{}, Log: msglog.Discard(),
	})
	content := strings.Repeat("0123456789abcdef", 256)
	b.ReportAllocs()
	for b.Loop() {
		add(b, q, content, "a")
		b.StopTimer()
		it := take(b, q)
		_ = it.Done(0, EffectFinal)
		_ = it.Close(context.Background(), time.Time{}, false)
		b.StartTimer()
	}
}

// BenchmarkDefer moves messages from the journal to files, 20 at once.
func BenchmarkDefer(b *testing.B) {
	q := running(b, Options{
		FS: vfs.OS{}, Dir: b.TempDir() + "/q", Config: configs.Default().Queue,
		Clock: clock.System{}, Log: msglog.Discard(),
	})
	var left atomic.Int64
	left.Store(int64(b.N))
	finished := make(chan struct{})
	later := time.Now().Add(time.Hour)
	for range 20 {
		go func() {
			defer func() { finished <- struct{}{} }()
			for left.Add(-1) >= 0 {
				add(b, q, "Subject: x\n\nbody\n", "a")
				closeItem(b, take(b, q), later)
			}
		}()
	}
	for range 20 {
		<-finished
	}
}
