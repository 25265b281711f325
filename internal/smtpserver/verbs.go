package smtpserver

import (
	"strconv"
	"strings"

	"toastmaster/internal/dsn"
)

// Verb is a row of a server's table: a command, or an extension without one.
// A new verb is a file with its handler and a row.
type Verb struct {
	// Name is in upper case and has at most 16 octets. A row without a name is
	// an extension that has a Keyword alone.
	Name string
	// States are those in which the command may run.
	States State
	// Busy is the text of the 503 when Transaction is none of them; a usual one
	// when it is empty.
	Busy string
	// Run does the command and writes its reply; a returned error is written by
	// the engine and counts against the client. arg has no blanks around it.
	Run func(c *Conn, arg string) *dsn.Error
	// Keyword is the line that EHLO announces, "" where it is not offered now;
	// nil has none.
	Keyword func(c *Conn) string
	// Help is how the command is written, for HELP and for a 501. Commands
	// without it are not listed.
	Help string
	// Junk leads nowhere, and is counted.
	Junk bool
	// Clear may come before TLS where TLS is required.
	Clear bool
	// Last: the client must wait for the answer (RFC 2920 section 3.1).
	Last bool
}

// State is where a session stands, as a set of bits.
type State uint8

// The states of a session.
const (
	// Fresh is before the greeting of the client, and after STARTTLS.
	Fresh State = 1 << iota
	// Greeted is between transactions.
	Greeted
	// Transaction is from MAIL to the end of the message.
	Transaction

	Ready  = Greeted | Transaction
	Always = Fresh | Ready
)

// SMTPVerbs are the usual rows of an SMTP server, in the order of EHLO and HELP.
func SMTPVerbs() []Verb {
	return append([]Verb{
		{Name: "HELO", States: Always, Run: helo, Help: "HELO hostname", Junk: true, Last: true, Clear: true},
		{Name: "EHLO", States: Always, Run: ehlo, Keyword: static("PIPELINING"), Help: "EHLO hostname", Junk: true, Last: true, Clear: true},
		{Name: "LHLO", States: Always, Run: wrongProtocol("This is SMTP: send EHLO")},
	}, verbs()...)
}

// LMTPVerbs are the usual rows of an LMTP server.
func LMTPVerbs() []Verb {
	return append([]Verb{
		{Name: "LHLO", States: Always, Run: ehlo, Keyword: static("PIPELINING"), Help: "LHLO hostname", Junk: true, Last: true},
		{Name: "HELO", States: Always, Run: wrongProtocol("This is LMTP: send LHLO")},
		{Name: "EHLO", States: Always, Run: wrongProtocol("This is LMTP: send LHLO")},
	}, verbs()...)
}

// verbs are the rows that both have.
func verbs() []Verb {
	return []Verb{
		{Name: "MAIL", States: Greeted, Busy: "Nested MAIL command", Run: mail, Keyword: sizeKeyword, Help: "MAIL FROM:<address>"},
		{Name: "RCPT", States: Transaction, Run: rcpt, Help: "RCPT TO:<address>"},
		{Name: "DATA", States: Ready, Run: data, Help: "DATA", Last: true},
		{Name: "RSET", States: Always, Run: rset, Help: "RSET", Junk: true},
		{Name: "NOOP", States: Always, Run: noop, Help: "NOOP", Junk: true, Last: true, Clear: true},
		{Name: "QUIT", States: Always, Run: quit, Help: "QUIT", Clear: true},
		{Name: "VRFY", States: Always, Run: vrfy, Help: "VRFY address", Junk: true, Last: true},
		{Name: "HELP", States: Always, Run: help, Help: "HELP [command]", Junk: true},
		{Name: "STARTTLS", States: Always, Run: starttls, Keyword: starttlsKeyword, Help: "STARTTLS", Clear: true},
		{Name: "AUTH", States: Ready, Run: auth, Keyword: authKeyword, Help: "AUTH mechanism"},
		{Keyword: static("ENHANCEDSTATUSCODES")},
		{Keyword: static("8BITMIME")},
		{Keyword: dsnKeyword},
		{Keyword: static("SMTPUTF8")},
		{Name: "BDAT", States: Ready, Run: bdat, Keyword: static("CHUNKING"), Help: "BDAT length [LAST]"},
		{Name: "EXPN", States: Always, Run: notImplemented, Junk: true},
		{Name: "ETRN", States: Always, Run: notImplemented, Junk: true},
		// Browsers and proxies that were made to speak to a mail server (Postfix
		// smtpd_forbidden_commands).
		{Name: "GET", States: Always, Run: forbidden, Clear: true},
		{Name: "POST", States: Always, Run: forbidden, Clear: true},
		{Name: "CONNECT", States: Always, Run: forbidden, Clear: true},
	}
}

// static is the keyword of an extension that is always offered.
func static(keyword string) func(*Conn) string { return func(*Conn) string { return keyword } }

// dsnKeyword announces RFC 3461, whose parameters MAIL and RCPT have.
func dsnKeyword(c *Conn) string {
	if c.srv.NoDSN {
		return ""
	}
	return "DSN"
}

func notImplemented(*Conn, string) *dsn.Error {
	return dsn.New(dsn.InvalidCommand, "Command not implemented").WithCode(502)
}

func forbidden(c *Conn, _ string) *dsn.Error {
	c.End("forbidden command")
	return dsn.New(dsn.Policy, "This is a mail server").WithCode(521)
}

// wrongProtocol is the answer to HELO under LMTP and LHLO under SMTP.
func wrongProtocol(text string) func(*Conn, string) *dsn.Error {
	return func(*Conn, string) *dsn.Error { return dsn.New(dsn.InvalidCommand, text).WithCode(500) }
}

// maxVerb is the longest name of a row.
const maxVerb = 16

// table is the rows of a server, made for finding them.
type table struct {
	rows  []Verb
	index map[string]int
}

// unknown is the index of no row.
const unknown = -1

// commands are the rows of s, which are not changed after the first connection.
func (s *Server) commands() *table {
	s.once.Do(func() {
		t := table{rows: s.Verbs, index: map[string]int{}}
		switch {
		case t.rows != nil:
		case s.LMTP:
			t.rows = LMTPVerbs()
		default:
			t.rows = SMTPVerbs()
		}
		for i := range t.rows {
			t.index[t.rows[i].Name] = i
		}
		delete(t.index, "")
		s.table = t
	})
	return &s.table
}

// find finds a command in any case; unknown when there is none.
func (t *table) find(name []byte) int {
	var upper [maxVerb]byte
	if len(name) > len(upper) {
		return unknown
	}
	for i, b := range name {
		if b >= 'a' && b <= 'z' {
			b -= 'a' - 'A'
		}
		upper[i] = b
	}
	if i, ok := t.index[string(upper[:len(name)])]; ok {
		return i
	}
	return unknown
}

// stats counts commands for the log, as Postfix does: "mail=1 rcpt=2/3" is
// three recipients of which two were accepted.
type stats struct {
	of      *table
	rows    []counted
	unknown uint32
}

type counted struct{ ok, all uint32 }

func newStats(of *table) stats { return stats{of: of, rows: make([]counted, len(of.rows))} }

func (s *stats) add(verb int, ok bool) {
	if verb == unknown {
		s.unknown++
		return
	}
	s.rows[verb].all++
	if ok {
		s.rows[verb].ok++
	}
}

// String is for msglog.Disconnect.
func (s *stats) String() string {
	var b strings.Builder
	for i, n := range s.rows {
		if n.all > 0 {
			n.write(&b, strings.ToLower(s.of.rows[i].Name))
		}
	}
	if s.unknown > 0 {
		counted{all: s.unknown}.write(&b, "unknown")
	}
	return b.String()
}

func (n counted) write(b *strings.Builder, name string) {
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(name + "=" + strconv.Itoa(int(n.ok)))
	if n.ok != n.all {
		b.WriteString("/" + strconv.Itoa(int(n.all)))
	}
}
