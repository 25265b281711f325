package smtpd

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/logtest"
)

// counted is a port for mail from outside with all that counts clients.
func counted(t *testing.T, b *bed, clk clock.Clock) (address string, log *logtest.Buffer) {
	t.Helper()
	log = &logtest.Buffer{}
	b.o.Log = msglog.New(slog.NewTextHandler(log, nil))
	b.o.Counter = anvil.New(anvil.Options{Clock: clk, Exempt: b.o.Trusted})
	h := daemon(t, b.o).MX()
	return serve(t, &service.Server{
		Handler: h, Busy: h.BusyReply(), Log: b.o.Log, Counter: b.o.Counter,
		Admit: Admission("smtpd", b.o.Params, b.o.Counter), Limits: service.Limits{Trusted: b.o.Trusted},
	}, nil), log
}

// talk greets, sends lines at once and returns all that the server says.
func talk(t *testing.T, address, lines string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(c)
	greeting, err := r.ReadString('\n')
	if err != nil || !strings.HasPrefix(greeting, "220 ") {
		return greeting
	}
	// A server that ends the session does not read the rest.
	_, _ = io.WriteString(c, "HELO c.test\r\n")
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, lines)
	_ = c.(*net.TCPConn).CloseWrite()
	all, _ := io.ReadAll(r)
	return string(all)
}

// TestProbingAddressesEnds: an attacker that asks for addresses as fast as it
// can, a few in each connection, learns a handful and leaves a trickle in the
// log. After the unit of time it is a client like any other.
func TestProbingAddressesEnds(t *testing.T) {
	t.Parallel()
	clk := clocktest.New(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))
	b := newBed(t)
	b.o.Trusted = nil
	b.o.Params.RefusedRate, b.o.Params.ConnectionRate = 100, 300
	address, log := counted(t, b, clk)
	learned, later, turned := 0, 0, 0
	for i := range 1000 {
		var probes strings.Builder
		for j := range 9 {
			fmt.Fprintf(&probes, "RCPT TO:<user%d.%d@example.test>\r\n", i, j)
		}
		out := talk(t, address, "MAIL FROM:<a@x.test>\r\n"+probes.String()+"QUIT\r\n")
		learned += strings.Count(out, "550 5.1.1 ")
		later += strings.Count(out, "450 4.7.1 Too many refused recipients from 127.0.0.1")
		if strings.HasPrefix(out, "421 4.7.0 ") {
			turned++
		}
	}
	if learned != 100 || later != 8 || turned != 1000-12 {
		t.Errorf("%d addresses learned, %d later, %d connections turned away", learned, later, turned)
	}
	if n := len(log.String()); n > 50_000 {
		t.Errorf("%d octets of log", n)
	}
	clk.Advance(5 * time.Minute)
	if out := talk(t, address, "MAIL FROM:<a@x.test>\r\nRCPT TO:<alice@example.test>\r\nQUIT\r\n"); !strings.Contains(out, "250 2.1.5 ") {
		t.Errorf("still shut: %q", out)
	}
}

// TestRatesOfAClient counts messages, recipients, commands and connections of a
// stranger, of nobody whom the configuration exempts, and forgives with time.
func TestRatesOfAClient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		set   func(*Options)
		says  string
		good  string // what is heard within the rate
		heard string // beyond it
	}{
		{"messages", func(o *Options) { o.Params.MessageRate = 2 }, strings.Repeat("MAIL FROM:<a@x.test>\r\nRSET\r\n", 3),
			"250 2.1.0 ", "450 4.7.1 Error: too much mail from 127.0.0.1"},
		{"recipients", func(o *Options) { o.Params.RecipientRate = 2 }, "MAIL FROM:<a@x.test>\r\n" + strings.Repeat("RCPT TO:<alice@example.test>\r\n", 3),
			"250 2.1.5 ", "450 4.7.1 Error: too many recipients from 127.0.0.1"},
		{"commands", func(o *Options) { o.Params.CommandRate = 3 }, strings.Repeat("RSET\r\n", 3),
			"250 2.0.0 ", "421 4.7.0 mx.test Too many commands from 127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			clk := clocktest.New(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))
			b := newBed(t)
			b.o.Trusted = nil
			c.set(&b.o)
			address, _ := counted(t, b, clk)
			for range 2 {
				if out := talk(t, address, c.says); strings.Count(out, c.good) != 2 || strings.Count(out, c.heard) != 1 {
					t.Errorf("%q", out)
				}
				clk.Advance(5 * time.Minute)
			}
			b.o.Params.EventExceptions = []string{"127.0.0.0/8"}
			address, _ = counted(t, b, clk)
			if out := talk(t, address, c.says); strings.Contains(out, c.heard) || strings.Count(out, c.good) != 3 {
				t.Errorf("an exception: %q", out)
			}
			b.o.Params.EventExceptions, b.o.Trusted = nil, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			address, _ = counted(t, b, clk)
			if out := talk(t, address, c.says); strings.Contains(out, c.heard) || strings.Count(out, c.good) != 3 {
				t.Errorf("a trusted client: %q", out)
			}
		})
	}
}

// TestConnectionRate turns away before anything is made for the client.
func TestConnectionRate(t *testing.T) {
	t.Parallel()
	clk := clocktest.New(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))
	b := newBed(t)
	b.o.Trusted = nil
	b.o.Params.ConnectionRate = 3
	address, _ := counted(t, b, clk)
	for range 2 {
		for i := range 5 {
			if out := talk(t, address, "QUIT\r\n"); strings.HasPrefix(out, "221 ") != (i < 3) || strings.HasPrefix(out, "421 4.7.0 mx.test Error: too many connections from 127.0.0.1") != (i >= 3) {
				t.Errorf("connection %d: %q", i, out)
			}
		}
		clk.Advance(5 * time.Minute)
	}
}
