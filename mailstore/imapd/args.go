package imapd

import (
	"bytes"
	"context"
	"strings"
	"unicode/utf8"

	"toastmaster/internal/utf7"
	"toastmaster/internal/wire"
	"toastmaster/mailstore"
)

// args reads the arguments of one command. It pulls: a literal is fetched from
// the client when a verb asks for the argument that it is, so APPEND can
// stream its message. What a verb does not read is drained.
//
// It is sticky: after the first error it reads nothing more, gives zero values,
// and end returns that error. A verb reads all its arguments, calls end, and only
// then does something.
//
// The line is the connection's and is replaced when a literal is read, so
// every value that is kept is a copy.
type args struct {
	c    *conn
	line []byte
	i    int
	err  error
	// denied is what end says of a command that is well formed: the row of its
	// verb needs more than the session may do.
	denied error
	// mail finds the mailboxes that the command names, of which there were named so
	// far; needs is what its verb needs of them.
	mail  *mailstore.Session
	ctx   context.Context
	needs rights
	named int
	// room is how many octets of literals the command may still have in
	// memory; text is how many its lines had before this one.
	room int64
	text int
	// lit is the literal whose announcement was read last and whose octets
	// were not.
	lit literal
	uid bool // a UID command
}

// literal is "{size}" or, without synchronisation (RFC 7888), "{size+}".
type literal struct {
	size    int64
	sync    bool
	pending bool
}

var (
	errSyntax       = bad("Syntax error in arguments")
	errMissing      = bad("Missing argument")
	errTooMuch      = bad("Too many arguments")
	errBadName      = no("CANNOT", "Mailbox name is not valid modified UTF-7")
	errBigLiteral   = no("TOOBIG", "Literal is too large")
	errNoLiteral    = bad("Literal must be the end of its line")
	errLongLine     = bad("Command line is too long")
	errBadCharacter = bad("Invalid character in argument")
)

// fail ends the reading; the first error counts.
func (a *args) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

// rest is what is left of the line, nothing after an error.
func (a *args) rest() []byte {
	if a.err != nil {
		return nil
	}
	return a.line[a.i:]
}

// peek is the next octet, 0 at the end of the line.
func (a *args) peek() byte {
	if rest := a.rest(); len(rest) > 0 {
		return rest[0]
	}
	return 0
}

// accept passes c if it is next.
func (a *args) accept(c byte) bool {
	if rest := a.rest(); len(rest) > 0 && rest[0] == c {
		a.i++
		return true
	}
	return false
}

func (a *args) expect(c byte) {
	if !a.accept(c) {
		a.fail(errSyntax)
	}
}

// space passes the blank between arguments. More than one is forgiven.
func (a *args) space() {
	switch {
	case a.accept(' '):
		for a.accept(' ') {
		}
	case a.i >= len(a.line):
		a.fail(errMissing)
	default:
		a.fail(errSyntax)
	}
}

// more says whether there is another argument, and passes the blank before it.
func (a *args) more() bool {
	if !a.accept(' ') {
		return false
	}
	for a.accept(' ') {
	}
	return len(a.rest()) > 0
}

// end checks that there is nothing more, and says what was wrong, or that the
// command is not allowed. Blanks at the end are forgiven.
func (a *args) end() error {
	for a.accept(' ') {
	}
	if len(a.rest()) > 0 {
		a.fail(errTooMuch)
	}
	if a.err != nil {
		return a.err
	}
	return a.denied
}

// atomEnd are the octets that end an atom: atom-specials without "]" (RFC 3501
// section 9).
var atomEnd = func() (t [256]bool) {
	for c := range 0x21 {
		t[c] = true
	}
	for _, c := range []byte(`(){%*"\`) {
		t[c] = true
	}
	t[0x7f] = true
	return t
}()

// word reads octets up to one that end holds. It is valid until the next
// literal.
func (a *args) word(end *[256]bool) []byte {
	rest := a.rest()
	n := 0
	for n < len(rest) && !end[rest[n]] {
		n++
	}
	a.i += n
	return rest[:n]
}

// atom reads an atom in upper case. It is a copy.
func (a *args) atom() string {
	w := a.word(&atomEnd)
	if len(w) == 0 {
		a.fail(errSyntax)
	}
	return strings.ToUpper(string(w))
}

// digits reads a number; ok is false, and nothing was read, when there is none or
// it is too large for anything.
func (a *args) digits() (n int64, ok bool) {
	rest, i := a.rest(), 0
	for i < len(rest) && rest[i]-'0' < 10 {
		if n > 1<<58 {
			return 0, false
		}
		n = n*10 + int64(rest[i]-'0')
		i++
	}
	a.i += i
	return n, i > 0
}

// number reads a number of 63 bits.
func (a *args) number() int64 {
	n, ok := a.digits()
	if !ok {
		a.fail(errSyntax)
	}
	return n
}

// astring reads an atom, a quoted string or a literal.
func (a *args) astring() string {
	switch a.peek() {
	case '"':
		return a.quoted()
	case '{':
		return a.literalString()
	}
	w := a.word(&atomEnd)
	if len(w) == 0 {
		if len(a.rest()) == 0 {
			a.fail(errMissing)
		}
		a.fail(errSyntax)
	}
	return string(w)
}

// nstring reads a string or NIL; ok is false for NIL.
func (a *args) nstring() (s string, ok bool) {
	if c := a.peek(); c == '"' || c == '{' {
		return a.astring(), true
	}
	if a.atom() != "NIL" {
		a.fail(errSyntax)
	}
	return "", false
}

func (a *args) quoted() string {
	if a.peek() != '"' {
		a.fail(errSyntax)
		return ""
	}
	rest := a.line[a.i+1:]
	if n := bytes.IndexByte(rest, '"'); n >= 0 && bytes.IndexByte(rest[:n], '\\') < 0 {
		a.i += n + 2
		return a.checked(rest[:n])
	}
	var out []byte
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '"':
			a.i += i + 2
			return a.checked(out)
		case '\\':
			i++
			if i == len(rest) || (rest[i] != '"' && rest[i] != '\\') {
				a.fail(errSyntax)
				return ""
			}
		}
		out = append(out, rest[i])
	}
	a.fail(errSyntax)
	return ""
}

// checked refuses what a quoted string cannot hold.
func (a *args) checked(b []byte) string {
	if bytes.IndexByte(b, 0) >= 0 || bytes.IndexByte(b, '\r') >= 0 {
		a.fail(errBadCharacter)
	}
	return string(b)
}

// literalString reads a literal into memory.
func (a *args) literalString() string {
	if a.announcement(); a.err == nil && a.lit.size > a.room {
		a.fail(errBigLiteral)
	}
	if a.err != nil {
		return ""
	}
	a.room -= a.lit.size
	a.goAhead()
	out := make([]byte, 0, a.lit.size)
	for text := a.c.In.Literal(a.lit.size); text.Left() > 0; {
		p, err := text.Next()
		if err != nil {
			a.fail(err)
			return ""
		}
		out = append(out, p...)
	}
	if a.afterLiteral(); bytes.IndexByte(out, 0) >= 0 {
		a.fail(errBadCharacter)
	}
	return string(out)
}

// announcement reads "{size}" or "{size+}", which must end the line.
func (a *args) announcement() {
	lit, from := literalAt(a.line)
	switch {
	case a.err != nil:
	case !lit.pending || from != a.i:
		a.fail(errNoLiteral)
	default:
		a.i = len(a.line)
		a.lit = lit
	}
}

// goAhead asks the client for a literal that it has only announced. The text
// goes out with whatever waits before it when the literal is read.
func (a *args) goAhead() {
	if a.lit.sync {
		a.c.writeString("+ OK\r\n")
	}
}

// afterLiteral reads the line behind a literal whose octets are read.
func (a *args) afterLiteral() {
	a.lit.pending = false
	a.text += len(a.line)
	line, err := a.c.ReadLine()
	if err == wire.ErrTooLong {
		_, line = a.c.In.Overlong()
	}
	a.line, a.i = line, 0
	switch {
	case err == wire.ErrTooLong, err == nil && a.text+len(line) > a.c.In.MaxLine:
		a.fail(errLongLine) // literals between do not make a command endless
	case err != nil:
		a.fail(err)
	}
}

// literalAt finds the announcement at the end of a line; from is its offset.
func literalAt(line []byte) (lit literal, from int) {
	if len(line) == 0 || line[len(line)-1] != '}' {
		return literal{}, 0
	}
	from = bytes.LastIndexByte(line, '{')
	if from < 0 {
		return literal{}, 0
	}
	digits, nonsync := bytes.CutSuffix(line[from+1:len(line)-1], []byte{'+'})
	if len(digits) == 0 || len(digits) > 15 {
		return literal{}, 0
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return literal{}, 0
		}
		lit.size = lit.size*10 + int64(d-'0')
	}
	lit.sync, lit.pending = !nonsync, true
	return lit, from
}

// drain reads what is left of a command, so that no octet of a literal is
// taken for a command. A synchronising literal that was refused is never sent.
func (a *args) drain() error {
	dropped := int64(0)
	for {
		if !a.lit.pending {
			a.lit, _ = literalAt(a.line[a.i:])
		}
		if !a.lit.pending || a.lit.sync {
			return nil
		}
		if dropped += a.lit.size + int64(len(a.line)); dropped > a.c.In.MaxSkipped {
			return wire.ErrEndless
		}
		if err := a.c.In.Literal(a.lit.size).Drain(); err != nil {
			return err
		}
		line, err := a.c.ReadLine()
		if err == wire.ErrTooLong {
			_, line = a.c.In.Overlong()
		} else if err != nil {
			return err
		}
		a.line, a.i, a.lit.pending = line, 0, false
	}
}

// mailboxName reads a mailbox name and decodes it; INBOX is folded.
func (a *args) mailboxName() string {
	s := a.astring()
	if a.err != nil {
		return ""
	}
	name, ok := utf7.DecodeLoose(s)
	if !ok || !utf8.ValidString(name) {
		a.fail(errBadName)
	}
	if strings.EqualFold(name, inbox) {
		return inbox
	}
	return name
}

// mailbox reads a mailbox name and finds its place.
func (a *args) mailbox() mailstore.Mailbox { return a.find(a.mailboxName()) }

// find finds the place of a name that was read. What is not there for the session, or
// may not be used as the row of the verb needs it, end says.
func (a *args) find(name string) mailstore.Mailbox {
	need := a.needs.ofNamed(a.named)
	a.named++
	if a.err != nil {
		return mailstore.Mailbox{}
	}
	m, err := a.mail.Resolve(a.ctx, name, need)
	if err != nil && a.denied == nil {
		a.denied = err
	}
	return m
}

// onlyMailbox reads the mailbox of a command with no other argument.
func (a *args) onlyMailbox() (mailstore.Mailbox, error) {
	a.space()
	m := a.mailbox()
	return m, a.end()
}

const inbox = "INBOX"
