package imapd

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"toastmaster/internal/utf7"
	"toastmaster/internal/wire"
)

// args reads the arguments of one command. It pulls: a literal is fetched from
// the client when a verb asks for the argument that it is, so APPEND can
// stream its message. What a verb does not read is drained.
//
// The line is the connection's and is replaced when a literal is read, so
// every value that is kept is a copy.
type args struct {
	c    *conn
	line []byte
	i    int
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

// peek is the next octet, 0 at the end of the line.
func (a *args) peek() byte {
	if a.i < len(a.line) {
		return a.line[a.i]
	}
	return 0
}

// accept passes c if it is next.
func (a *args) accept(c byte) bool {
	if a.peek() == c && a.i < len(a.line) {
		a.i++
		return true
	}
	return false
}

func (a *args) expect(c byte) error {
	if a.accept(c) {
		return nil
	}
	return errSyntax
}

// space passes the blank between arguments. More than one is forgiven.
func (a *args) space() error {
	if !a.accept(' ') {
		if a.i >= len(a.line) {
			return errMissing
		}
		return errSyntax
	}
	for a.accept(' ') {
	}
	return nil
}

// more says whether there is another argument, and passes the blank before it.
func (a *args) more() bool {
	return a.space() == nil && a.i < len(a.line)
}

// end checks that there is nothing more. Blanks at the end are forgiven.
func (a *args) end() error {
	for a.accept(' ') {
	}
	if a.i < len(a.line) {
		return errTooMuch
	}
	return nil
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
	from := a.i
	for a.i < len(a.line) && !end[a.line[a.i]] {
		a.i++
	}
	return a.line[from:a.i]
}

// atom reads an atom in upper case. It is a copy.
func (a *args) atom() (string, error) {
	w := a.word(&atomEnd)
	if len(w) == 0 {
		return "", errSyntax
	}
	return strings.ToUpper(string(w)), nil
}

// number reads a number of 32 bits.
func (a *args) number() (uint32, error) {
	n, err := a.number64()
	if err != nil || n > 1<<32-1 {
		return 0, errSyntax
	}
	return uint32(n), nil
}

func (a *args) number64() (int64, error) {
	from, n := a.i, int64(0)
	for a.i < len(a.line) && a.line[a.i]-'0' < 10 {
		if n > 1<<58 {
			return 0, errSyntax
		}
		n = n*10 + int64(a.line[a.i]-'0')
		a.i++
	}
	if a.i == from {
		return 0, errSyntax
	}
	return n, nil
}

// astring reads an atom, a quoted string or a literal.
func (a *args) astring() (string, error) {
	switch a.peek() {
	case '"':
		return a.quoted()
	case '{':
		return a.literalString()
	}
	w := a.word(&atomEnd)
	if len(w) == 0 {
		if a.i >= len(a.line) {
			return "", errMissing
		}
		return "", errSyntax
	}
	return string(w), nil
}

// nstring reads a string or NIL; ok is false for NIL.
func (a *args) nstring() (s string, ok bool, err error) {
	if c := a.peek(); c == '"' || c == '{' {
		s, err = a.astring()
		return s, true, err
	}
	w, err := a.atom()
	if err != nil || w != "NIL" {
		return "", false, errSyntax
	}
	return "", false, nil
}

func (a *args) quoted() (string, error) {
	if a.peek() != '"' {
		return "", errSyntax
	}
	rest := a.line[a.i+1:]
	if n := bytes.IndexByte(rest, '"'); n >= 0 && bytes.IndexByte(rest[:n], '\\') < 0 {
		a.i += n + 2
		return checkText(rest[:n])
	}
	var out []byte
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '"':
			a.i += i + 2
			return checkText(out)
		case '\\':
			i++
			if i == len(rest) || (rest[i] != '"' && rest[i] != '\\') {
				return "", errSyntax
			}
		}
		out = append(out, rest[i])
	}
	return "", errSyntax
}

// checkText refuses what a quoted string cannot hold.
func checkText(b []byte) (string, error) {
	if bytes.IndexByte(b, 0) >= 0 || bytes.IndexByte(b, '\r') >= 0 {
		return "", errBadCharacter
	}
	return string(b), nil
}

// literalString reads a literal into memory.
func (a *args) literalString() (string, error) {
	if err := a.announcement(); err != nil {
		return "", err
	}
	if a.lit.size > a.room {
		return "", errBigLiteral
	}
	a.room -= a.lit.size
	a.goAhead()
	out := make([]byte, 0, a.lit.size)
	for text := a.c.In.Literal(a.lit.size); text.Left() > 0; {
		p, err := text.Next()
		if err != nil {
			return "", err
		}
		out = append(out, p...)
	}
	if err := a.afterLiteral(); err != nil {
		return "", err
	}
	if bytes.IndexByte(out, 0) >= 0 {
		return "", errBadCharacter
	}
	return string(out), nil
}

// announcement reads "{size}" or "{size+}", which must end the line.
func (a *args) announcement() error {
	lit, from := literalAt(a.line)
	if !lit.pending || from != a.i {
		return errNoLiteral
	}
	a.i = len(a.line)
	a.lit = lit
	return nil
}

// goAhead asks the client for a literal that it has only announced. The text
// goes out with whatever waits before it when the literal is read.
func (a *args) goAhead() {
	if a.lit.sync {
		a.c.writeString("+ OK\r\n")
	}
}

// afterLiteral reads the line behind a literal whose octets are read.
func (a *args) afterLiteral() error {
	a.lit.pending = false
	a.text += len(a.line)
	line, err := a.c.ReadLine()
	if err == wire.ErrTooLong {
		_, line = a.c.In.Overlong()
	}
	a.line, a.i = line, 0
	if err == wire.ErrTooLong || err == nil && a.text+len(line) > a.c.In.MaxLine {
		return errLongLine // literals between do not make a command endless
	}
	return err
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
func (a *args) mailboxName() (string, error) {
	s, err := a.astring()
	if err != nil {
		return "", err
	}
	return decodeName(s)
}

// onlyMailbox reads the mailbox name of a command with no other argument.
func (a *args) onlyMailbox() (string, error) {
	if err := a.space(); err != nil {
		return "", err
	}
	name, err := a.mailboxName()
	if err != nil {
		return "", err
	}
	return name, a.end()
}

func decodeName(s string) (string, error) {
	name, ok := utf7.DecodeLoose(s)
	if !ok || !utf8.ValidString(name) {
		return "", errBadName
	}
	if strings.EqualFold(name, inbox) {
		return inbox, nil
	}
	return name, nil
}

const inbox = "INBOX"
