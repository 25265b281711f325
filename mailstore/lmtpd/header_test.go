package lmtpd

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"toastmaster/internal/addr"
	"toastmaster/internal/testkit/transcript"
)

// TestHeaderInPieces: whatever the pieces are, the Return-Path fields of the
// header are gone, nothing else is, and the addresses of Delivered-To are known.
func TestHeaderInPieces(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3*maxHeld)
	bob := addr.Address{Local: "bob", Domain: "example.test"}
	var h header
	for _, c := range []struct {
		in, want string
		bob      bool
	}{
		{"return-path : <a@b>\nSubject: x\n\nReturn-Path: body\n", "Subject: x\n\nReturn-Path: body\n", false},
		{"Subject: x\nRETURN-PATH: <a@b>\n (folded)\n\tand more\nTo: y\n z\n\n", "Subject: x\nTo: y\n z\n\n", false},
		{"Return-Path: " + long + "\nTo: " + long + "\nReturn-Path: <>\n " + long + "\n\nbody", "To: " + long + "\n\nbody", false},
		{"no header\nReturn-Path: <>\n", "no header\nReturn-Path: <>\n", false},
		{" folded first\nReturn-Path: <>\n", " folded first\nReturn-Path: <>\n", false},
		{"\nReturn-Path: <>\nDelivered-To: bob@example.test\n", "\nReturn-Path: <>\nDelivered-To: bob@example.test\n", false},
		{"Return-Path: <>", "", false},
		{"Subject: x", "Subject: x", false},
		{"delivered-to: <Bob@Example.Test>\n\n", "delivered-to: <Bob@Example.Test>\n\n", true},
		{"Received: a\nDelivered-To: bob@example.test\n", "Received: a\nDelivered-To: bob@example.test\n", true},
		{"Delivered-To: bob@example.test\nReceived: a\n", "Delivered-To: bob@example.test\nReceived: a\n", false},
		{"Received: a\nDelivered-To: bob@example.test\nReceived: b\n", "Received: a\nDelivered-To: bob@example.test\nReceived: b\n", true},
	} {
		for _, size := range []int{1, 2, 7, maxHeld, 1 << 20} {
			var out bytes.Buffer
			h.begin(&out) // the message before is forgotten
			for rest := []byte(c.in); len(rest) > 0; {
				n := min(size, len(rest))
				if _, err := h.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			if out.String() != c.want || h.delivered.To(bob) != c.bob {
				t.Errorf("%.60q in pieces of %d: %.200q, bob %v", c.in, size, out.String(), h.delivered.To(bob))
			}
		}
	}
}

// TestOneReturnPathAndNoLoop: the stored message has the Return-Path of its
// envelope alone, and who was delivered to before is refused alone.
func TestOneReturnPathAndNoLoop(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	transcript.Run(t, "loop", "S: 220 *\nC: LHLO c\nS: ...\nS: 250 CHUNKING\nC: MAIL FROM:<s@elsewhere.test>\nS: 250 *\n"+
		"C: RCPT TO:<alice@example.test>\nS: 250 *\nC: RCPT TO:<bob@example.test>\nS: 250 *\n"+
		"C: DATA\nS: 354 *\nC: Return-Path: <forged@elsewhere.test>\nC: Delivered-To: alice@example.test\nC: Received: from a\n"+
		"C: Delivered-To: BOB@example.test\nC: \nC: Delivered-To: alice@example.test\nC: .\n"+
		"S: 250 2.0.0 Saved\nS: 554 5.4.6 Mail forwarding loop for bob@example.test\n"+
		"C: MAIL FROM:<>\nS: 250 *\nC: RCPT TO:<bob@example.test>\nS: 250 *\n"+
		"C: DATA\nS: 354 *\nC: Delivered-To: bob@example.test\nC: \nC: .\nS: 554 5.4.6 *\nC: QUIT\nS: 221 *\n",
		transcript.Options{Dial: func(t *testing.T, _ string) net.Conn { return b.dial(t, "tcp") }})
	if got := b.inbox(t, "bob"); len(got) != 0 {
		t.Errorf("bob: %q", got)
	}
	got := b.inbox(t, "alice")
	if len(got) != 1 || !strings.HasPrefix(got[0], "Return-Path: <s@elsewhere.test>\n") || strings.Count(got[0], "Return-Path") != 1 {
		t.Errorf("alice: %q", got)
	}
}
