package smtpserver

import (
	"strconv"
	"strings"

	"toastmaster/internal/dsn"
)

// verb is a row of the command table.
type verb struct {
	name string
	// run does the command and writes its reply; a returned error is written
	// by the caller and counts against the client.
	run func(c *Conn, arg string) *dsn.Error
	// only limits the verb to one of the protocols.
	only protocol
	// needsHelo: not before the greeting of the client.
	needsHelo bool
	// junk: leads nowhere, and is counted.
	junk bool
	// last: the client must wait for the answer (RFC 2920 section 3.1).
	last bool
}

type protocol uint8

const (
	both protocol = iota
	smtpOnly
	lmtpOnly
)

// verbCount is the length of the table, unknown the index of no verb.
const (
	verbCount = 19
	unknown   = -1
)

// table lists the commands, the frequent ones first. Nothing that a row runs
// may read the table: Go refuses such a circle.
var table = [verbCount]verb{
	{name: "RCPT", run: rcpt, needsHelo: true},
	{name: "MAIL", run: mail, needsHelo: true},
	{name: "DATA", run: data, needsHelo: true, last: true},
	{name: "BDAT", run: bdat, needsHelo: true},
	{name: "QUIT", run: quit},
	{name: "RSET", run: rset, junk: true},
	{name: "NOOP", run: noop, junk: true, last: true},
	{name: "EHLO", run: ehlo, only: smtpOnly, junk: true, last: true},
	{name: "HELO", run: helo, only: smtpOnly, junk: true, last: true},
	{name: "LHLO", run: ehlo, only: lmtpOnly, junk: true, last: true},
	{name: "AUTH", run: auth, needsHelo: true},
	{name: "STARTTLS", run: starttls},
	{name: "VRFY", run: vrfy, junk: true, last: true},
	{name: "HELP", run: help, junk: true},
	{name: "EXPN", run: notImplemented, junk: true},
	{name: "ETRN", run: notImplemented, junk: true},
	// Browsers and proxies that were made to speak to a mail server (Postfix
	// smtpd_forbidden_commands).
	{name: "GET", run: forbidden},
	{name: "POST", run: forbidden},
	{name: "CONNECT", run: forbidden},
}

// lookup finds a verb in any case; unknown when there is none.
func lookup(name []byte) int {
	for i := range table {
		if len(name) == len(table[i].name) && strings.EqualFold(string(name), table[i].name) {
			return i
		}
	}
	return unknown
}

func notImplemented(*Conn, string) *dsn.Error {
	return dsn.New(dsn.InvalidCommand, "Command not implemented").WithCode(502)
}

func forbidden(c *Conn, _ string) *dsn.Error {
	c.end("forbidden command")
	return dsn.New(dsn.Policy, "This is a mail server").WithCode(521)
}

// wrongProtocol is the answer to HELO under LMTP and LHLO under SMTP.
func (v *verb) wrongProtocol() string {
	if v.only == lmtpOnly {
		return "This is SMTP: send EHLO"
	}
	return "This is LMTP: send LHLO"
}

// stats counts commands for the log, as Postfix does: "mail=1 rcpt=2/3" is
// three recipients of which two were accepted.
type stats struct {
	ok, all [verbCount]uint16
	unknown uint16
}

func (s *stats) add(verb int, ok bool) {
	if verb == unknown {
		s.unknown++
		return
	}
	s.all[verb]++
	if ok {
		s.ok[verb]++
	}
}

// String is for msglog.Disconnect.
func (s *stats) String() string {
	var b strings.Builder
	for i := range s.all {
		if s.all[i] > 0 {
			s.write(&b, strings.ToLower(table[i].name), s.ok[i], s.all[i])
		}
	}
	if s.unknown > 0 {
		s.write(&b, "unknown", 0, s.unknown)
	}
	return b.String()
}

func (s *stats) write(b *strings.Builder, name string, ok, all uint16) {
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(name + "=" + strconv.Itoa(int(ok)))
	if ok != all {
		b.WriteString("/" + strconv.Itoa(int(all)))
	}
}
