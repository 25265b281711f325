package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

func TestSMTPSource(t *testing.T) {
	t.Parallel()
	source := peers.Need(t, "smtp-source", "postfix")
	b := serve(t, nil)
	client(t, b.dir, "", source, "-s", "10", "-m", "200", "-l", "4096", "-f", "a@example.net", "-t", alice, b.SMTP())
	client(t, b.dir, "", source, "-d", "-s", "5", "-m", "100", "-l", "20000", "-f", "a@example.net", "-t", bob, b.SMTP())
	client(t, b.dir, "", source, "-L", "-d", "-s", "5", "-m", "100", "-f", "a@example.net", "-t", bob, b.LMTP())
	b.waitMail(t, alice, 200)
	files := b.waitMail(t, bob, 200)
	large := 0
	for _, f := range files {
		if text := readFile(t, f); strings.Count(text, "X") >= 19000 {
			large++
		}
	}
	if large != 100 {
		t.Errorf("%d large messages, want 100", large)
	}
	b.queueEmpty(t)
}

// TestSMTPSourceManyRecipients: one transaction with many recipients
// (smtp-source puts a number in front of the address).
func TestSMTPSourceManyRecipients(t *testing.T) {
	t.Parallel()
	source := peers.Need(t, "smtp-source", "postfix")
	b := serve(t, nil)
	boxes := []string{"many@example.test"} // the last one has no number
	for i := 2; i <= 20; i++ {
		boxes = append(boxes, fmt.Sprintf("%dmany@example.test", i))
	}
	must(t, b.AddMailboxes(testContext(t), "password", boxes...))
	client(t, b.dir, "", source, "-s", "4", "-m", "20", "-r", "20", "-f", "a@example.net", "-t", "many@example.test", b.SMTP())
	for _, box := range boxes {
		b.waitMail(t, box, 20)
	}
}

func TestSwaks(t *testing.T) {
	t.Parallel()
	swaks := peers.Need(t, "swaks", "swaks")
	b := serve(t, nil)
	for n, args := range [][]string{
		{"--server", b.SMTP(), "--from", "a@example.net", "--to", alice},
		{"--server", b.SMTP(), "--from", "a@example.net", "--to", alice, "--tls"},
		{"--server", b.SMTP(), "--from", "a@example.net", "--to", alice, "--pipeline"},
		{"--server", b.Submission(), "--from", bob, "--to", alice, "--tls", "--auth", "PLAIN", "--auth-user", bob, "--auth-password", bobsWord},
		{"--server", b.Submission(), "--from", bob, "--to", alice, "--tls", "--auth", "LOGIN", "--auth-user", bob, "--auth-password", bobsWord},
		{"--server", b.Submissions(), "--from", bob, "--to", alice, "--tls-on-connect", "--auth", "PLAIN", "--auth-user", bob, "--auth-password", bobsWord},
		{"--server", b.LMTP(), "--protocol", "LMTP", "--from", "a@example.net", "--to", alice},
		{"--server", b.SMTP(), "--from", "<>", "--to", alice},
	} {
		out := client(t, b.dir, "", swaks, append(args, "--timeout", "30", "--header", fmt.Sprintf("Subject: swaks %d", n))...)
		if strings.Contains(strings.Join(args, " "), "--tls") && !strings.Contains(out, "TLS started") {
			t.Errorf("no TLS:\n%s", out)
		}
		b.waitMail(t, alice, n+1)
	}
	seen := map[string]bool{}
	for _, f := range b.mail(t, alice, "") {
		text := readFile(t, f)
		for n := range 8 {
			if strings.Contains(text, fmt.Sprintf("Subject: swaks %d\n", n)) {
				seen[fmt.Sprint(n)] = true
			}
		}
		if strings.Contains(text, "\r") {
			t.Errorf("CR in %s", f)
		}
	}
	if len(seen) != 8 {
		t.Errorf("subjects seen: %v", seen)
	}
}

// TestSwaksIsRefused: what must not work, with the code that must say so.
func TestSwaksIsRefused(t *testing.T) {
	t.Parallel()
	swaks := peers.Need(t, "swaks", "swaks")
	b := serve(t, map[string]string{"main.trusted_networks": `["192.0.2.0/24"]`})
	for _, c := range []struct {
		want string
		args []string
	}{
		{"550 5.1.1", []string{"--server", b.SMTP(), "--from", "a@example.net", "--to", "nobody@example.test"}},
		{"554 5.7.1", []string{"--server", b.SMTP(), "--from", "a@example.net", "--to", "someone@elsewhere.example"}},
		{"530 5.7.0", []string{"--server", b.Submission(), "--from", bob, "--to", alice}},
		{"535 5.7.8", []string{"--server", b.Submission(), "--tls", "--from", bob, "--to", alice, "--auth", "PLAIN", "--auth-user", bob, "--auth-password", "wrong"}},
		{"550 5.1.1", []string{"--server", b.LMTP(), "--protocol", "LMTP", "--from", "a@example.net", "--to", "nobody@example.test"}},
	} {
		out, err := tryClient(t, b.dir, "", swaks, append(c.args, "--timeout", "30")...)
		if err == nil || !strings.Contains(out, c.want) {
			t.Errorf("want %s, %v:\n%s", c.want, err, out)
		}
	}
	if n := len(b.mail(t, alice, "")); n != 0 {
		t.Errorf("%d messages", n)
	}
}

func TestCurl(t *testing.T) {
	t.Parallel()
	curl := peers.Need(t, "curl", "curl")
	b := serve(t, nil)
	cert := b.certFile(t)
	const text = "From: <bob@example.test>\r\nTo: <alice@example.test>\r\nSubject: by curl\r\n\r\nHello from curl.\r\n"
	run := func(args ...string) string {
		t.Helper()
		return client(t, b.dir, text, curl, append([]string{"-sS", "--max-time", "30", "--insecure", "--cacert", cert}, args...)...)
	}
	login := []string{"-u", alice + ":" + alicesWord}
	run("--url", "smtp://"+b.SMTP()+"/client.example.net", "--mail-from", bob, "--mail-rcpt", alice, "-T", "-")
	run("--url", "smtp://"+b.Submission(), "--ssl-reqd", "-u", bob+":"+bobsWord, "--mail-from", bob, "--mail-rcpt", alice, "-T", "-")
	run("--url", "smtps://"+b.Submissions(), "-u", bob+":"+bobsWord, "--mail-from", bob, "--mail-rcpt", alice, "-T", "-")
	b.waitMail(t, alice, 3)

	for _, base := range []string{"imap://" + b.IMAP(), "imaps://" + b.IMAPS()} {
		if out := run(append(login, base+"/")...); !strings.Contains(out, "INBOX") {
			t.Errorf("LIST: %s", out)
		}
		for uid := 1; uid <= 3; uid++ {
			out := run(append(login, fmt.Sprintf("%s/INBOX;UID=%d", base, uid))...)
			if !strings.HasSuffix(out, "Subject: by curl\r\n\r\nHello from curl.\r\n") {
				t.Errorf("UID %d: %q", uid, out)
			}
		}
		if out := run(append(login, base+"/INBOX", "-X", "SEARCH SUBJECT curl")...); strings.TrimSpace(out) != "* SEARCH 1 2 3" {
			t.Errorf("SEARCH: %q", out)
		}
	}
	upload := filepath.Join(b.dir, "upload.eml") // APPEND wants to know the size
	must(t, os.WriteFile(upload, []byte(text), 0o600))
	run(append(login, "--ssl-reqd", "imap://"+b.IMAP()+"/Sent", "-T", upload)...)
	if n := len(b.mail(t, alice, "Sent")); n != 1 {
		t.Errorf("%d messages in Sent after an upload", n)
	}

	for _, base := range []string{"pop3://" + b.POP3(), "pop3s://" + b.POP3S()} {
		if out := run(append(login, base+"/")...); !strings.HasPrefix(out, "1 ") || strings.Count(out, "\n") != 3 {
			t.Errorf("LIST: %q", out)
		}
		if out := run(append(login, base+"/2")...); !strings.HasSuffix(out, "\r\n\r\nHello from curl.\r\n") {
			t.Errorf("RETR: %q", out)
		}
	}
	run(append(login, "--ssl-reqd", "pop3://"+b.POP3()+"/1", "-X", "DELE", "--list-only")...)
	b.waitMail(t, alice, 2)
}
