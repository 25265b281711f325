package smtpserver

import (
	"context"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

// flusher is a session with an add-on that the engine does not know.
type flusher struct {
	*bagSession
	flushed []string
}

func (f *flusher) flush(domain string) *dsn.Error {
	if domain != "hosted.test" {
		return dsn.New(dsn.Policy, "Not for you").WithCode(459)
	}
	f.flushed = append(f.flushed, domain)
	return nil
}

// etrnRow is a verb as another package would add it: ETRN (RFC 1985).
func etrnRow() Verb {
	return Verb{
		Name: "ETRN", States: Greeted, Help: "ETRN domain",
		Keyword: func(c *Conn) string {
			if _, ok := c.Session().(*flusher); !ok {
				return ""
			}
			return "ETRN"
		},
		Run: func(c *Conn, arg string) *dsn.Error {
			s, ok := c.Session().(*flusher)
			if !ok {
				return notImplemented(c, arg)
			}
			if e := s.flush(arg); e != nil {
				return e
			}
			c.Reply(250, dsn.OK, "Queuing started")
			return nil
		},
	}
}

// TestAVerbIsARow: a server gets ETRN by a row, and nothing of the engine knows
// it: not EHLO, not HELP, not the order of commands, not the log.
func TestAVerbIsARow(t *testing.T) {
	t.Parallel()
	rows := slices.DeleteFunc(SMTPVerbs(), func(v Verb) bool { return v.Name == "ETRN" })
	s := testServer(&mailbag{})
	s.Verbs = append(rows, etrnRow())
	session := &flusher{bagSession: &bagSession{bag: &mailbag{}}}
	s.Backend = BackendFunc(func(*Conn) Session { return session })
	c := &script{in: strings.NewReader("ETRN hosted.test\r\nEHLO c\r\netrn hosted.test\r\nETRN other.test\r\nHELP\r\nHELP etrn\r\n" +
		"MAIL FROM:<a@x.test>\r\nETRN hosted.test\r\nQUIT\r\n")}
	s.ServeConn(t.Context(), c)
	want := "503 5.5.1 Send HELO or EHLO first\r\n250-mx.test\r\n"
	out := c.out.String()
	if _, rest, ok := strings.Cut(out, want); !ok || !strings.Contains(rest, "\r\n250 ETRN\r\n250 2.0.0 Queuing started\r\n459 5.7.1 Not for you\r\n214 2.0.0 HELO EHLO MAIL") ||
		!strings.Contains(rest, " ETRN\r\n214 2.0.0 Syntax: ETRN domain\r\n250 2.1.0 Ok\r\n503 5.5.1 Not during a mail transaction\r\n221 ") {
		t.Errorf("%s", out)
	}
	if !slices.Equal(session.flushed, []string{"hosted.test"}) {
		t.Errorf("%q", session.flushed)
	}
	// Who has no add-on announces nothing.
	s.Backend = &mailbag{}
	c = &script{in: strings.NewReader("EHLO c\r\nETRN hosted.test\r\nQUIT\r\n")}
	s.ServeConn(t.Context(), c)
	if out := c.out.String(); strings.Contains(out, "250-ETRN") || !strings.Contains(out, "\r\n502 5.5.1 ") {
		t.Errorf("%s", out)
	}
}

// TestADummyEngineIsRows: what postscreen speaks with those it has found out.
// Every recipient is refused for now, whoever it is, and no session is asked.
func TestADummyEngineIsRows(t *testing.T) {
	t.Parallel()
	var rows []Verb
	for _, v := range SMTPVerbs() {
		switch v.Name {
		case "RCPT":
			v.Run = func(*Conn, string) *dsn.Error {
				return dsn.New(dsn.Make(4, 3, 2), "Service currently unavailable").WithCode(450)
			}
		case "AUTH", "STARTTLS", "BDAT", "GET", "":
			continue
		}
		rows = append(rows, v)
	}
	s := testServer(&mailbag{})
	s.Verbs = rows
	c := &script{in: strings.NewReader("EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 1 LAST\r\nQUIT\r\n")}
	s.ServeConn(t.Context(), c)
	want := "220 mx.test ESMTP ready\r\n250-mx.test\r\n250-PIPELINING\r\n250 SIZE 20000\r\n250 2.1.0 Ok\r\n" +
		"450 4.3.2 Service currently unavailable\r\n500 5.5.1 Command not recognized\r\n221 2.0.0 Bye\r\n"
	if out := c.out.String(); out != want {
		t.Errorf("%s", out)
	}
}

// TestRowsAreComplete: what every row of a table must have.
func TestRowsAreComplete(t *testing.T) {
	t.Parallel()
	for _, rows := range [][]Verb{SMTPVerbs(), LMTPVerbs()} {
		seen := map[string]bool{}
		for _, v := range rows {
			switch {
			case v.Name == "":
				if v.Keyword == nil || v.Run != nil {
					t.Errorf("a row without a name: %+v", v)
				}
				continue
			case seen[v.Name] || len(v.Name) > maxVerb || v.Name != strings.ToUpper(v.Name) || v.Run == nil || v.States == 0:
				t.Errorf("%+v", v)
			}
			seen[v.Name] = true
		}
	}
}

// TestAuthOfMailIsKept (RFC 4954 section 5): the session gets what the client
// says, and whether it said anything.
func TestAuthOfMailIsKept(t *testing.T) {
	t.Parallel()
	null := addr.Address{}
	for param, want := range map[string]*addr.Address{
		"": nil, " AUTH=<>": &null, " AUTH=a+2Bb@x.test": {Local: "a+b", Domain: "x.test"}, " AUTH=alice": &null, " AUTH=@@": &null,
	} {
		bag := &mailbag{}
		s := &script{in: strings.NewReader("EHLO c\r\nMAIL FROM:<a@x.test>" + param + "\r\nRCPT TO:<b@x.test>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n")}
		testServer(bag).ServeConn(t.Context(), s)
		got := bag.take()
		if len(got) != 1 || (got[0].mail.Auth == nil) != (want == nil) || want != nil && *got[0].mail.Auth != *want {
			t.Errorf("%q: %+v", param, got)
		}
	}
	s := &script{in: strings.NewReader("EHLO c\r\nMAIL FROM:<a@x.test> AUTH=a+\r\nQUIT\r\n")}
	testServer(&mailbag{}).ServeConn(t.Context(), s)
	if !strings.Contains(s.out.String(), "\r\n501 5.5.4 Bad value of parameter AUTH\r\n") {
		t.Errorf("%s", s.out.String())
	}
}

// cautious is a session with the add-ons that ask before something happens.
type cautious struct {
	*bagSession
	prepared int
}

func (*cautious) Helo(_ context.Context, name string, esmtp bool) *dsn.Error {
	if name == "bad" || !esmtp {
		return dsn.New(dsn.Policy, "Bad name").WithCode(550)
	}
	return nil
}

func (s *cautious) Prepare(context.Context) *dsn.Error {
	if s.prepared++; len(s.msg.rcpt) > 1 {
		return dsn.New(dsn.Make(5, 5, 3), "Too many").WithCode(550)
	}
	return nil
}

// TestAddOns: a refused greeting is none, and a message that is refused at DATA or
// at its first chunk is not asked for; behind DATA the transaction goes on.
func TestAddOns(t *testing.T) {
	t.Parallel()
	bag := &mailbag{}
	s := testServer(nil)
	session := &cautious{bagSession: &bagSession{bag: bag}}
	s.Backend = BackendFunc(func(*Conn) Session { return session })
	c := &script{in: strings.NewReader("EHLO bad\r\nMAIL FROM:<a@x.test>\r\nHELO c\r\nEHLO c\r\n" +
		"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\nDATA\r\nBDAT 3\r\nx\r\nRSET\r\n" +
		"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 3\r\nx\r\nBDAT 3 LAST\r\ny\r\nQUIT\r\n")}
	s.ServeConn(t.Context(), c)
	out := c.out.String()
	want := []string{"220 ", "550 5.7.1 Bad name", "503 5.5.1 Send", "550 5.7.1 Bad name", "250 CHUNKING",
		"250 2.1.0", "250 2.1.5", "250 2.1.5", "550 5.5.3 Too many", "550 5.5.3 Too many", "250 2.0.0 Ok",
		"250 2.1.0", "250 2.1.5", "250 2.0.0 3 octets", "250 2.0.0 queued", "221 "}
	var got []string
	for line := range strings.SplitSeq(strings.TrimSuffix(out, "\r\n"), "\r\n") {
		if line[3] == ' ' {
			got = append(got, line)
		}
	}
	if !slices.EqualFunc(got, want, strings.HasPrefix) || session.prepared != 3 || len(bag.take()) != 1 {
		t.Errorf("%q, prepared %d times, %+v", got, session.prepared, bag.take())
	}
}

// unsteady has no time for the first message.
type unsteady struct {
	*bagSession
	prepared int
}

func (s *unsteady) Prepare(context.Context) *dsn.Error {
	if s.prepared++; s.prepared == 1 {
		return dsn.New(dsn.MailSystem, "Try again later")
	}
	return nil
}

// TestTheRestOfARefusedMessageIsNone: a client that pipelines has sent the other chunks before it hears that the first one was
// refused. They are no message, although the session would take one now.
func TestTheRestOfARefusedMessageIsNone(t *testing.T) {
	t.Parallel()
	for first, want := range map[string][]string{
		"BDAT 3\r\nx\r\n":      {"451 4.3.0", "503 5.5.1 Need MAIL"},
		"BDAT 3 LAST\r\nx\r\n": {"451 4.3.0", "250 2.0.0"}, // this was all of it: the client may come again with it
	} {
		bag := &mailbag{}
		s := testServer(nil)
		session := &unsteady{bagSession: &bagSession{bag: bag}}
		s.Backend = BackendFunc(func(*Conn) Session { return session })
		c := &script{in: strings.NewReader("EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n" + first + "BDAT 3 LAST\r\ny\r\nQUIT\r\n")}
		s.ServeConn(t.Context(), c)
		lines := strings.Split(strings.TrimSuffix(c.out.String(), "\r\n"), "\r\n")
		got := lines[max(len(lines)-3, 0) : len(lines)-1]
		if whole := want[1][0] == '2'; !slices.EqualFunc(got, want, strings.HasPrefix) || whole != (len(bag.take()) == 1) {
			t.Errorf("%q: %q, %+v", first, got, bag.take())
		}
	}
}

// TestVeryManyCommands: a connection that is kept for days, and one with a hundred thousand recipients, are counted to the end.
func TestVeryManyCommands(t *testing.T) {
	t.Parallel()
	s := newStats((&Server{}).commands())
	rcpt := s.of.find([]byte("rcpt"))
	for i := range 100_000 {
		s.add(rcpt, i > 0)
		s.add(unknown, false)
	}
	if got := s.String(); got != "rcpt=99999/100000 unknown=0/100000" {
		t.Error(got)
	}
}
