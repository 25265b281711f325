package smtpserver

import (
	"bytes"
	"io"
)

// mailboxLine is the field that the separator line of an mbox file becomes, as
// in Postfix smtpd(8). Left as it is the line is no header field, and all the
// header behind it would be body.
const mailboxLine = "X-Mailbox-Line: "

// headWriter passes a message with LF line ends on to w, and turns lines
// "From " and ">From " at its very beginning into fields. Everything else
// stays as it is.
type headWriter struct {
	w    io.Writer
	held []byte // the start of a line that may be one
	rest bool   // of such a line, up to its end
	over bool   // the message is past them
}

// Write takes the next octets of the message. p is not kept.
func (h *headWriter) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 && !h.over {
		n, err := h.take(p)
		if err != nil {
			return 0, err
		}
		p = p[n:]
	}
	if len(p) > 0 {
		if _, err := h.w.Write(p); err != nil {
			return 0, err
		}
	}
	return total, nil
}

// take takes a part of p, of one line at most, and returns its length.
func (h *headWriter) take(p []byte) (int, error) {
	if h.rest {
		n := bytes.IndexByte(p, '\n') + 1
		if h.rest = n == 0; h.rest {
			n = len(p)
		}
		_, err := h.w.Write(p[:n])
		return n, err
	}
	if len(h.held) == 0 {
		// The usual message is told by its first octets, where they lie.
		if separator, known := mailboxSeparator(p); known && !separator {
			h.over = true
			return 0, nil
		}
	}
	h.held = append(h.held, p[0])
	separator, known := mailboxSeparator(h.held)
	if !known {
		return 1, nil
	}
	if separator {
		if _, err := io.WriteString(h.w, mailboxLine); err != nil {
			return 0, err
		}
	}
	h.rest, h.over = separator, !separator
	return 1, h.flush()
}

// Close passes on what is held. It does not close w.
func (h *headWriter) Close() error { return h.flush() }

func (h *headWriter) flush() error {
	if len(h.held) == 0 {
		return nil
	}
	_, err := h.w.Write(h.held)
	h.held = h.held[:0]
	return err
}

// maxMailboxMarks bounds the ">" before "From " that are looked at, and the blanks
// behind it. It is no parameter: a line with more is text, and stays what it is.
const maxMailboxMarks = 64

// mailboxSeparator says whether a line that begins so is one of mbox; known is
// false while that depends on octets to come. "From : x" is the field From as
// RFC 5322 section 4.5 lets old programs write it.
func mailboxSeparator(line []byte) (separator, known bool) {
	const word = "From "
	rest := bytes.TrimLeft(line, ">")
	if len(line)-len(rest) > maxMailboxMarks {
		return false, true
	}
	if len(rest) < len(word) {
		return false, string(rest) != word[:len(rest)]
	}
	if string(rest[:len(word)]) != word {
		return false, true
	}
	blanks := rest[len(word):]
	text := bytes.TrimLeft(blanks, " \t")
	switch {
	case len(rest) < len(line), len(blanks)-len(text) > maxMailboxMarks:
		return true, true
	case len(text) == 0:
		return false, false
	}
	return text[0] != ':', true
}

// MailboxLines passes a message with LF line ends on to w, with separator lines of an mbox file at its beginning as
// fields X-Mailbox-Line, for those who receive messages otherwise than by SMTP. Close passes on the rest, and does not close w.
func MailboxLines(w io.Writer) io.WriteCloser { return &headWriter{w: w} }

// MailboxLine says that a whole line is the separator of an mbox file, for those
// who read messages from elsewhere.
func MailboxLine(line []byte) bool {
	separator, known := mailboxSeparator(line)
	return separator && known
}
