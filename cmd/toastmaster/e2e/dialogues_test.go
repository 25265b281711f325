package e2e

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"toastmaster/internal/testkit/transcript"
)

const dialogueWord = "dialogue-word"

// TestDialogues runs the dialogues in testdata/dialogues. Each has a mailbox of
// its own, ${me}, named as its file; "# In the end: N messages" says what its
// INBOX holds afterwards. Those in outside/ come from an untrusted network.
func TestDialogues(t *testing.T) {
	t.Parallel()
	trusting := serve(t, nil)
	untrusting := serve(t, map[string]string{"main.trusted_networks": `["192.0.2.0/24"]`})
	for _, c := range []struct {
		dir     string
		b       *box
		address string
	}{
		{"smtp", trusting, trusting.SMTP()}, {"outside", untrusting, untrusting.SMTP()}, {"submission", trusting, trusting.Submission()},
		{"lmtp", trusting, trusting.LMTP()}, {"imap", trusting, trusting.IMAP()}, {"pop3", trusting, trusting.POP3()},
	} {
		files, err := filepath.Glob(filepath.Join("testdata", "dialogues", c.dir, "*.txt"))
		must(t, err)
		if len(files) == 0 {
			t.Errorf("no dialogues in %s", c.dir)
		}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".txt")
			t.Run(c.dir+"/"+name, func(t *testing.T) { c.b.dialogue(t, file, c.address, c.dir, name) })
		}
	}
}

var inTheEnd = regexp.MustCompile(`# In the end: (\d+) messages`)

func (b *box) dialogue(t *testing.T, file, address, dir, name string) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	me := name + "@example.test"
	if name == "session" {
		me = dir + "-" + me // the same name in two folders
	}
	must(t, b.AddMailbox(testContext(t), me, dialogueWord))
	transcript.Run(t, name, string(text), transcript.Options{
		Dial: func(t *testing.T, _ string) net.Conn {
			c, err := net.Dial("tcp", address)
			must(t, err)
			return c
		},
		TLS:     &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // a test
		Vars:    map[string]string{"me": me, "word": dialogueWord},
		Timeout: smtpTimeout,
	})
	if m := inTheEnd.FindSubmatch(text); m != nil {
		var n int
		_, err := fmt.Sscan(string(m[1]), &n)
		must(t, err)
		b.waitMail(t, me, n)
	}
}
