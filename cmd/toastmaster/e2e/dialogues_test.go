package e2e

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"toastmaster/internal/testkit/transcript"
)

const dialogueWord = "dialogue-word"

// TestDialogues runs the dialogues in testdata/dialogues. Each has a mailbox of
// its own, ${me}, named as its file, and ${plain} logs in to it by AUTH PLAIN.
// "# At first: N messages" lays messages there before, "# In the end: N
// messages" says what its INBOX holds afterwards. Those in outside/ come from an untrusted network.
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

var (
	atFirst  = regexp.MustCompile(`# At first: (\d+) messages`)
	inTheEnd = regexp.MustCompile(`# In the end: (\d+) messages`)
)

// saysCount is the number in the comment that re finds.
func saysCount(t *testing.T, re *regexp.Regexp, text []byte) (n int, ok bool) {
	t.Helper()
	m := re.FindSubmatch(text)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(string(m[1]))
	must(t, err)
	return n, true
}

func (b *box) dialogue(t *testing.T, file, address, dir, name string) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	me := name + "@example.test"
	if name == "session" {
		me = dir + "-" + me // the same name in two folders
	}
	must(t, b.AddMailbox(testContext(t), me, dialogueWord))
	if n, ok := saysCount(t, atFirst, text); ok {
		for i := range n {
			b.sendOne(t, bob, me, fmt.Sprintf("message %d", i+1))
			b.waitMail(t, me, i+1)
		}
	}
	transcript.Run(t, name, string(text), transcript.Options{
		Dial: func(t *testing.T, _ string) net.Conn {
			c, err := net.Dial("tcp", address)
			must(t, err)
			return c
		},
		TLS: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // a test
		Vars: map[string]string{
			"me": me, "word": dialogueWord,
			"plain": base64.StdEncoding.EncodeToString([]byte("\x00" + me + "\x00" + dialogueWord)),
		},
		Timeout: smtpTimeout,
	})
	if n, ok := saysCount(t, inTheEnd, text); ok {
		b.waitMail(t, me, n)
	}
}
