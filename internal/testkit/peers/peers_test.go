package peers

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var testAccounts = []Account{{"alice@example.test", "wonderland"}, {"bob@example.test", "builder"}}

func TestPostfixDeliversToMaildirs(t *testing.T) {
	t.Parallel()
	NeedRoot(t, "Postfix")
	Need(t, "postfix", "postfix")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	p, err := StartPostfix(ctx, PostfixOptions{Dir: TempDir(t), Hostname: "peer.test", Accounts: testAccounts})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	if err := p.Submit(ctx, "bob@example.test", []string{"alice@example.test"}, "Subject: by sendmail\n\nhello\n"); err != nil {
		t.Fatal(err)
	}
	talk(t, p.SMTP(), "220", "EHLO me.test", "250 ", "MAIL FROM:<bob@example.test>", "250", "RCPT TO:<nobody@example.test>", "550 5.1.1",
		"RCPT TO:<alice@example.test>", "250", "DATA", "354", "Subject: by smtp\r\n\r\nhello\r\n.", "250", "QUIT", "221")
	for deadline := time.Now().Add(time.Minute); ; {
		files, _ := os.ReadDir(filepath.Join(p.Maildir("alice@example.test"), "new"))
		if len(files) == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d messages\n%s", len(files), p.LogTail(4000))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestLastOfEach: main.cf has each name once.
func TestLastOfEach(t *testing.T) {
	t.Parallel()
	if got := lastOfEach("a = 1\nb = x=y\n\na=2\nc = $a\na = 3\n"); got != "b = x=y\n\nc = $a\na = 3\n" {
		t.Errorf("%q", got)
	}
}

// TestAFolderThatPeersCannotEnter: the error says which folder, and what to take.
func TestAFolderThatPeersCannotEnter(t *testing.T) {
	t.Parallel()
	NeedRoot(t, "a peer")
	closed := filepath.Join(TempDir(t), "closed")
	if err := os.MkdirAll(filepath.Join(closed, "in"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, postfix := StartPostfix(t.Context(), PostfixOptions{Dir: filepath.Join(closed, "in")})
	_, dovecot := StartDovecot(t.Context(), DovecotOptions{Dir: filepath.Join(closed, "in")})
	for _, err := range []error{postfix, dovecot} {
		if err == nil || !strings.Contains(err.Error(), "closed") || !strings.Contains(err.Error(), "peers.TempDir") {
			t.Error(err)
		}
	}
}

func TestDovecotServesWhatItGotByLMTP(t *testing.T) {
	t.Parallel()
	NeedRoot(t, "Dovecot")
	Need(t, "dovecot", "dovecot-core")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	d, err := StartDovecot(ctx, DovecotOptions{Dir: TempDir(t), Accounts: testAccounts})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Stop()
	talk(t, d.LMTP(), "220", "LHLO me.test", "250 ", "MAIL FROM:<bob@example.test>", "250",
		"RCPT TO:<alice@example.test>", "250", "DATA", "354", "Subject: by lmtp\r\n\r\nhello\r\n.", "250", "QUIT", "221")
	files, _ := os.ReadDir(filepath.Join(d.Maildir("alice@example.test"), "new"))
	if len(files) != 1 {
		t.Errorf("%d messages\n%s", len(files), d.LogTail(4000))
	}
	talk(t, d.POP3(), "+OK", "USER alice@example.test", "+OK", "PASS wonderland", "+OK", "STAT", "+OK 1 ", "QUIT", "+OK")
	talk(t, d.IMAP(), "* OK", "a LOGIN alice@example.test wonderland", "a OK", "b STATUS INBOX (MESSAGES)", "* STATUS INBOX (MESSAGES 1)", "c LOGOUT", "* BYE")
}

// talk expects a line that begins with the first, third ... text, passing over
// others, and sends the second, fourth ...
func talk(t *testing.T, address string, lines ...string) {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	for i, text := range lines {
		if i%2 == 1 {
			fmt.Fprintf(c, "%s\r\n", text)
			continue
		}
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("waiting for %q: %v", text, err)
			}
			if strings.HasPrefix(line, text) {
				break
			}
			if line[0] == '4' || line[0] == '5' || line[0] == '-' || strings.Contains(line, " NO ") || strings.Contains(line, " BAD ") {
				t.Fatalf("want %q, got %q", text, line)
			}
		}
	}
}
