package proxymap

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/netstring"
)

// said is a connection on which a client has said all that it will, and reads everything.
type said struct {
	io.Reader
	heard bytes.Buffer
}

func (s *said) Write(p []byte) (int, error)      { return s.heard.Write(p) }
func (*said) Close() error                       { return nil }
func (*said) LocalAddr() net.Addr                { return &net.UnixAddr{} }
func (*said) RemoteAddr() net.Addr               { return &net.UnixAddr{} }
func (*said) SetDeadline(time.Time) error        { return nil }
func (*said) SetReadDeadline(t time.Time) error  { return nil }
func (*said) SetWriteDeadline(t time.Time) error { return nil }

// FuzzSession: whatever a client sends, each request before the first octets that are no
// netstring has one answer of socketmap_table(5), and nothing else is said.
func FuzzSession(f *testing.F) {
	for _, s := range []string{"", "8:inline a,", "8:inline a,8:inline b,", "0:,", "5:x y z,x", "3:a b", "99:", "10:inline a b,,", "6:fail x,", "1001:", "08:inline a,"} {
		f.Add([]byte(s))
	}
	p := configs.Default().Proxymap
	p.ReadMaps, p.RequestLimit = []string{"inline=inline:{a=text}", "fail=fail:x"}, 1000
	d, err := New(Options{Params: p, Tables: tables.NewSet(tables.Options{Params: configs.Default().Lookup}), Log: msglog.Discard(), Clock: clock.System{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c := &said{Reader: bytes.NewReader(in)}
		d.ServeConn(t.Context(), c)
		requests, answers := bufio.NewReader(bytes.NewReader(in)), bufio.NewReader(&c.heard)
		for {
			request, err := netstring.Read(requests, p.RequestLimit)
			if err != nil {
				break
			}
			answer, err := netstring.Read(answers, maxAnswer)
			if err != nil {
				t.Fatalf("request %q: no answer: %v", request, err)
			}
			name, key, ok := strings.Cut(string(request), " ")
			want := noTable
			switch {
			case !ok:
				want = noKey
			case name == "inline" && strings.EqualFold(key, "a"):
				want = "OK text"
			case name == "inline":
				want = "NOTFOUND "
			case name == "fail" && key == "":
				want = "NOTFOUND "
			case name == "fail":
				want = "TEMP the lookup failed"
			}
			if string(answer) != want {
				t.Errorf("request %q: %q, want %q", request, answer, want)
			}
		}
		if rest, err := answers.ReadByte(); err != io.EOF {
			t.Errorf("%q stands behind the last answer (%v)", rest, err)
		}
	})
}
