package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBounceTemplates: a report in the operator's words, of the program and of a Postfix that
// reads the same file: up to the recipients they say the same. A file that cannot be used
// stops the start, with its line.
func TestBounceTemplates(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "bounce.cf")
	must(t, os.Chmod(filepath.Dir(file), 0o755))
	must(t, os.WriteFile(file, []byte("failure_template = <<EOF\nFrom: The Postmaster <postmaster@mx.example.test>\nSubject: It did not arrive\nPostmaster-Subject: A copy\n\nThis is $myhostname. Up to $bounce_size_limit octets come back.\n\nEOF\n"), 0o644))
	p := startPostfix(t, "mx.example.test", "bounce_template_file = "+file, "carol@remote.example")
	b := serve(t, map[string]string{"bounce.template_file": fmt.Sprintf("%q", file), "bounce.copy_to": fmt.Sprintf("%q", bob)})
	b.sendOne(t, alice, "x@no-such-domain.invalid", "lost")
	s, err := dialSMTP(p.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.send("carol@remote.example", []string{"x@no-such-domain.invalid"}, "From: <carol@remote.example>\r\nSubject: lost\r\n\r\ntext\r\n")
	must(t, err)
	beginning := func(text string) string {
		_, text, _ = strings.Cut(text, "Content-Description: Notification\n")
		_, text, _ = strings.Cut(text, "\n\n")
		text, _, _ = strings.Cut(text, "\n<x@")
		return text
	}
	theirs := readFile(t, waitPeerMail(t, p, "carol@remote.example", 1)[0])
	ours := readFile(t, b.waitMail(t, alice, 1)[0])
	if beginning(ours) != beginning(theirs) || !strings.Contains(ours, "This is mx.example.test. Up to 50000 octets") {
		t.Errorf("ours: %s\ntheirs: %s", ours, theirs)
	}
	for _, want := range []string{"\nFrom: The Postmaster <postmaster@mx.example.test>\n", "\nSubject: It did not arrive\n"} {
		if !strings.Contains(ours, want) || !strings.Contains(theirs, want) {
			t.Errorf("%q:\n%s\n%s", want, ours, theirs)
		}
	}
	if text := readFile(t, b.waitMail(t, bob, 1)[0]); !strings.Contains(text, "\nSubject: A copy\n") {
		t.Error(text)
	}
	must(t, b.Stop())
	must(t, os.WriteFile(file, []byte("failure_template = <<EOF\nFrom: a\nSubject: b\n\n$nothing\nEOF\n"), 0o644))
	out, err := b.Run(testContext(t), "", "config", "check")
	if err == nil || !strings.Contains(out+err.Error(), "bounce.template_file") || !strings.Contains(out+err.Error(), file+":5: failure_template: $nothing") {
		t.Errorf("%v %s", err, out)
	}
}
