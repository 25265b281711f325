package smtpserver

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/envelope"
	"toastmaster/internal/service"
)

// host is a session of a host that may say for whom it speaks, as long as its address is the one of script.
type host struct {
	*bagSession
	c *Conn
}

func (h *host) MayXClient() bool  { return h.c.ClientAddr() != netip.MustParseAddr("192.0.2.7") }
func (h *host) MayXForward() bool { return true }

// spoken runs a session with these commands, and returns what was said, and the last Conn.
func spoken(t *testing.T, commands ...string) (string, *Conn, int) {
	t.Helper()
	s := testServer(&mailbag{})
	s.Verbs = slices.Concat(SMTPVerbs(), ForwardVerbs())
	var conn *Conn
	sessions := 0
	s.Backend = BackendFunc(func(c *Conn) Session {
		conn = c
		sessions++
		return &host{bagSession: &bagSession{bag: &mailbag{}}, c: c}
	})
	c := &script{in: strings.NewReader(strings.Join(commands, "\r\n") + "\r\nQUIT\r\n")}
	s.ServeConn(t.Context(), c)
	return c.out.String(), conn, sessions
}

// TestXClientRefusals: what is wrong changes nothing.
func TestXClientRefusals(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		"XCLIENT":                     "501 5.5.4 Syntax: XCLIENT attribute=value...",
		"XCLIENT FOO":                 "501 5.5.4 Error: attribute=value expected",
		"XCLIENT FOO=bar":             "501 5.5.4 Bad XCLIENT attribute name: FOO",
		"XCLIENT ADDR=x":              "501 5.5.4 Bad ADDR syntax: x",
		"XCLIENT ADDR=0.0.0.0":        "501 5.5.4 Bad ADDR syntax: 0.0.0.0",
		"XCLIENT ADDR=IPV6:::":        "501 5.5.4 Bad ADDR syntax: IPV6:::",
		"XCLIENT PORT=99999":          "501 5.5.4 Bad PORT syntax: 99999",
		"XCLIENT DESTPORT=x":          "501 5.5.4 Bad DESTPORT syntax: x",
		"XCLIENT NAME=x..y":           "501 5.5.4 Bad NAME syntax: x..y",
		"XCLIENT PROTO=FOO":           "501 5.5.4 Bad PROTO syntax: FOO",
		"XCLIENT HELO=a+0Ab":          "501 5.5.4 Bad HELO syntax: a?b",
		"XCLIENT HELO=":               "501 5.5.4 Bad HELO syntax: ",
		"XFORWARD SOURCE=x":           "501 5.5.4 Bad SOURCE syntax: x",
		"XFORWARD ADDR=0.0.0.0":       "501 5.5.4 Bad ADDR syntax: 0.0.0.0",
		"XFORWARD LOGIN=x":            "501 5.5.4 Bad XFORWARD attribute name: LOGIN",
		"XCLIENT ADDR=IPV6:192.0.2.1": "501 5.5.4 Bad ADDR syntax: IPV6:192.0.2.1",
	} {
		out, c, sessions := spoken(t, "EHLO c", command)
		if !strings.Contains(out, "\r\n"+want+"\r\n221 ") || c.Told() != (Told{}) || sessions != 1 || c.Helo() != "c" {
			t.Errorf("%s: %+v, %d sessions, %s", command, c.Told(), sessions, out)
		}
	}
	for _, command := range []string{"XCLIENT ADDR=192.0.2.1", "XFORWARD ADDR=192.0.2.1"} {
		if out, _, _ := spoken(t, "EHLO c", "MAIL FROM:<a@x.test>", command); !strings.Contains(out, "503 5.5.1 Error: MAIL transaction in progress") {
			t.Errorf("%s: %s", command, out)
		}
	}
	// A session that is no Forwarder offers nothing, and takes nothing.
	s := testServer(&mailbag{})
	s.Verbs = slices.Concat(SMTPVerbs(), ForwardVerbs())
	c := &script{in: strings.NewReader("EHLO c\r\nXCLIENT ADDR=192.0.2.1\r\nXFORWARD ADDR=192.0.2.1\r\nQUIT\r\n")}
	s.ServeConn(t.Context(), c)
	if out := c.out.String(); strings.Contains(out, "250-X") || strings.Count(out, "550 5.7.0 Error: insufficient authorization") != 2 {
		t.Error(out)
	}
}

// TestXClientBeginsAgain: another session, of the client that was told; what was told stays until something else is,
// and who may not any more is refused.
func TestXClientBeginsAgain(t *testing.T) {
	t.Parallel()
	out, c, sessions := spoken(t, "EHLO c", "XFORWARD IDENT=Q1", "XCLIENT HELO=told+2Etest PROTO=esmtp PORT=99 LOGIN=bob",
		"XCLIENT NAME=n.test REVERSE_NAME=[tempunavail] ADDR=192.0.2.7 DESTADDR=IPV6:2001:db8::1 DESTPORT=26",
		"MAIL FROM:<a@x.test>", "RSET", "XCLIENT NAME=other.test", "EHLO again")
	want := Told{
		Name: ToldName{Said: true, Text: "n.test"}, Reverse: ToldName{Said: true, Later: true}, Addr: netip.MustParseAddr("192.0.2.7"), Port: 99,
		Server: netip.MustParseAddrPort("[2001:db8::1]:26"), Helo: "told.test", Proto: "ESMTP", Login: "bob",
	}
	if c.Told() != want || sessions != 3 || c.ClientAddr() != want.Addr || c.ClientPort() != 99 || c.Server() != want.Server {
		t.Errorf("%+v, %d sessions", c.Told(), sessions)
	}
	if n := strings.Count(out, "220 "); n != 3 {
		t.Errorf("%d greetings: %s", n, out)
	}
	_, last, _ := strings.Cut(out, "550 5.7.0 Error: insufficient authorization\r\n")
	if !strings.Contains(last, "250-XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT\r\n") && !strings.Contains(last, "250 XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT\r\n") || strings.Contains(last, "XCLIENT") {
		t.Errorf("%s", last)
	}
	_, c, _ = spoken(t, "XCLIENT ADDR=[unavailable]")
	if c.ClientAddr() != service.UnknownClient() || c.clientText() != "unknown" {
		t.Errorf("%s", c.ClientAddr())
	}
}

// FuzzXClient: whatever is told, nothing that is no address or name gets through, and nothing panics.
func FuzzXClient(f *testing.F) {
	for _, s := range []string{"NAME=a.test ADDR=192.0.2.1", "ADDR=IPV6:::1 HELO=x", "LOGIN=+00", "SOURCE=LOCAL PORT=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		c := &Conn{verb: &Verb{Name: "X", Help: "X"}}
		list, e := c.attributes(arg, slices.Concat(clientAttributes(), forwardAttributes()))
		if e != nil {
			return
		}
		told, forwarded := Told{}, envelope.Forwarded{}
		for _, a := range list {
			_, _ = told.tell(a), forward(&forwarded, a)
		}
		for _, text := range []string{told.Helo, told.Login, told.Name.Text, forwarded.Helo, forwarded.Ident, forwarded.Name, forwarded.Proto} {
			if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q: %q", arg, text)
			}
		}
	})
}
