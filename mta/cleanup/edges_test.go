package cleanup

import (
	"context"
	"errors"
	"strings"
	"testing"

	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// TestAuthorsOfAUser: what a user may write into From, Sender and the fields of a message
// that is sent again, and what each refusal says.
func TestAuthorsOfAUser(t *testing.T) {
	t.Parallel()
	const me = "From: alice@example.test\n"
	others := func(field, whom string) string {
		return "5.7.1 <" + whom + ">: " + field + " header address is not owned by alice@example.test"
	}
	many := strings.TrimSuffix(strings.Repeat("x@elsewhere.test, ", maxAuthors+5), ", ")
	several := make([]string, 0, maxAuthors+1)
	for i := range maxAuthors + 1 {
		several = append(several, "x"+strings.Repeat("y", i)+"@elsewhere.test")
	}
	for name, c := range map[string]struct {
		header, want string
		foreign      bool
	}{
		"the own address":             {me, "", false},
		"an extension, a domain":      {"From: Alice+x@Alias.Test\n", "", false},
		"an own alias":                {"From: one@example.test\n", "", false},
		"no field":                    {"Subject: x\n", "", false},
		"somebody else":               {"From: bob@example.test\n", others("From", "bob@example.test"), true},
		"nobody of ours":              {"From: nobody@example.test\n", others("From", "nobody@example.test"), true},
		"this host":                   {"From: root@mx.test\n", others("From", "root@mx.test"), true},
		"another host":                {"From: a@elsewhere.test\n", others("From", "a@elsewhere.test"), false},
		"another host, allowed":       {"From: a@elsewhere.test\n", "", true},
		"sender":                      {me + "Sender: bob@example.test\n", others("Sender", "bob@example.test"), true},
		"sent again":                  {me + "Resent-From: bob@example.test\n", others("Resent-From", "bob@example.test"), true},
		"sent again by":               {me + "Resent-Sender: bob@example.test\n", others("Resent-Sender", "bob@example.test"), true},
		"sent again twice":            {me + "Resent-From: alice@example.test\nResent-From: alice@example.test\n", "", false},
		"two authors":                 {"From: alice@example.test, one@example.test\n", "", false},
		"one of two is not":           {"From: alice@example.test, bob@example.test\n", others("From", "bob@example.test"), true},
		"two fields":                  {me + me, "5.6.0 The header has more than one From field", true},
		"two senders":                 {me + "Sender: alice@example.test\nSENDER: alice@example.test\n", "5.6.0 The header has more than one Sender field", true},
		"no address":                  {"From: Alice\n", "5.6.0 The From field of the header is malformed, it must be like: Name <user@domain>", true},
		"empty":                       {"From:\n", "5.6.0 The From field of the header is malformed, it must be like: Name <user@domain>", true},
		"a group":                     {"From: us: alice@example.test;\n", "", false},
		"a domain that is none":       {"From: alice@exa_mple..test\n", "5.6.0 The From field of the header", true},
		"a name with another":         {"From: \"bob@example.test\" <alice@example.test>\n", others("From", "bob@example.test"), true},
		"a name of another host":      {"From: \"ceo@elsewhere.test\" <alice@example.test>\n", "", false},
		"a comment with another":      {"From: alice@example.test (bob@example.test)\n", others("From", "bob@example.test"), true},
		"full-width":                  {"From: \"bob\uff20example.test\" <alice@example.test>\n", others("From", "bob@example.test"), true},
		"with what nobody sees":       {"From: \"bob\u200b@exam\u00adple.test\" <alice@example.test>\n", others("From", "bob@example.test"), true},
		"the same address often":      {"From: " + many + "\n", "", true},
		"too many addresses":          {"From: " + strings.Join(several, ", ") + "\n", "5.6.0 The From field of the header has too many addresses", true},
		"as many as allowed":          {"From: " + strings.Join(several[1:], ", ") + "\n", "", true},
		"an author field in the body": {me + "\nFrom: bob@example.test\n", "", false},
		"To is nobody's business":     {me + "To: bob@example.test\nReply-To: bob@example.test\n", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, hosted(t))
			b.c.o.ForeignAuthors = c.foreign
			s := b.submission(c.header+"\nbody\n", "far@elsewhere.test")
			s.Author = address(t, "alice@example.test")
			_, err := b.c.Submit(t.Context(), s)
			var e *dsn.Error
			switch got := errors.As(err, &e); {
			case got != (c.want != "") || err != nil && !got:
				t.Errorf("%v, want %q", err, c.want)
			case got && (!strings.HasPrefix(e.Status.String()+" "+e.Text, c.want) || e.Reply() != 550 || e.Temporary()):
				t.Errorf("%d %s %s, want %s", e.Reply(), e.Status, e.Text, c.want)
			}
			if c.want != "" {
				b.nothingKept()
			}
			if name == "another host, allowed" && !strings.Contains(b.log.String(), `msg="foreign author"`) {
				t.Error("a foreign author is not logged")
			}
			// Who is trusted to write as anybody is not asked.
			free := b.submission(c.header+"\nbody\n", "far@elsewhere.test")
			if _, err := b.c.Submit(t.Context(), free); err != nil {
				t.Errorf("without an author: %v", err)
			}
		})
	}
}

// TestAuthorsThatCannotBeAsked: a directory that is down refuses nobody for good, and lets
// nobody write as another.
func TestAuthorsThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	b := newBed(t, static.Broken{Outcome: directory.Unavailable, Cause: errors.New("down")}.Directory())
	b.c.o.ForeignAuthors = true
	s := b.submission("From: bob@example.test\n\nbody\n", "far@elsewhere.test")
	s.Author = address(t, "alice@example.test")
	_, err := b.c.Submit(t.Context(), s)
	if e := dsn.From(err); e == nil || !e.Temporary() {
		t.Errorf("%v", err)
	}
	b.nothingKept()
}

// TestNamesOfAuthorFields: what no name has in it does not hide one, and nothing else is one.
func TestNamesOfAuthorFields(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"From": "from", "FROM": "from", "fr\x00om": "from", "from \t": "from", "\x7ffrom": "from", "fr\xc3om": "from", "Sender": "sender", "Resent-From": "resent-from", "RESENT-SENDER": "resent-sender",
		"": "", "Fro": "", "Froms": "", "X-From": "", "Resent-": "", "Resent-Senders": "", "resent-sender" + "x": "", "[rom": "", "`rom": "", "From@": "", "Reply-To": "",
	} {
		if got := authorName([]byte(name)); got != want {
			t.Errorf("%q is %q", name, got)
		}
	}
	for name, want := range map[string]string{"from": "From", "resent-sender": "Resent-Sender"} {
		if got := (authorField{name: name}).shown(); got != want {
			t.Errorf("%s is shown as %s", name, got)
		}
	}
}

// TestCodingsAtTheirEdges: a cut or wrong escape stands for itself, and no octet is lost.
func TestCodingsAtTheirEdges(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{"": "", "a_b": "a b", "=41=42": "AB", "=4": "=4", "=": "=", "=4g": "=4g", "=g4": "=g4", "a=": "a=", "=41=": "A=", "=41=4": "A=4", "==41": "=A"} {
		if got := string(appendQ(nil, data)); got != want {
			t.Errorf("Q %q: %q, want %q", data, got, want)
		}
	}
	for data, want := range map[string]string{"": "", "QUI=": "AB", "QUI": "AB", "QQ==": "A", "Q": "", "QUJ D": "ABC", "QUJD=RA": "ABC", "QUJDR": "ABC", "Q[U`I": "AB", "zZ/+": "\xcd\x9f\xfe", "QUI@{": "AB"} {
		if got := string(decodeB(data)); got != want {
			t.Errorf("B %q: %q, want %q", data, got, want)
		}
	}
	for data, want := range map[string]string{
		"": "", "abc": "abc", "+-": "+", "a+-b": "a+b", "+AEA-": "@", "+AEA": "@", "+AEAAQQ-x": "@Ax", "+AEA.x": "@.x", "+2Dzf-": "\ufffd", "+2D3cqQ-": "\U0001f4a9", "+": "+", "+A-": "", "++": "", "+-+-": "++",
	} {
		if got := string(fromUTF7([]byte(data))); got != want {
			t.Errorf("UTF-7 %q: %q, want %q", data, got, want)
		}
	}
}

// TestIdentifiersOfClaims: what the identifier of an Authentication-Results is, and what is
// read differently by others.
func TestIdentifiersOfClaims(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"a": "a", " a ": "a", "a;": "a", "a; b": "a", "a 1": "a", "a 12 ; b": "a", "a(x)": "a", "(x)a": "a", "((x)y)a": "a", "(x\\))a": "a", `"a b"`: "a b", `"a\"b";`: `a"b`, `"a\\"`: `a\`,
		"spf=pass": "spf=pass", "spf=pass x": "spf=pass", "\r\n\ta\r\n ;": "a", ")a": ")a",
		// No identifier that all would read.
		"": "!", " ": "!", "()": "!", "(": "!", "(a": "!", "a b": "!", "a 1 2": "!", "a (": "!", "a,b": "!", `"`: "!", `"a`: "!", `"a\`: "!", `""`: "!", ";": "!", "=?utf-8?q?a?=": "!", "a\"b": "!", `a\b`: "!",
		"a 1x": "!", "(x\\)": "!",
	} {
		id, ok := authservID([]byte(value))
		if want == "!" && ok || want != "!" && (!ok || id != want) {
			t.Errorf("%q: %q %v, want %q", value, id, ok, want)
		}
	}
}

// TestActionsChangeTheRecipients: a redirection takes the place of all of them, with the
// options of the first; a blind copy is one more, of whom nobody hears.
func TestActionsChangeTheRecipients(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		redirect string
		bcc      []string
		want     string
	}{
		"nothing":      {"", nil, "alice@example.test bob@example.test"},
		"a copy":       {"", []string{"copy@elsewhere.test"}, "alice@example.test bob@example.test copy@elsewhere.test"},
		"two copies":   {"", []string{"c@elsewhere.test", "d@elsewhere.test"}, "alice@example.test bob@example.test c@elsewhere.test d@elsewhere.test"},
		"redirected":   {"new@elsewhere.test", nil, "new@elsewhere.test"},
		"both":         {"new@elsewhere.test", []string{"copy@elsewhere.test"}, "new@elsewhere.test"},
		"to who is it": {"alice@example.test", nil, "alice@example.test"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, hosted(t))
			s := b.submission("From: a@elsewhere.test\n\nx\n", "alice@example.test", "bob@example.test")
			s.Envelope.Recipients[0].Notify, s.Envelope.Recipients[0].ORcpt = envelope.NotifySuccess, "rfc822;orig@example.test"
			if c.redirect != "" {
				s.Envelope.Redirect = address(t, c.redirect)
			}
			for _, a := range c.bcc {
				s.Envelope.BCC = append(s.Envelope.BCC, address(t, a))
			}
			env, text := b.take(s)
			if got := recipients(env); got != c.want {
				t.Errorf("for %s, want %s", got, c.want)
			}
			if first := env.Recipients[0]; first.Notify != envelope.NotifySuccess || first.ORcpt != "rfc822;orig@example.test" || first.Original != address(t, "alice@example.test") {
				t.Errorf("the first is %+v", first)
			}
			for _, r := range env.Recipients {
				if strings.Contains(strings.Join(c.bcc, " "), r.Address.String()) && (r.Notify != envelope.NotifyNever || strings.Contains(text, r.Address.String())) {
					t.Errorf("the sender hears of %+v", r)
				}
			}
		})
	}
}

// TestRoomThatIsNotKnown: a quota that cannot be asked lets the message in and is logged; one
// for whom it is filtered first is not asked; a blind copy alone makes nothing welcome.
func TestRoomThatIsNotKnown(t *testing.T) {
	t.Parallel()
	box := func(name string) directory.Account {
		a := static.Box(name+"@example.test", "")
		a.Mailbox.QuotaBytes = 1000
		return a
	}
	d, err := static.New(static.Data{Domains: static.Hosted("example.test"), Accounts: []directory.Account{box("full"), box("unknown"), box("copy")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		to, bcc []string
		filter  bool
		want    dsn.Status
		asked   int
		logged  bool
	}{
		"not known":              {to: []string{"unknown"}, asked: 1, logged: true},
		"not known beside full":  {to: []string{"unknown", "full"}, asked: 2, logged: true},
		"full":                   {to: []string{"full"}, asked: 1, want: dsn.MailboxFull},
		"full, and filtered":     {to: []string{"full"}, filter: true},
		"full, and a copy":       {to: []string{"full"}, bcc: []string{"copy"}, asked: 2, want: dsn.MailboxFull},
		"a copy that is full":    {to: []string{"copy"}, bcc: []string{"full"}, asked: 2},
		"a copy that is unknown": {to: []string{"full"}, bcc: []string{"unknown"}, asked: 2, want: dsn.MailboxFull, logged: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, d)
			asked, held := 0, 0
			b.c.o.Reserve = func(_ context.Context, m directory.Mailbox, _ string, _ int64) *dsn.Error {
				asked++
				switch m.Address.Local {
				case "full":
					return dsn.New(dsn.MailboxFull, "Mailbox is full")
				case "unknown":
					return dsn.New(dsn.MailSystem, "the disk is away")
				}
				held++
				return nil
			}
			b.c.o.Unreserve = func(directory.Mailbox, string) { held-- }
			s := b.submission("Subject: x\n\nbody\n", hostedHere(c.to)...)
			s.CheckRoom = true
			for _, a := range hostedHere(c.bcc) {
				s.Envelope.BCC = append(s.Envelope.BCC, address(t, a))
			}
			if c.filter {
				s.Envelope.Filter = &envelope.Route{Transport: "scan"}
			}
			_, err := b.c.Submit(t.Context(), s)
			if e := dsn.From(err); (e == nil) != (c.want == 0) || e != nil && e.Status != c.want {
				t.Errorf("%v", err)
			}
			if asked != c.asked || err != nil && held != 0 {
				t.Errorf("asked %d times, %d held", asked, held)
			}
			if got := strings.Contains(b.log.String(), "quota not known"); got != c.logged {
				t.Errorf("log: %s", b.log.String())
			}
		})
	}
}

// TestAddressesAroundAnAt: how much of a text belongs to the address whose @ it is.
func TestAddressesAroundAnAt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a@b.test": "a@b.test", "<a@b.test>": "a@b.test", "x a@b.test, y": "a@b.test", "a@b.test.": "a@b.test", ".a@b.test-": "a@b.test", "a@b.test_": "a@b.test", "(a@b.test)": "a@b.test",
		"a@b-c.test/x": "a@b-c.test", "a@b.test:25": "a@b.test", "a@": "", "@b.test": "", "a@ b": "", "a @b": "", "\u00fc@b\u00fc.test": "\u00fc@b\u00fc.test", "a@b@c.test": "a@b", "a\"b@c.test": "b@c.test",
	} {
		i := strings.IndexByte(text, '@')
		a, ok := around(text, i)
		if ok != (want != "") || ok && want != "" && !strings.EqualFold(a.Local+"@"+plainDomain(t, a), strings.ToLower(want)) {
			t.Errorf("%q: %s %v, want %q", text, a, ok, want)
		}
	}
	found := shownAddresses("a@b.test A@B.TEST \"c@d.test\" e\\@f.test")
	var all []string
	for _, a := range found {
		all = append(all, a.String())
	}
	if got := strings.Join(all, " "); !strings.HasPrefix(got, "a@b.test c@d.test") || !strings.Contains(got, "e@f.test") || strings.Count(got, "b.test") != 1 {
		t.Errorf("shown are %s", got)
	}
	if got := shownAddresses(strings.Repeat("x@y.test ", 200)); len(got) != 1 {
		t.Errorf("one address is %d", len(got))
	}
}

// plainDomain is the domain of an address as it was written.
func plainDomain(t *testing.T, a addr.Address) string {
	t.Helper()
	if strings.HasPrefix(a.Domain, "xn--") {
		return "b\u00fc.test"
	}
	return a.Domain
}
