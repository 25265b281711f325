package imapd

import (
	"bufio"
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

const benchMessages = 20_000

// filled is a mailbox of benchMessages.
func filled(b *testing.B, size int) *client {
	h := newHost(b, nil)
	m := plain + strings.Repeat(strings.Repeat("x", 75)+"\n", size/76)
	for range benchMessages {
		h.deliver("alice", m)
	}
	return h.login("alice", "INBOX")
}

// until reads to the tagged answer and returns the octets read.
func (c *client) until(tag string) int {
	total := 0
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			c.t.Fatal(err)
		}
		total += len(line)
		if bytes.HasPrefix(line, []byte(tag)) {
			return total
		}
	}
}

func BenchmarkCommands(b *testing.B) {
	c := filled(b, 0)
	for _, command := range []string{
		"FETCH 1:20000 FLAGS", "FETCH 1:20000 ENVELOPE", "FETCH 1:20000 (UID FLAGS RFC822.SIZE INTERNALDATE BODYSTRUCTURE)",
		"SELECT INBOX", "SEARCH UNSEEN", "SEARCH SUBJECT nothing", "FETCH 1:20000 BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]", "NOOP",
	} {
		b.Run(strings.ReplaceAll(command, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				c.send("q " + command + "\r\n")
				n = c.until("q ")
			}
			b.SetBytes(int64(n))
		})
	}
}

func BenchmarkBodies(b *testing.B) {
	c := filled(b, 4096)
	b.ReportAllocs()
	for b.Loop() {
		c.send("q FETCH 1:20000 BODY.PEEK[]\r\n")
		b.SetBytes(int64(c.until("q ")))
	}
}

// BenchmarkIdleMemory measures heap and stacks of a connection in IDLE, the
// client's side included.
func BenchmarkIdleMemory(b *testing.B) {
	for _, listener := range []int{0, 1} {
		b.Run(fmt.Sprintf("listener%d", listener), func(b *testing.B) {
			h := newHost(b, nil)
			h.deliver("alice", plain)
			const n = 500
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				clients := make([]*client, n)
				for i := range clients {
					c := h.client(listener)
					c.ok(`LOGIN alice@example.test "secret word"`)
					c.ok("SELECT INBOX")
					c.ok("FETCH 1 (ENVELOPE BODY[])")
					c.send("i IDLE\r\n")
					c.expect("+ ")
					c.r = nil // 64 KiB that are not the server's
					clients[i] = c
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n/1024, "KiB-heap/conn")
				b.ReportMetric(float64(int64(after.StackInuse)-int64(before.StackInuse))/n/1024, "KiB-stack/conn")
				for _, c := range clients {
					_ = c.Close()
				}
			}
		})
	}
}
