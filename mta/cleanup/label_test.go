package cleanup

import (
	"context"
	"strings"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// TestLabels: mail whose way in does not say it is SMTPUTF8 by what it is, other mail by what its client said; 8BITMIME is what the
// header says. A recipient that an alias makes ASCII needs no label.
func TestLabels(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	c := configs.Default()
	c.Main.Hostname = "mx.test"
	c.Cleanup.Rewriting.VirtualAliasMaps = []string{"inline:{ {gr\u00fc\u00dfe@v.test=alice@example.test}, {ascii@v.test=\u00f6@x.test} }"}
	b.rewriting(c)
	p := &b.c.o.Params
	p.UTF8Classes, p.DetectEightBit = []string{"sendmail", "verify"}, true
	const plain, utf, latin, eight = "Subject: x\n\nx\n", "Subject: \u00fc\n\nx\n", "Subject: \xfc\n\nx\n", "Subject: x\nContent-Transfer-Encoding: 8BIT\n\n\u00fc\n"
	for _, c := range []struct {
		protocol, text, to string
		label, want        bool
		body               envelope.Body
	}{
		{"local", plain, "alice@example.test", false, false, 0}, {"local", utf, "alice@example.test", false, true, 0}, {"local", latin, "alice@example.test", false, false, 0}, {"local", "Subject: x\n folded \u00fc\n\nx\n", "alice@example.test", false, true, 0},
		{"local", "Subject: x\n\n\u00fc\n", "alice@example.test", false, false, 0}, {"local", plain, "\u00f6@x.test", false, true, 0}, {"local", plain, "gr\u00fc\u00dfe@v.test", false, false, 0}, {"local", plain, "ascii@v.test", false, true, 0},
		{"ESMTP", utf, "alice@example.test", false, false, 0}, {"ESMTP", plain, "\u00f6@x.test", true, true, 0}, {"ESMTP", plain, "alice@example.test", true, true, 0}, {"redirect", utf, "alice@example.test", false, false, 0}, {"bounce", utf, "alice@example.test", false, false, 0},
		{"ESMTP", eight, "alice@example.test", false, false, envelope.Body8BitMIME}, {"local", eight, "alice@example.test", false, false, envelope.Body8BitMIME},
	} {
		s := b.submission(c.text, c.to)
		s.Envelope.Origin.Came(c.protocol)
		s.Envelope.UTF8 = c.label
		env, text, err := b.try(s)
		if err != nil {
			t.Fatal(err)
		}
		if env.UTF8 != c.want || env.Body != c.body {
			t.Errorf("%+v: %v, body %v", c, env.UTF8, env.Body)
		}
		if received, _, _ := strings.Cut(text, "; "); strings.ContainsFunc(received, func(r rune) bool { return r > 127 }) {
			t.Errorf("our own field needs SMTPUTF8: %q", received)
		}
	}
	p.UTF8Classes, p.DetectEightBit = []string{"all"}, false
	s := b.submission("Subject: \u00fc\nContent-Transfer-Encoding: 8bit\n\nx\n", "alice@example.test")
	if env, _, err := b.try(s); err != nil || !env.UTF8 || env.Body != 0 {
		t.Errorf("%+v, %v", env, err)
	}
}

// TestCharacters: what the parameters name is refused, or taken out before tables see it, in memory and in a file, of what comes in and
// of nothing else.
func TestCharacters(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t)) // 4 KiB in memory
	c := configs.Default()
	c.Cleanup.HeaderChecks = []string{"pcre:{ {/^X-Hidden: evil/ REJECT seen} }"}
	b.checks(c)
	p := &b.c.o.Params
	send := func(text string, incoming bool) (string, error) {
		s := b.submission(text, "alice@example.test")
		s.Incoming = incoming
		_, got, err := b.try(s)
		_, got, _ = strings.Cut(got, "\nSubject")
		return "Subject" + got, err
	}
	p.RejectCharacters = `\000`
	if _, err := send("Subject: x\n\nx\x00y\n", true); err == nil || dsn.From(err).Reply() != 550 || dsn.From(err).Status != dsn.Policy || !strings.Contains(err.Error(), "disallowed characters") {
		t.Error(err)
	}
	if _, err := send("Subject: x\n\n"+strings.Repeat("x", 200_000)+"\x00", true); err == nil {
		t.Error("what is in a file passes")
	}
	for _, text := range []string{"Subject: x\n\nx0y\n", "Subject: x\n\n" + strings.Repeat("0", 9000)} {
		if got, err := send(text, true); err != nil || got != text {
			t.Errorf("%.40q, %v", got, err)
		}
	}
	if _, err := send("Subject: x\n\nx\x00y\n", false); err != nil {
		t.Error("a report is refused:", err)
	}
	p.RejectCharacters, p.StripCharacters = "", `\0\a`
	long := strings.Repeat("ab\x00\x07c", 40_000)
	for text, want := range map[string]string{
		"Subject: a\x00b\n\n\x00\x00x\x07y\x00\n": "Subject: ab\n\nxy\n", "Subject: x\n\n" + long: "Subject: x\n\n" + strings.Repeat("abc", 40_000), "Subject: x\n\nx\n": "Subject: x\n\nx\n",
	} {
		if got, err := send(text, true); err != nil || got != want {
			t.Errorf("%.40q: %.80q, %v", text, got, err)
		}
	}
	if _, err := send("Subject: x\nX-Hid\x00den: e\x00vil\n\nx\n", true); err == nil || !strings.Contains(err.Error(), "seen") {
		t.Error("a table does not see what is stripped:", err)
	}
}

// TestResentFields: mail that its user sends on lacks the fields of who sends it on, and keeps those of its author.
func TestResentFields(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	for text, want := range map[string]string{
		"Subject: x\nResent-To: a@b.test\n\nx\n": "Resent-Message-ID Resent-Date Resent-From Subject Resent-To",
		"From: a@b.test\nresent-from: c@d.test\nResent-Date: today\nRESENT-MESSAGE-ID: <a@b>\nSubject: x\n\nx\n": "From resent-from Resent-Date RESENT-MESSAGE-ID Subject",
		"Resently: x\nSubject: x\n\nx\n": "Message-ID Date From Resently Subject",
	} {
		s := b.submission(text, "alice@example.test")
		s.Complete = true
		_, got, err := b.try(s)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		head, _, _ := strings.Cut(got, "\n\n")
		for line := range strings.SplitSeq(head, "\n") {
			if name, _, ok := strings.Cut(line, ":"); ok && line[0] != '\t' && name != "Received" {
				names = append(names, name)
			}
		}
		if all := strings.Join(names, " "); all != want {
			t.Errorf("%q has %s, want %s", text, all, want)
		}
	}
}

// adds is a filter that puts in another sender and one more recipient.
type adds struct{ sender, recipient string }

func (a adds) Filter(_ context.Context, d *envelope.Draft) error {
	d.Envelope.Sender = parsedAddress(a.sender)
	d.Envelope.Recipients = append(d.Envelope.Recipients, envelope.Recipient{Address: parsedAddress(a.recipient), Original: parsedAddress(a.recipient)})
	return nil
}

// TestAddressesOfFiltersAreMapped as those that a client gives, and those that were there are not mapped once more.
func TestAddressesOfFiltersAreMapped(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	c := configs.Default()
	c.Main.Hostname = "mx.test"
	c.Cleanup.Rewriting.CanonicalMaps = []string{"inline:{ {old@x.test=new@x.test}, {s@x.test=known@x.test}, {first@x.test=old2@x.test} }"}
	c.Cleanup.Rewriting.VirtualAliasMaps = []string{"inline:{ {new@x.test=bob@example.test} }"}
	b.rewriting(c)
	s := b.submission("Subject: x\n\nx\n", "alice@example.test", "first@x.test")
	s.Filter = adds{"s@x.test", "old@x.test"}
	env, _, err := b.try(s)
	if err != nil {
		t.Fatal(err)
	}
	var to []string
	for _, r := range env.Recipients {
		to = append(to, r.Address.String())
	}
	s = b.submission("Subject: x\n\nx\n", "alice@example.test")
	s.Filter, s.Override.NoMappings = adds{"s@x.test", "old@x.test"}, true
	if env, _, err := b.try(s); err != nil || env.Sender.String() != "s@x.test" || len(env.Recipients) != 2 || env.Recipients[1].Address.String() != "old@x.test" {
		t.Errorf("with no_address_mappings: %+v, %v", env, err)
	}
	if got := env.Sender.String() + " " + strings.Join(to, " "); got != "known@x.test alice@example.test old2@x.test bob@example.test" {
		t.Error(got)
	}
}

// TestMappedSendersAreKnown: whom sender_canonical_maps makes somebody else is no unknown sender, and an unknown recipient still.
func TestMappedSendersAreKnown(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	c := configs.Default()
	c.Main.Hostname = "mx.test"
	c.Cleanup.Rewriting.SenderCanonicalMaps = []string{"inline:{ {login@example.test=alice@example.test} }"}
	c.Cleanup.Rewriting.RecipientCanonicalMaps = []string{"inline:{ {info@example.test=alice@example.test} }"}
	b.rewriting(c)
	for text, want := range map[string][2]bool{"login@example.test": {true, false}, "info@example.test": {true, true}, "x@example.test": {}} {
		for i, sender := range []bool{true, false} {
			if got, err := b.c.Maps(t.Context(), address(t, text), sender); err != nil || got != want[i] {
				t.Errorf("%s, sender %v: %v %v", text, sender, got, err)
			}
		}
	}
}

func parsedAddress(s string) addr.Address {
	a, _ := addr.Parse(s)
	return a
}
