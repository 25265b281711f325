package wire

import (
	"io"
	"net"
	"testing"
	"time"
)

// TestLingerIsBounded: a peer that never stops, and one that is quiet and stays,
// do not hold the connection for long.
func TestLingerIsBounded(t *testing.T) {
	t.Parallel()
	for name, talk := range map[string]func(net.Conn){
		"endless": func(c net.Conn) {
			for block := make([]byte, 1<<20); ; {
				if _, err := c.Write(block); err != nil {
					return
				}
			}
		},
		"quiet": func(net.Conn) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			peer, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			nc, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				talk(peer)
			}()
			c := NewConn(nc, nil)
			if _, err := c.Out.WriteString("bye\r\n"); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			c.Linger()
			if took := time.Since(start); took > lingerTime+5*time.Second {
				t.Errorf("lingered %s", took)
			}
			if err := nc.Close(); err != nil {
				t.Error(err)
			}
			<-done
			if name == "endless" {
				return // was cut off
			}
			if got, err := io.ReadAll(peer); string(got) != "bye\r\n" || err != nil {
				t.Errorf("%q %v", got, err)
			}
		})
	}
}
