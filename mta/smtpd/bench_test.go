package smtpd

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/envelope"
)

// taken is an envelope.Submitter that forgets.
type taken struct{}

func (taken) Submit(_ context.Context, s *envelope.Submission) (envelope.QueueID, error) {
	return "ABC", s.Content.Close()
}

// said is a connection of a client at 192.0.2.1 that says everything at once.
type said struct{ io.Reader }

func (said) Write(p []byte) (int, error)      { return len(p), nil }
func (said) Close() error                     { return nil }
func (said) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (said) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)} }
func (said) SetDeadline(time.Time) error      { return nil }
func (said) SetReadDeadline(time.Time) error  { return nil }
func (said) SetWriteDeadline(time.Time) error { return nil }

// repeated is n times the same octets.
type repeated struct {
	text  string
	n, at int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.text[r.at:])
	if r.at += n; r.at == len(r.text) {
		r.at = 0
		r.n--
	}
	return n, nil
}

// BenchmarkTransaction is the CPU of smtpd per message from outside to five
// recipients, without queue and database.
func BenchmarkTransaction(b *testing.B) {
	bed := newBed(b)
	bed.o.Submitter, bed.o.Params.ForbidPipelining = taken{}, false
	message := "MAIL FROM:<s@elsewhere.test> SIZE=100\r\n" + strings.Repeat("RCPT TO:<alice@example.test>\r\n", 5) + "DATA\r\nx\r\n.\r\n"
	s := daemon(b, bed.o).MX()
	b.ReportAllocs()
	b.ResetTimer()
	s.ServeConn(context.Background(), said{io.MultiReader(strings.NewReader("EHLO c\r\n"), &repeated{text: message, n: b.N})})
}

// BenchmarkConnection is the CPU of smtpd per connection that brings one message,
// without the socket, queue and database.
func BenchmarkConnection(b *testing.B) {
	bed := newBed(b)
	bed.o.Submitter, bed.o.Params.ForbidPipelining = taken{}, false
	const session = "EHLO c\r\nMAIL FROM:<s@elsewhere.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"
	s := daemon(b, bed.o).MX()
	b.ReportAllocs()
	for b.Loop() {
		s.ServeConn(context.Background(), said{strings.NewReader(session)})
	}
}
