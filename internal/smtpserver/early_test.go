package smtpserver

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
)

// lookedAt is a connection that counts who looks at its socket past its Read and Write.
type lookedAt struct {
	*net.TCPConn
	looks atomic.Int32
}

func (c *lookedAt) SyscallConn() (syscall.RawConn, error) {
	c.looks.Add(1)
	return c.TCPConn.SyscallConn()
}

// watchingBag wants to know who sends early.
type watchingBag struct {
	mailbag
	c *Conn
}

func (b *watchingBag) NewSession(c *Conn) Session {
	b.c = c
	c.WatchEarly()
	return b.mailbag.NewSession(c)
}

// TestNobodyLooksForWhatNobodyAsks: whether a client sends early is a system call each
// time, at the greeting, EHLO and DATA. Where nothing depends on it, as in LMTP, it is not
// made.
func TestNobodyLooksForWhatNobodyAsks(t *testing.T) {
	t.Parallel()
	for _, watching := range []bool{false, true} {
		server, watcher := testServer(&mailbag{}), &watchingBag{}
		if watching {
			server.Backend = watcher
		}
		nc, client := tcpPair(t)
		seen := &lookedAt{TCPConn: nc.(*net.TCPConn)}
		if _, err := io.WriteString(client, "EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n"); err != nil {
			t.Fatal(err)
		}
		if err := waitReadable(nc); err != nil {
			t.Fatal(err)
		}
		server.ServeConn(context.Background(), seen)
		looks := seen.looks.Load()
		if watching && (looks == 0 || !watcher.c.SentEarly()) {
			t.Errorf("%d looks, early %v: whoever watches hears nothing", looks, watcher.c.SentEarly())
		}
		if !watching && looks > 0 {
			t.Errorf("%d looks that nobody has asked for", looks)
		}
	}
}
