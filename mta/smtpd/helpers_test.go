package smtpd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
	"toastmaster/internal/trace"
)

// receivedOf is the Received field of a message that came so.
func receivedOf(o envelope.Origin) string {
	r := trace.Received{Origin: &o, By: "mx.test", ID: "Q1", For: addr.Address{}, At: time.Unix(0, 0)}
	return string(r.Append(nil))
}

// waitFor waits for a file with a text in a Maildir of another server.
func waitFor(t *testing.T, maildir, with string) string {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		files, _ := filepath.Glob(filepath.Join(maildir, "new", "*"))
		for _, f := range files {
			if text, err := os.ReadFile(f); err == nil && strings.Contains(string(text), with) {
				return string(text)
			}
		}
	}
	t.Fatalf("no message with %q in %s", with, maildir)
	return ""
}
