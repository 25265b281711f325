package run_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"toastmaster/cmd/toastmaster/cli"
	"toastmaster/cmd/toastmaster/sendmail"
)

// TestMailboxLineKeepsTheHeader puts a message in that begins with the separator
// line of an mbox file, by every way, and asks IMAP for its envelope.
func TestMailboxLineKeepsTheHeader(t *testing.T) {
	t.Parallel()
	const separator = "From alice@example.test Mon Jan  5 10:00:00 2026\r\n"
	message := separator + "Date: Thu, 26 Nov 2026 12:00:00 +0000\r\nFrom: <a@example.net>\r\nSubject: kept\r\n\r\nFrom here\r\n"
	o := newOctets(t)
	rnd := rand.New(rand.NewPCG(1, 1))
	for way, first := range map[int]string{
		bySMTPData: "X-Mailbox-Line: " + separator, bySMTPBdat: "X-Mailbox-Line: " + separator,
		byLMTPData: "X-Mailbox-Line: " + separator, byLMTPBdat: "X-Mailbox-Line: " + separator,
		byAppend: separator, // APPEND stores what the client sent, to the octet
	} {
		if err := o.send(rnd, way, []byte(message)); err != nil {
			t.Fatalf("%s: %v", wayNames[way], err)
		}
		if err := o.looksWhole(way, first); err != nil {
			t.Errorf("%s: %v", wayNames[way], err)
		}
	}
	var errs bytes.Buffer
	env := &cli.Environment{Stdin: strings.NewReader(strings.ReplaceAll(message, "\r\n", "\n")), Stderr: &errs, ConfigFile: o.c.File, Getenv: func(string) string { return "" }}
	if code := sendmail.Run(t.Context(), env, []string{"-f", "a@example.net", wayNames[bySMTPData] + "@example.test"}); code != 0 {
		t.Fatalf("sendmail: %d %s", code, errs.String())
	}
	if err := o.looksWhole(bySMTPData, "Date: "); err != nil {
		t.Errorf("sendmail: %v", err)
	}
}

// looksWhole waits for a message, and checks that it has the line first in its
// header, the envelope of its header, and its body.
func (o *octets) looksWhole(way int, first string) error {
	text, err := o.stored(way)
	if err != nil {
		return err
	}
	if !strings.Contains("\n"+string(text), "\n"+strings.ReplaceAll(first, "\r\n", "\n")) {
		return fmt.Errorf("no line %q in %q", first, text)
	}
	nc, err := net.Dial("tcp", o.c.IMAPD.Listen[0])
	if err != nil {
		return err
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(nc, "a LOGIN %s@example.test \"%s\"\r\nb SELECT INBOX\r\nc FETCH * (ENVELOPE BODY.PEEK[TEXT])\r\nd LOGOUT\r\n", wayNames[way], octetsWord); err != nil {
		return err
	}
	var all bytes.Buffer
	if _, err := all.ReadFrom(nc); err != nil {
		return err
	}
	var wrong []error
	for _, want := range []string{`"Thu, 26 Nov 2026 12:00:00 +0000" "kept" ((NIL NIL "a" "example.net"))`, "BODY[TEXT] {11}\r\nFrom here\r\n"} {
		if !strings.Contains(all.String(), want) {
			wrong = append(wrong, fmt.Errorf("no %q in %q", want, all.String()))
		}
	}
	return errors.Join(wrong...)
}
