package mbox

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/mail"
	"strconv"
	"strings"
)

// headReader reads the fields of one message.
type headReader struct {
	m  *Message
	in *bufio.Reader
	at int64
	// leading: only fields of mailboxes so far.
	leading bool
	// name and value are the field under way, which began at from.
	name   string
	value  []byte
	from   int64
	single bool // it has no second line
	// counted: the field before was Content-Length.
	counted bool
	// flags, keywords and fields are those so far.
	flags    Flags
	keywords []string
	fields   []span
	length   int64

	subject        string
	imap           bool
	received, date string
}

// read looks at the header.
func (h *headReader) read(r *Reader) error {
	for start := true; ; {
		p, err := h.in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF) {
			return err
		}
		if start {
			over, failed := h.line(r, p)
			if failed != nil {
				return failed
			}
			if over {
				break
			}
		} else {
			h.more(p)
		}
		h.at += int64(len(p))
		if errors.Is(err, io.EOF) {
			h.field()
			break
		}
		start = err == nil
	}
	h.finish()
	return nil
}

// line takes the beginning of a line; over says that the header ends before it, or with
// it.
func (h *headReader) line(r *Reader, p []byte) (over bool, err error) {
	blank := len(p) > 0 && len(bytes.TrimRight(p, "\r\n")) == 0
	next := len(p) == 0
	if bytes.HasPrefix(p, []byte(fromMark)) {
		if _, next, err = r.from(h.at); err != nil {
			return false, err
		}
	}
	switch {
	case blank || next:
		h.field()
		if blank {
			h.at += int64(len(p))
		}
		return true, nil
	case (p[0] == ' ' || p[0] == '\t') && !h.single:
		h.more(p)
	default:
		h.field()
		name, value, _ := bytes.Cut(p, []byte(":"))
		h.name, h.value, h.from = strings.ToLower(string(bytes.TrimRight(name, " \t"))), h.value[:0], h.at
		// That of a Writer is one line, and what follows is the message.
		h.single = h.leading && h.name == exportField
		h.more(value)
	}
	return false, nil
}

// more takes a piece of a field's value: of what a Writer wrote all, of others what is kept.
func (h *headReader) more(p []byte) {
	most := maxField
	if h.single {
		most = maxHeader
	}
	h.value = append(h.value, p[:min(len(p), max(most-len(h.value), 0))]...)
}

// field takes a whole field.
func (h *headReader) field() {
	name, value := h.name, strings.TrimSpace(string(h.value))
	h.name = ""
	switch name {
	case "":
		return
	case "status", "x-status":
		h.flags.letters(value)
	case "x-keywords", "x-mozilla-keys":
		h.keywords = append(h.keywords, strings.Fields(value)...)
	case "x-mozilla-status":
		if n, err := strconv.ParseUint(value, 16, 16); err == nil {
			h.flags.mozilla(n)
		}
	case "content-length":
		if n, err := strconv.ParseInt(value, 10, 63); err == nil && n >= 0 {
			h.length = n
		}
		h.counted = true
	case "lines": // mutt's, behind its length
		if !h.counted {
			h.leading = false
			return
		}
		h.counted = false
	case "x-imap", "x-imapbase":
		h.imap = true
	case "x-uid", "x-mozilla-status2":
	case exportField:
		h.export(value)
	default:
		h.others(name, value)
		return
	}
	h.fields = append(h.fields, span{h.from, h.at})
}

// export takes what a Writer said, if it is at the beginning: what stands before it and
// itself are not the message's, all else is.
func (h *headReader) export(value string) {
	e, err := parseExport(value)
	if !h.leading || h.m.Export != nil || err != nil {
		return
	}
	h.m.Export, h.m.body = e, h.at
	h.m.Flags, h.m.Keywords, h.m.fields = h.flags, h.keywords, []span{{h.m.start, h.at}}
}

// others are the fields of the message itself.
func (h *headReader) others(name, value string) {
	h.leading, h.counted = false, false
	switch name {
	case "subject":
		h.subject = value
	case "received":
		if _, when, found := strings.Cut(value, ";"); found && h.received == "" {
			h.received = when
		}
	case "date":
		h.date = value
	}
}

// finish makes of it what the message is.
func (h *headReader) finish() {
	m := h.m
	m.Internal = m.Export == nil && h.imap && strings.HasPrefix(h.subject, "DON'T DELETE THIS MESSAGE")
	if m.Export != nil {
		m.Date = m.Export.Date
		m.changed = &rewritten{flags: h.flags, keywords: h.keywords, fields: h.fields, body: h.at}
		return
	}
	m.Flags, m.Keywords, m.fields, m.body = h.flags, h.keywords, h.fields, h.at
	for _, s := range []string{h.received, h.date} {
		if !m.Date.IsZero() {
			break
		}
		if t, err := mail.ParseDate(strings.Join(strings.Fields(s), " ")); err == nil {
			m.Date = t
		}
	}
}

// Rewritten makes m what it is when another program has written the file anew, and has
// put fields of its own among those of the message: they are taken out, and count. The
// owner calls it when WriteTo does not write what Export says.
func (m *Message) Rewritten() {
	if c := m.changed; c != nil {
		m.Flags, m.Keywords, m.fields, m.body, m.changed = c.flags, c.keywords, c.fields, c.body, nil
	}
}

// letters are those of Status and X-Status.
func (f *Flags) letters(s string) {
	for i := range len(s) {
		switch s[i] {
		case 'R':
			f.Seen = true
		case 'A':
			f.Answered = true
		case 'F':
			f.Flagged = true
		case 'D':
			f.Deleted = true
		case 'T':
			f.Draft = true
		}
	}
}

// mozilla are Thunderbird's bits.
func (f *Flags) mozilla(n uint64) {
	f.Seen = f.Seen || n&0x0001 != 0
	f.Answered = f.Answered || n&0x0002 != 0
	f.Flagged = f.Flagged || n&0x0004 != 0
	f.Deleted = f.Deleted || n&0x0008 != 0
	f.Forwarded = f.Forwarded || n&0x1000 != 0
}
