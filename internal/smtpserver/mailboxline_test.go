package smtpserver

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestMailboxSeparatorBecomesAField: a mail that begins as in an mbox file has a
// header all the same. What only looks like it is left alone.
func TestMailboxSeparatorBecomesAField(t *testing.T) {
	t.Parallel()
	const from = "From alice@example.test Mon Jan  5 10:00:00 2026\n"
	many := strings.Repeat(">", 2000)
	for in, want := range map[string]string{
		from + "Subject: x\n\nFrom here\n":      "X-Mailbox-Line: " + from + "Subject: x\n\nFrom here\n",
		">" + from + "Subject: x\n\n":           "X-Mailbox-Line: >" + from + "Subject: x\n\n",
		from + ">>" + from + "To: b\n\n" + from: "X-Mailbox-Line: " + from + "X-Mailbox-Line: >>" + from + "To: b\n\n" + from,
		"From: alice\n\nFrom bob\n":             "From: alice\n\nFrom bob\n",
		"From : alice\n\n":                      "From : alice\n\n",
		"From \t : alice\n\n":                   "From \t : alice\n\n",
		"From\n":                                "From\n",
		"From ":                                 "From ",
		"From x":                                "X-Mailbox-Line: From x",
		"Fro":                                   "Fro",
		"":                                      "",
		"\n" + from:                             "\n" + from,
		" " + from:                              " " + from,
		"Subject: x\n" + from + "To: b\n":       "Subject: x\n" + from + "To: b\n",
		">Fred\n":                               ">Fred\n",
		many + from:                             many + from,
		"From " + strings.Repeat(" ", 3000):     "X-Mailbox-Line: From " + strings.Repeat(" ", 3000),
	} {
		for _, src := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in)), iotest.HalfReader(strings.NewReader(in))} {
			var got bytes.Buffer
			h := &headWriter{w: &got}
			_, err := io.Copy(struct{ io.Writer }{h}, src)
			if err == nil {
				err = h.Close()
			}
			if err != nil || got.String() != want {
				t.Errorf("%.80q: %.120q, %v", in, got.String(), err)
			}
		}
	}
}
