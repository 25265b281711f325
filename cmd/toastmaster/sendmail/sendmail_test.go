package sendmail

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"toastmaster/cmd/toastmaster/cli"
	"toastmaster/internal/dsn"
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
		{"-ti -f bounce@example.test", "bounce@example.test", nil, true, true},
		{"a@b -it", "", []string{"a@b"}, true, true},
		{"-Uti -Am -Ac -odi -O x=y -L tag -h 4 -m -x -e q -p x -q30m a@b", "", []string{"a@b"}, true, true},
	} {
		o, err := parseSendmail(&cli.Environment{}, strings.Fields(c.args), io.Discard)
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		if o.sender != c.sender || !slices.Equal(o.recipients, c.recipients) || o.fromHeader != c.fromHeader || o.ignoreDots != c.dots {
			t.Errorf("%s: %+v", c.args, o)
		}
	}
	for _, bad := range []string{"-f", "-bx", "-Z a@b", "-n a@b", "-XV a@b", "-Vab a@b", "-V ab a@b", "-X log a@b", "-B x a@b", "-oA a@b", "-t -bp", "-bs x", "-bi x", "-bp x", "-q x", "-bv -t", "-bv -v a@b", "-bv -N never a@b", "-bv -R hdrs a@b", "-qIX a@b", "-qRX a@b"} {
		if _, err := parseSendmail(&cli.Environment{}, strings.Fields(bad), io.Discard); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func readLetter(t *testing.T, o sendmailOptions, in string, limit int64) (*letter, error) {
	t.Helper()
	return o.read(strings.NewReader(in), func(string) string { return "" }, limit)
}

func to(l *letter) (all []string) {
	for _, r := range l.said.Recipients {
		all = append(all, r.Address)
	}
	return all
}

func TestReadMessageCollectsRecipients(t *testing.T) {
	in := "To: Alice <alice@example.test>,\n bob@example.test\nBcc: carol@example.test\nSubject: x\n\nbody\n.\nafter\n"
	o := sendmailOptions{fromHeader: true, fullName: "Me", sender: "me@example.test", senderSet: true, recipients: []string{"root"}}
	l, err := readLetter(t, o, in, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := to(l), []string{"root", "alice@example.test", "bob@example.test", "carol@example.test"}; !slices.Equal(got, want) {
		t.Errorf("recipients %v", got)
	}
	want := "To: Alice <alice@example.test>,\n bob@example.test\nSubject: x\n\nbody\n"
	if string(l.text) != want || l.said.FullName != "Me" || l.said.Sender != "me@example.test" || l.said.Own {
		t.Errorf("%q %+v", l.text, l.said)
	}
	// A message that is sent again has its own.
	l, err = readLetter(t, sendmailOptions{fromHeader: true}, "Resent-To: dora@example.test\nResent-Bcc: e@example.test\nFrom: x@example.test\n"+in, 1000)
	if err != nil || !slices.Equal(to(l), []string{"dora@example.test", "e@example.test"}) || l.said.FullName != "" || bytes.Contains(l.text, []byte("Bcc")) || !l.said.Own {
		t.Errorf("%v %+v %q", err, l.said, l.text)
	}
	for _, none := range []string{"", "Subject: x\n\nTo: alice@example.test\n"} {
		var wrong *badMessage
		if _, err := readLetter(t, sendmailOptions{fromHeader: true}, none, 1000); !errors.As(err, &wrong) {
			t.Errorf("%q: %v", none, err)
		}
	}
}

func TestReadMessageKeepsADotWithI(t *testing.T) {
	o := sendmailOptions{ignoreDots: true, recipients: []string{"root"}}
	l, err := readLetter(t, o, "no header here\n.\nafter\r\n", 1000)
	if err != nil || string(l.text) != "\nno header here\n.\nafter\n" {
		t.Errorf("%+v %v", l, err)
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
	l, err := readLetter(t, o, in, 1000)
	if want := "To: bob@example.test\nSubject: x\n\nFrom here\n"; err != nil || string(l.text) != want || len(l.said.Recipients) != 1 {
		t.Errorf("%+v %v", l, err)
	}
}

func TestReadMessageIsBounded(t *testing.T) {
	o := sendmailOptions{recipients: []string{"root"}}
	_, err := readLetter(t, o, strings.Repeat("a", 1001), 1000)
	if !errors.Is(err, errTooLarge) {
		t.Error(err)
	}
}

func TestEnvelopeSender(t *testing.T) {
	for in, want := range map[string]string{"": "", "<>": "", "bob": "bob", "<a@b>": "a@b", `"x y"@B`: `"x y"@b`, "A Name <a@b>": "a@b"} {
		o := sendmailOptions{sender: in, senderSet: true}
		if got, err := o.envelopeSender(); err != nil || got != want {
			t.Errorf("-f %q: %q %v", in, got, err)
		}
	}
	o := sendmailOptions{sender: "a@@b", senderSet: true}
	if got, err := o.envelopeSender(); err == nil {
		t.Errorf("%q accepted", got)
	}
}

func TestCodeOf(t *testing.T) {
	for code, err := range map[int]error{
		ExOK:          nil,
		ExNoUser:      replyOf(&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}}),
		ExUnavailable: replyOf(&smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 3, 4}}),
		ExNoPerm:      &refusal{dsn.Policy, "no"},
		ExTempFail:    errors.New("connection refused"),
		ExDataErr:     &readError{io.ErrUnexpectedEOF},
		ExUsage:       &badMessage{errors.New("x")},
	} {
		if got := codeOf(err); got != code {
			t.Errorf("%v: %d", err, got)
		}
	}
	for _, e := range []error{replyOf(&smtp.SMTPError{Code: 421}), &refusal{dsn.SystemFull, "full"}} {
		if got := codeOf(e); got != ExTempFail {
			t.Errorf("%v: %d", e, got)
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
		if letter > 'Z' && letter < 'a' {
			continue
		}
		known := strings.IndexByte(withValue+without, letter) >= 0
		if promised := bytes.Contains(page, []byte("**-"+string(letter)+"**")) || bytes.Contains(page, []byte("**-"+string(letter)+"m**")); known != promised {
			t.Errorf("-%c: taken %v, in the page %v", letter, known, promised)
		}
	}
}

// TestRunsOfTheQueue: -q and what may stand behind it.
func TestRunsOfTheQueue(t *testing.T) {
	for args, want := range map[string]sendmailOptions{
		"-q": {mode: modeFlush}, "-qRa.test": {flushSite: "a.test"}, "-qR a.test": {flushSite: "a.test"}, "-qI 3ABC": {flushID: "3ABC"}, "-qI3ABC": {flushID: "3ABC"}, "-q30m": {}, "-bd -q30m": {mode: modeDaemon}, "-bd -q": {mode: modeDaemon},
	} {
		o, err := parseSendmail(&cli.Environment{}, strings.Fields(args), io.Discard)
		if err != nil || o.mode != want.mode || o.flushSite != want.flushSite || o.flushID != want.flushID || o.recipients != nil {
			t.Errorf("%s: %+v %v", args, o, err)
		}
	}
	for _, bad := range []string{"-qR", "-qI", "-qSx", "-qx", "-q a.test"} {
		if _, err := parseSendmail(&cli.Environment{}, strings.Fields(bad), io.Discard); err == nil {
			t.Errorf("%s accepted", bad)
		}
	}
}

// TestAVeryLongField: a field with very many lines is read in one go; copied for each of them it would take an hour.
func TestAVeryLongField(t *testing.T) {
	t.Parallel()
	const lines = 1_000_000
	text := []byte("To: a\n" + strings.Repeat(" b\n", lines) + "Cc: c\n d\n\nbody\n")
	fields, body := splitHeader(text)
	if len(fields) != 2 || len(fields[0]) != len("To: a\n")+lines*len(" b\n") || string(fields[1]) != "Cc: c\n d\n" || string(body) != "body\n" {
		t.Errorf("%d fields, the first of %d octets, body %q", len(fields), len(fields[0]), body)
	}
	again := []byte("To: a\n b\n\nbody\n")
	if fields, _ := splitHeader(again); string(append(fields[0], 'x')) == "" || string(again) != "To: a\n b\n\nbody\n" {
		t.Errorf("who appends to a field writes over the message: %q", again)
	}
}
