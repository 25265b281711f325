package mailstore

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"golang.org/x/sync/errgroup"

	"toastmaster/internal/envelope"
)

func fourKiB() envelope.Memory {
	head := "From: Alice <alice@example.test>\nTo: bob@example.test\nSubject: a message\nDate: Mon, 1 Jan 2024 00:00:00 +0000\nMessage-ID: <1@example.test>\n\n"
	return envelope.Memory(head + string(bytes.Repeat([]byte("0123456789 0123456789 0123456789 0123456789 012345678\n"), 72)))
}

func BenchmarkDeliver(b *testing.B) {
	s := openStore(b, b.TempDir())
	content := fourKiB()
	accounts := make([]Account, 20)
	for i := range accounts {
		accounts[i] = Account{Home: fmt.Sprintf("example.test/u%d", i)}
	}
	n := 0
	for b.Loop() {
		n++
		d := Delivery{ID: fmt.Sprintf("ID%d", n), Date: time.Now(), Content: content, Prefix: []byte("Return-Path: <>\nDelivered-To: a@example.test\n")}
		if err := s.Deliver(b.Context(), accounts[n%20], &d); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	check(b, s.Close())
}

func fill(b *testing.B, root string, n int) {
	s := openStore(b, root)
	for i := range n {
		deliver(b, s, Delivery{Date: time.Now(), Content: message(fmt.Sprint(i))})
	}
	check(b, s.Close())
}

func BenchmarkSelectCold(b *testing.B) {
	root := b.TempDir()
	fill(b, root, 20000)
	for b.Loop() {
		s := openStore(b, root)
		u := openUser(b, s)
		v := openView(b, u, "INBOX")
		if v.Len() != 20000 {
			b.Fatal(v.Len())
		}
		check(b, v.Close())
		check(b, u.Close())
		b.StopTimer()
		check(b, s.Close())
		b.StartTimer()
	}
}

func BenchmarkSelectWarm(b *testing.B) {
	root := b.TempDir()
	fill(b, root, 20000)
	s := openStore(b, root)
	u := openUser(b, s)
	for b.Loop() {
		v := openView(b, u, "INBOX")
		_ = v.Info()
		check(b, v.Close())
	}
	check(b, u.Close())
	check(b, s.Close())
}

func BenchmarkFetchStructures(b *testing.B) {
	root := b.TempDir()
	fill(b, root, 20000)
	s := openStore(b, root)
	u := openUser(b, s)
	v := openView(b, u, "INBOX")
	for b.Loop() {
		for seq := uint32(1); seq <= 20000; seq++ {
			if _, err := recordOf(b.Context(), v, seq); err != nil {
				b.Fatal(err)
			}
			_ = v.Message(seq)
		}
	}
	check(b, v.Close())
	check(b, u.Close())
	check(b, s.Close())
}

// processorTime is what the process used of the processors so far. On a
// machine that is shared it varies less than the time of the clock.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	check(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAppend is durable delivery from ten sides at once, each into its
// own INBOX.
func BenchmarkAppend(b *testing.B) {
	s := openStore(b, b.TempDir())
	content := fourKiB()
	b.ReportAllocs()
	before := processorTime(b)
	b.ResetTimer()
	var next atomic.Int64
	var sides errgroup.Group
	for side := range 10 {
		sides.Go(func() error {
			a := Account{Home: fmt.Sprintf("example.test/u%d", side)}
			for next.Add(1) <= int64(b.N) {
				d := Delivery{Flags: []imap.Flag{imap.FlagSeen}, Date: time.Now(), Content: content, Durable: true}
				if err := s.Deliver(b.Context(), a, &d); err != nil {
					return err
				}
			}
			return nil
		})
	}
	check(b, sides.Wait())
	b.StopTimer()
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
	b.ReportMetric(float64(s.journal.Usage().Records)/float64(s.journal.Usage().Commits), "records/commit")
	check(b, s.Close())
}
