package trace

import (
	"net/mail"
	"strings"
	"testing"

	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
)

// TestWhatAPeerSaysMakesNoLine: whatever a client calls itself, the field is one field
// that a strict parser reads, with the same words of ours behind it.
func TestWhatAPeerSaysMakesNoLine(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{
		"x\r\nSubject: forged", "x\nBcc: a@b", "x\r\n\r\nbody", "a;b", "a (comment", "a) b", "\x00\x7f", "\\", `"quoted`, "ä", "<a@b>", "", strings.Repeat("x", 500), "; Thu, 1 Jan 1970 00:00:00 +0000",
	} {
		r := Received{
			Origin: &envelope.Origin{Protocol: evil, ClientAddr: "192.0.2.1" + evil, ClientName: evil, Helo: evil, TLS: evil}, By: "mx.test", ID: "Q1",
			For: addr.Address{Local: "alice", Domain: "example.test"}, At: at,
		}
		text := string(r.Append(nil))
		m, err := mail.ReadMessage(strings.NewReader(text + "Subject: real\n\nbody"))
		if err != nil {
			t.Errorf("%q: %v in %q", evil, err, text)
			continue
		}
		if len(m.Header) != 2 || m.Header.Get("Subject") != "real" {
			t.Errorf("%q made the header %v", evil, m.Header)
		}
		field := m.Header.Get("Received")
		if !strings.HasSuffix(field, "; Fri, 2 Jan 2026 03:04:05 +0100") || strings.Count(field, ";") != 1+strings.Count(comment(evil), ";") {
			t.Errorf("%q: %q", evil, field)
		}
		if depth := strings.Count(text, "(") - strings.Count(text, ")"); depth != 0 {
			t.Errorf("%q: the comments do not end: %q", evil, text)
		}
		for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n")[1:] {
			if !strings.HasPrefix(line, "\t") {
				t.Errorf("%q: a line of its own %q", evil, line)
			}
		}
	}
}

// TestLiterals: the address of a client as RFC 5321 writes it, or the path of a socket.
func TestLiterals(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{"192.0.2.1": "[192.0.2.1]", "2001:db8::1": "[IPv6:2001:db8::1]", "local": "[local]", "::ffff:192.0.2.1": "[IPv6:::ffff:192.0.2.1]"} {
		if got := string(appendLiteral(nil, ip)); got != want {
			t.Errorf("%s is %s", ip, got)
		}
	}
}

// TestDelivered remembers addresses folded, with and without brackets, passes over what
// is none, and has a bound.
func TestDelivered(t *testing.T) {
	t.Parallel()
	var d Delivered
	parse := func(s string) addr.Address {
		t.Helper()
		a, err := addr.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if d.To(parse("a@b.test")) {
		t.Error("the zero value has one")
	}
	for _, s := range []string{"Alice@Example.TEST", "<bob@example.test>", "no address", "", `"odd one"@example.test`} {
		d.Add(s)
	}
	for s, want := range map[string]bool{
		"alice@example.test": true, "ALICE@example.test": true, "bob@example.test": true, `"Odd One"@example.test`: true, "carol@example.test": false, "alice@example.tes": false,
	} {
		if got := d.To(parse(s)); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
	if d.To(addr.Address{}) {
		t.Error("what is no address is the null sender")
	}
	d.Forget()
	if d.To(parse("alice@example.test")) {
		t.Error("it remembers what it should forget")
	}
	for i := range 3 * maxDelivered {
		d.Add(strings.Repeat("a", 1+i%60) + "@" + strings.Repeat("b", 1+i/60) + ".test")
	}
	if n := len(d.keys); n != maxDelivered {
		t.Errorf("%d are remembered", n)
	}
}
