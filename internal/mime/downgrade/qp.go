package downgrade

import "unicode/utf8"

// encoder writes quoted-printable (RFC 2045 section 6.7), octet by octet, in LF form.
type encoder struct {
	// repair: the text is quoted-printable already, and only what is not ASCII is
	// encoded.
	repair bool

	out  []byte
	col  int  // octets in the present line
	dash bool // and its first is a hyphen
	cr   bool // a CR waits for the octet behind it
	held byte // white space waits likewise, 0 is none
}

// softAt is the length beyond which a line takes nothing more: with an octet in three
// characters and the "=" it has 76 (Postfix breaks at the same place).
const softAt = 72

const hexDigits = "0123456789ABCDEF"

// write encodes p to the end of out.
func (e *encoder) write(p []byte) {
	for _, c := range p {
		if e.repair {
			e.mend(c)
			continue
		}
		e.encode(c)
	}
}

func (e *encoder) encode(c byte) {
	if e.cr && c != '\n' {
		e.escape('\r')
	}
	e.cr = false
	if c == '\n' {
		e.hardBreak()
		return
	}
	if c != '\r' {
		e.flushHeld()
	}
	switch {
	case c == '\r':
		e.cr = true
	case c == ' ' || c == '\t':
		e.held = c
	case c < ' ' || c == '=' || c > '~':
		e.escape(c)
	default:
		e.literal(c)
	}
}

// mend leaves ASCII as it is. A line grows by what is encoded, and is broken only there.
func (e *encoder) mend(c byte) {
	switch {
	case c == '\n':
		e.hardBreak()
	case c >= utf8.RuneSelf || e.makesBoundary(c):
		e.escape(c)
	default:
		e.put(c)
	}
}

func (e *encoder) makesBoundary(c byte) bool { return c == '-' && e.col == 1 && e.dash }

func (e *encoder) literal(c byte) {
	e.softBreak()
	if e.makesBoundary(c) {
		e.escape(c)
		return
	}
	e.put(c)
}

func (e *encoder) put(c byte) {
	if e.col == 0 {
		e.dash = c == '-'
	}
	e.out = append(e.out, c)
	e.col++
}

func (e *encoder) escape(c byte) {
	e.flushHeld()
	e.softBreak()
	e.dash = e.dash && e.col > 0
	e.out = append(e.out, '=', hexDigits[c>>4], hexDigits[c&15])
	e.col += 3
}

func (e *encoder) softBreak() {
	if e.col > softAt {
		e.out = append(e.out, '=', '\n')
		e.col = 0
	}
}

func (e *encoder) hardBreak() {
	e.end()
	e.out = append(e.out, '\n')
	e.col = 0
}

// end encodes what waits: nothing comes behind it in its line.
func (e *encoder) end() {
	if e.cr {
		e.cr = false
		e.escape('\r')
	}
	if held := e.held; held != 0 {
		e.held = 0
		e.escape(held)
	}
}

// flushHeld writes white space that is not the last of its line.
func (e *encoder) flushHeld() {
	if held := e.held; held != 0 {
		e.held = 0
		e.literal(held)
	}
}
