package sendmail

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"toastmaster/cmd/toastmaster/cli"
	"toastmaster/internal/addr"
)

func TestParseSendmail(t *testing.T) {
	for _, c := range []struct {
		args       string
		sender     string
		recipients []string
		fromHeader bool
		dots       bool
	}{
		{"-t -i -f bounce@example.test", "bounce@example.test", nil, true, true},
		{"-oi -fbounce@example.test a@b c@d", "bounce@example.test", []string{"a@b", "c@d"}, false, true},
		{"-i -- -odd@example.test", "", []string{"-odd@example.test"}, false, true},
		{"-oem -oi -t -F Name", "", nil, true, true},
		{"-B 8BITMIME -N never a@b", "", []string{"a@b"}, false, false},
	} {
		o, err := parseSendmail(&cli.Environment{}, strings.Fields(c.args))
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		if o.sender != c.sender || !slices.Equal(o.recipients, c.recipients) || o.fromHeader != c.fromHeader || o.ignoreDots != c.dots {
			t.Errorf("%s: %+v", c.args, o)
		}
	}
	for _, bad := range []string{"", "-f", "-bx", "-Z a@b"} {
		if _, err := parseSendmail(&cli.Environment{}, strings.Fields(bad)); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestReadMessageCollectsRecipients(t *testing.T) {
	in := "To: Alice <alice@example.test>,\n bob@example.test\nBcc: carol@example.test\nSubject: x\n\nbody\n.\nafter\n"
	o := sendmailOptions{fromHeader: true, fullName: "Me", sender: "me@example.test", senderSet: true}
	sender, err := o.envelopeSender("mail.example.test")
	if err != nil {
		t.Fatal(err)
	}
	text, recipients, err := readMessage(strings.NewReader(in), o, sender, "mail.example.test", 1000)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range recipients {
		got = append(got, r.String())
	}
	if want := []string{"alice@example.test", "bob@example.test", "carol@example.test"}; !slices.Equal(got, want) {
		t.Errorf("recipients %v", got)
	}
	want := "To: Alice <alice@example.test>,\n bob@example.test\nSubject: x\nFrom: \"Me\" <me@example.test>\n\nbody\n"
	if string(text) != want {
		t.Errorf("%q", text)
	}
}

func TestReadMessageKeepsADotWithI(t *testing.T) {
	o := sendmailOptions{ignoreDots: true, recipients: []string{"root"}}
	text, _, err := readMessage(strings.NewReader("no header here\n.\nafter\r\n"), o, addr.Address{}, "h.example", 1000)
	if err != nil || string(text) != "\nno header here\n.\nafter\n" {
		t.Errorf("%q %v", text, err)
	}
}

// TestReadMessageInLongLines has lines around the length of the reader's buffer:
// a dot or CR LF that its next piece begins with belongs to the line before.
func TestReadMessageInLongLines(t *testing.T) {
	o := sendmailOptions{recipients: []string{"root"}}
	for n := 4090; n < 4100; n++ {
		x := strings.Repeat("x", n)
		in := x + ".\n" + x + "\r\n" + x + "\r\r\n" + x + "\n" + x[:1] + "\r\nafter\n.\nnot this\n"
		text, err := readText(strings.NewReader(in), o.ignoreDots, 1<<20)
		want := x + ".\n" + x + "\n" + x + "\r\n" + x + "\n" + x[:1] + "\nafter\n"
		if err != nil || string(text) != want {
			t.Errorf("%d: %d octets, want %d, %v", n, len(text), len(want), err)
		}
	}
}

// TestReadMessageDropsMailboxLines is what a script sends that reads mail from
// an mbox file: Postfix's sendmail drops the separator.
func TestReadMessageDropsMailboxLines(t *testing.T) {
	o := sendmailOptions{fromHeader: true}
	in := "From alice@example.test Mon Jan  5 10:00:00 2026\n>From x\nTo: bob@example.test\nSubject: x\n\nFrom here\n"
	text, recipients, err := readMessage(strings.NewReader(in), o, addr.Address{}, "h.example", 1000)
	if want := "To: bob@example.test\nSubject: x\n\nFrom here\n"; err != nil || string(text) != want || len(recipients) != 1 {
		t.Errorf("%q %v %v", text, recipients, err)
	}
}

func TestReadMessageIsBounded(t *testing.T) {
	o := sendmailOptions{recipients: []string{"root"}}
	_, _, err := readMessage(strings.NewReader(strings.Repeat("a", 1001)), o, addr.Address{}, "h.example", 1000)
	if !errors.Is(err, errTooLarge) {
		t.Error(err)
	}
}

func TestEnvelopeSender(t *testing.T) {
	for in, want := range map[string]string{"": "", "<>": "", "bob": "bob@h.example", "<a@b>": "a@b", `"x y"@B`: `"x y"@b`} {
		got, err := (sendmailOptions{sender: in, senderSet: true}).envelopeSender("h.example")
		if err != nil || got.String() != want {
			t.Errorf("-f %q: %q %v", in, got, err)
		}
	}
	if got, err := (sendmailOptions{sender: "a@@b", senderSet: true}).envelopeSender("h.example"); err == nil {
		t.Errorf("%q accepted", got)
	}
}

func TestSubmitCode(t *testing.T) {
	for code, err := range map[int]error{
		ExOK:          nil,
		ExNoUser:      &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}},
		ExUnavailable: &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 3, 4}},
		ExTempFail:    errors.New("connection refused"),
	} {
		if got := submitCode(err); got != code {
			t.Errorf("%v: %d", err, got)
		}
	}
}

// TestSendmailPageNamesEveryOption: what the parser takes stands in the page,
// and what the page promises is taken.
func TestSendmailPageNamesEveryOption(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "cli", "man", "sendmail.1.md"))
	if err != nil {
		t.Fatal(err)
	}
	for letter := byte('A'); letter <= 'z'; letter++ {
		if letter > 'Z' && letter < 'a' || letter == 'b' {
			continue
		}
		option := "-" + string(letter)
		var o sendmailOptions
		value := func(int) (string, error) { return "x", nil }
		known := o.set(&cli.Environment{}, option, value) == nil
		if promised := bytes.Contains(page, []byte("**"+option+"**")); known != promised {
			t.Errorf("%s: taken %v, in the page %v", option, known, promised)
		}
	}
}

// TestRunsOfTheQueue: -q and what may stand behind it.
func TestRunsOfTheQueue(t *testing.T) {
	for args, want := range map[string]sendmailOptions{
		"-q": {mode: modeFlush}, "-qRa.test": {mode: modeFlush, flushSite: "a.test"}, "-qR a.test": {mode: modeFlush, flushSite: "a.test"},
		"-qI3ABC": {mode: modeFlush, flushID: "3ABC"}, "-qI 3ABC": {mode: modeFlush, flushID: "3ABC"},
	} {
		o, err := parseSendmail(&cli.Environment{}, strings.Fields(args))
		if err != nil || o.mode != want.mode || o.flushSite != want.flushSite || o.flushID != want.flushID || o.recipients != nil {
			t.Errorf("%s: %+v %v", args, o, err)
		}
	}
	for _, bad := range []string{"-qR", "-qI", "-qSx", "-qx"} {
		if _, err := parseSendmail(&cli.Environment{}, []string{bad}); err == nil {
			t.Errorf("%s accepted", bad)
		}
	}
}
