package postscreen

import (
	"bytes"
	"context"
	"io"
	"net"
	"regexp"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/diskcache"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
)

// script is a connection on which somebody has said everything already.
type script struct {
	io.Reader
	out bytes.Buffer
}

func (s *script) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *script) Close() error                     { return nil }
func (s *script) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4711} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// takes is a reply with which mail would be taken.
var takes = regexp.MustCompile(`(?m)^(354|250 2\.1\.5|250 2\.6\.0|235|334)`)

// FuzzDummyEngine: whatever a client says, no recipient and no message is taken, nobody logs in, and who
// fails with enforce is not remembered.
func FuzzDummyEngine(f *testing.F) {
	for _, seed := range []string{
		"HELO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n", "EHLO c\nMAIL FROM:<>\nRCPT TO:<b>\nBDAT 3 LAST\r\nabc", "GET / HTTP/1.1\r\n\r\n",
		"EHLO c\r\nAUTH PLAIN AGEAYg==\r\nVRFY x\r\nETRN x\r\n", "Subject: x\r\n\x16\x03\x01", "STARTTLS\r\nHELO c\r\n",
	} {
		f.Add([]byte(seed), uint8(1))
	}
	f.Fuzz(func(t *testing.T, said []byte, action uint8) {
		c := clocktest.New(start)
		cache, err := diskcache.Open(diskcache.Options{Path: "/cache", Limit: 10, FS: faultfs.NewDisk(), Clock: c, Log: discard()})
		must(t, err)
		p := configs.Default().Postscreen
		p.AccessList, p.Pipelining.Enable = nil, true
		p.Pipelining.Action = configs.ScreenAction(action % 3)
		s, err := New(Options{Params: p, Hostname: "mx.test", Cache: cache, Log: discard(), Clock: c})
		must(t, err)
		nc := &script{Reader: bytes.NewReader(said)}
		v := &visit{s: s, nc: nc, client: mustAddr(t, "192.0.2.1"), lists: noAnswers(), news: make(chan struct{}, 1)}
		v.todo = s.todo(v.passed, start)
		v.converse(context.Background())
		if found := takes.Find(nc.out.Bytes()); found != nil {
			t.Errorf("%q is answered with %q:\n%s", said, found, nc.out.Bytes())
		}
		if v.lost && cache.Len() > 0 {
			t.Errorf("%q: one that failed is remembered", said)
		}
	})
}
