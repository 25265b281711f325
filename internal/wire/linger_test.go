package wire

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
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
			if took := time.Since(start); took > lingerTime+30*time.Second {
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

// halfPipe is a pipe that takes the end of writing as a socket does.
type halfPipe struct{ net.Conn }

func (halfPipe) CloseWrite() error { return nil }

// TestLingerWaitsForASlowSender as long as something comes, which a slow line takes
// long for; not for one that is quiet, nor for ever, nor once it is cut.
func TestLingerWaitsForASlowSender(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		octets    int           // that come, one a second
		stays     bool          // the peer does not close behind them
		cut       time.Duration // when the link is cut; 0: never
		cutBefore bool
		want      time.Duration
	}{
		"slow":                {octets: 10, want: 10 * time.Second},
		"quiet":               {octets: 0, stays: true, want: lingerPause},
		"becomes quiet":       {octets: 5, stays: true, want: 4*time.Second + lingerPause},
		"for ever":            {octets: 1000, want: lingerTime},
		"cut meanwhile":       {octets: 1000, cut: 3500 * time.Millisecond, want: 3500 * time.Millisecond},
		"cut before":          {octets: 1000, cutBefore: true, want: lingerPause},
		"cut, and never said": {stays: true, cutBefore: true, want: lingerPause},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				nc, peer := net.Pipe()
				l := NewLink(halfPipe{nc})
				gone := make(chan struct{})
				go func() {
					defer close(gone)
					for range c.octets {
						if _, err := peer.Write([]byte("x")); err != nil {
							return
						}
						time.Sleep(time.Second)
					}
					if !c.stays {
						_ = peer.Close()
					}
				}()
				if c.cutBefore {
					l.Cut()
				}
				if c.cut > 0 {
					time.AfterFunc(c.cut, l.Cut)
				}
				began := time.Now()
				l.Linger()
				if took := time.Since(began); took != c.want {
					t.Errorf("%v, want %v", took, c.want)
				}
				_ = nc.Close()
				<-gone
			})
		})
	}
}
