package main

import (
	"slices"
	"strings"
	"testing"
	"time"
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
		o, err := parseSendmail(&environment{}, strings.Fields(c.args))
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		if o.sender != c.sender || !slices.Equal(o.recipients, c.recipients) || o.fromHeader != c.fromHeader || o.ignoreDots != c.dots {
			t.Errorf("%s: %+v", c.args, o)
		}
	}
	for _, bad := range []string{"", "-f", "-bx", "-Z a@b"} {
		if _, err := parseSendmail(&environment{}, strings.Fields(bad)); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestReadMessageCollectsAndCompletes(t *testing.T) {
	in := "To: Alice <alice@example.test>,\n bob@example.test\nBcc: carol@example.test\nSubject: x\n\nbody\n.\nafter\n"
	o := sendmailOptions{fromHeader: true, sender: "me@example.test", senderSet: true}
	text, recipients, err := readMessage(strings.NewReader(in), o, "mail.example.test", time.Unix(1_700_000_000, 0).UTC())
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
	s := string(text)
	if strings.Contains(s, "carol") {
		t.Error("Bcc is visible")
	}
	for _, want := range []string{"Date: Tue, 14 Nov 2023 22:13:20 +0000\n", "From: me@example.test\n", "Message-ID: <1700000000.", "\n\nbody\n"} {
		if !strings.Contains(s, want) {
			t.Errorf("no %q in %q", want, s)
		}
	}
	if strings.Contains(s, "after") {
		t.Error("read past the single dot")
	}
}

func TestReadMessageKeepsADotWithI(t *testing.T) {
	text, _, err := readMessage(strings.NewReader("no header here\n.\nafter\r\n"), sendmailOptions{ignoreDots: true, recipients: []string{"root"}}, "h.example", time.Now())
	if err != nil || !strings.HasSuffix(string(text), "\n\nno header here\n.\nafter\n") {
		t.Errorf("%q %v", text, err)
	}
}

func TestNullSender(t *testing.T) {
	for in, want := range map[string]string{"": "", "<>": "", "bob": "bob@h.example", "<a@b>": "a@b"} {
		if got := (sendmailOptions{sender: in, senderSet: true}).envelopeSender("h.example"); got != want {
			t.Errorf("-f %q: %q", in, got)
		}
	}
}
