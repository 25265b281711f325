package e2e

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// dialogue is a client that types what it is told.
type dialogue struct {
	net.Conn
	in *bufio.Reader
}

func converse(t *testing.T, address string) *dialogue {
	t.Helper()
	c, err := net.Dial("tcp", address)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(testTime)))
	return &dialogue{c, bufio.NewReader(c)}
}

// say sends text and reads up to the line that begins with until.
func (d *dialogue) say(t *testing.T, text, until string) string {
	t.Helper()
	_, err := io.WriteString(d, text)
	must(t, err)
	var all strings.Builder
	for {
		line, err := d.in.ReadString('\n')
		all.WriteString(line)
		if strings.HasPrefix(line, until) {
			return all.String()
		}
		if err != nil {
			t.Fatalf("no %q after %q: %v\n%s", until, text, err, all.String())
		}
	}
}

// rest is everything up to the end of the connection.
func (d *dialogue) rest(t *testing.T) string {
	t.Helper()
	text, err := io.ReadAll(d.in)
	if err != nil {
		t.Errorf("the session goes on: %v", err)
	}
	return string(text)
}

// victims are sessions of alice in each of the ways to be busy, by what they
// must end with.
type victim struct {
	name, goodbye string
	d             *dialogue
}

func victims(t *testing.T, b *box) []victim {
	t.Helper()
	imap := func() *dialogue {
		d := converse(t, b.IMAP())
		d.say(t, fmt.Sprintf("a LOGIN %s %s\r\nb SELECT INBOX\r\n", alice, alicesWord), "b OK")
		return d
	}
	bye := "* BYE Mailbox was removed or disabled, has another password, or an administrator ended the session\r\n"
	idle := imap()
	idle.say(t, "c IDLE\r\n", "+ ")
	appending := imap()
	appending.say(t, "c APPEND INBOX {1000000}\r\n", "+ ")
	_, err := io.WriteString(appending, "Subject: half\r\n")
	must(t, err)
	pop := converse(t, b.POP3())
	pop.say(t, fmt.Sprintf("USER %s\r\nPASS %s\r\n", alice, alicesWord), "+OK Logged in")
	smtp := submit(t, b)
	sending := submit(t, b)
	sending.say(t, fmt.Sprintf("MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n", alice, alice), "354 ")
	_, err = io.WriteString(sending, "Subject: half\r\n")
	must(t, err)
	closing := "421 4.7.0 mx.example.test Mailbox was removed or disabled, has another password, or an administrator ended the session\r\n"
	return []victim{
		{"submission", closing, smtp},
		{"data", closing, sending},
		{"idle", bye, idle},
		{"append", bye, appending},
		{"quiet", bye, imap()},
		{"pop3", "-ERR [SYS/PERM] Mailbox was removed or disabled, has another password, or an administrator ended the session\r\n", pop},
	}
}

// submit is a session of alice's on the submission port.
func submit(t *testing.T, b *box) *dialogue {
	t.Helper()
	d := converse(t, b.Submission())
	d.say(t, "EHLO client.example.net\r\n", "250 ")
	secret := base64.StdEncoding.EncodeToString([]byte("\x00" + alice + "\x00" + alicesWord))
	d.say(t, "AUTH PLAIN "+secret+"\r\n", "235 ")
	return d
}

// TestSessionsEndWithTheirLogIn: whatever takes the log-in away ends the open
// sessions within a second or so, and those of others go on.
func TestSessionsEndWithTheirLogIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, stdin string
		args        []string
	}{
		{"removed", "", []string{"mailbox", "remove", alice}},
		{"purged", "", []string{"mailbox", "remove", alice, "--purge"}},
		{"disabled", "", []string{"mailbox", "set", alice, "--enabled=false"}},
		{"password", "another1", []string{"mailbox", "set", alice, "--password-stdin"}},
		{"domain", "", []string{"domain", "set", "example.test", "--enabled=false"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := serve(t, nil)
			must(t, b.AddDomain(testContext(t), "other.test"))
			must(t, b.AddMailbox(testContext(t), "carol@other.test", bobsWord))
			other := converse(t, b.POP3())
			other.say(t, "USER carol@other.test\r\nPASS "+bobsWord+"\r\n", "+OK Logged in")
			open := victims(t, b)
			if _, err := b.Run(testContext(t), c.stdin, c.args...); err != nil {
				t.Fatal(err)
			}
			changed := time.Now()
			for _, v := range open {
				if got := v.d.rest(t); got != v.goodbye {
					t.Errorf("%s: %q", v.name, got)
				}
			}
			// A loaded machine is not the server's fault.
			if took := time.Since(changed); took > 30*time.Second {
				t.Errorf("it took %s", took)
			}
			other.say(t, "NOOP\r\n", "+OK")
			if n := len(b.mail(t, alice, "")); n != 0 {
				t.Errorf("%d messages were stored", n)
			}
		})
	}
}

// TestOldSessionAndNewOwner: a command that follows the change at once does
// not reach the mailbox that was made in its place.
func TestOldSessionAndNewOwner(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	ctx := testContext(t)
	for range 5 {
		imap, pop, smtp := converse(t, b.IMAP()), converse(t, b.POP3()), submit(t, b)
		imap.say(t, fmt.Sprintf("a LOGIN %s %s\r\n", alice, alicesWord), "a OK")
		pop.say(t, fmt.Sprintf("USER %s\r\nPASS %s\r\n", alice, alicesWord), "+OK Logged in")
		if _, err := b.Run(ctx, "", "mailbox", "remove", alice, "--purge"); err != nil {
			t.Fatal(err)
		}
		must(t, b.AddMailbox(ctx, alice, alicesWord))
		_, _ = io.WriteString(imap, "b APPEND INBOX {14+}\r\nSubject: old\r\n\r\nc LIST \"\" *\r\n")
		_, _ = io.WriteString(pop, "STAT\r\n")
		_, _ = fmt.Fprintf(smtp, "MAIL FROM:<%s>\r\n", alice)
		// What was sent after the end may reset the connection.
		text, _ := io.ReadAll(imap.in)
		if strings.Contains(string(text), "OK") || strings.Contains(string(text), "LIST") {
			t.Errorf("IMAP: %q", text)
		}
		if text, _ = io.ReadAll(pop.in); strings.Contains(string(text), "+OK") {
			t.Errorf("POP3: %q", text)
		}
		if text, _ = io.ReadAll(smtp.in); strings.Contains(string(text), "250") {
			t.Errorf("SMTP: %q", text)
		}
		if n := len(b.mail(t, alice, "")); n != 0 {
			t.Fatalf("%d messages of the old owner", n)
		}
	}
}
