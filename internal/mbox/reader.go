package mbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Format is how lines of the text that begin with "From " are written.
type Format uint8

// The formats.
const (
	Auto Format = iota
	RD
	O
	CL
	CL2
)

// Formats are the names of the formats, in order.
func Formats() []string { return []string{"auto", "mboxrd", "mboxo", "mboxcl", "mboxcl2"} }

// ErrNotMbox is returned for a file without a From line.
var ErrNotMbox = errors.New("no mbox: it has no line \"From SENDER DATE\"")

const (
	blockSize = 64 << 10
	// maxHeader is how much of a header is looked at.
	maxHeader = 1 << 20
	// maxFrom is the length of a From line that counts as one.
	maxFrom = 1 << 10
	// maxField is how much of a field is kept.
	maxField = 256 << 10
)

// Reader finds the messages of a file. It is for one goroutine.
type Reader struct {
	src    io.ReaderAt
	size   int64
	format Format
	at     int64
	begun  bool
	// buf has bufLen octets from bufAt on.
	buf    []byte
	bufAt  int64
	bufLen int
}

// NewReader reads the first size octets of src.
func NewReader(src io.ReaderAt, size int64, f Format) *Reader {
	return &Reader{src: src, size: size, format: f, buf: make([]byte, blockSize)}
}

// Flags are those that a file can have of a message.
type Flags struct {
	Seen, Answered, Flagged, Deleted, Draft, Forwarded bool
}

// Message is one message of a file.
type Message struct {
	// Offset is where its From line begins, End where the next one does.
	Offset, End int64
	// Skipped counts the octets before it that belong to no message.
	Skipped int64
	Sender  string
	// Date is that of the From line; without a zone it is UTC.
	Date     time.Time
	Flags    Flags
	Keywords []string
	// Export is what a Writer of this package said.
	Export *Export
	// CRLF: line ends are CR LF.
	CRLF bool
	// Internal: it is no message but the notes of an IMAP server (UW, Pine), which
	// should be passed over.
	Internal bool

	src io.ReaderAt
	// content is from start to stop.
	start, stop int64
	quoting     quoting
	// fields are to be taken out of the header, which ends at body.
	fields []span
	body   int64
	// changed has them for an export that another program has changed since.
	changed *rewritten
}

// rewritten is what mutt and others make of a message when they write the file anew:
// their fields stand among those of the message.
type rewritten struct {
	flags    Flags
	keywords []string
	fields   []span
	body     int64
}

// span is a piece of a file.
type span struct{ from, to int64 }

// quoting is what is done with lines that begin with ">From ".
type quoting uint8

const (
	asIs quoting = iota
	// oneMore: one ">" goes from each line of ">"s and "From ".
	oneMore
	// onlyOne: it goes from ">From " alone.
	onlyOne
)

var errShorter = fmt.Errorf("the file became shorter while it was read: %w", io.ErrUnexpectedEOF)

// Next is the next message, io.EOF after the last. It needs no reading of the one
// before.
func (r *Reader) Next() (*Message, error) {
	m := &Message{src: r.src}
	if !r.begun {
		r.begun = true
		at, err := r.findFrom(0)
		if err != nil {
			return nil, err
		}
		if at >= r.size && r.size > 0 {
			return nil, ErrNotMbox
		}
		if m.Skipped, err = r.visible(at); err != nil {
			return nil, err
		}
		r.at = at
	}
	if r.at >= r.size {
		return nil, io.EOF
	}
	m.Offset = r.at
	length, err := r.head(m)
	if err != nil {
		return nil, err
	}
	if err := r.bounds(m, length); err != nil {
		return nil, err
	}
	r.at = m.End
	return m, nil
}

// readAt fills p with what is at off. A file that ends before is not at its end, it became
// shorter.
func readAt(src io.ReaderAt, p []byte, off int64) error {
	n, err := src.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return errShorter
	}
	return err
}

// visible is at, or 0 when there are only line ends before it.
func (r *Reader) visible(at int64) (int64, error) {
	for off := int64(0); off < at; {
		p, err := r.block(off, at)
		if err != nil {
			return 0, err
		}
		if len(bytes.Trim(p, "\r\n")) > 0 {
			return at, nil
		}
		off += int64(len(p))
	}
	return 0, nil
}

// block is what is at off, no further than end, valid until the next call. It reads
// only what it does not have.
func (r *Reader) block(off, end int64) ([]byte, error) {
	if i := off - r.bufAt; i < 0 || int64(r.bufLen)-i < min(maxFrom, end-off) {
		n, err := r.src.ReadAt(r.buf[:min(int64(len(r.buf)), r.size-off)], off)
		if n == 0 {
			if err == nil || errors.Is(err, io.EOF) {
				err = errShorter
			}
			return nil, err
		}
		r.bufAt, r.bufLen = off, n
	}
	p := r.buf[off-r.bufAt : r.bufLen]
	return p[:min(int64(len(p)), end-off)], nil
}

// findFrom is the place of the first From line at or behind a line's beginning
// off, the size of the file if there is none.
func (r *Reader) findFrom(off int64) (int64, error) {
	if _, ok, err := r.from(off); ok || err != nil {
		return off, err
	}
	mark := []byte("\nFrom ")
	for off < r.size {
		p, err := r.block(off, r.size)
		if err != nil {
			return 0, err
		}
		for seen := 0; ; {
			i := bytes.Index(p[seen:], mark)
			if i < 0 {
				break
			}
			seen += i + 1
			if line, _, whole := bytes.Cut(p[seen:], []byte("\n")); whole && seen >= len("\n\r\n") && !mayBegin(p[:seen], line) {
				continue
			}
			if _, ok, err := r.from(off + int64(seen)); ok || err != nil {
				return off + int64(seen), err
			}
		}
		if off+int64(len(p)) >= r.size {
			break
		}
		// The mark may lie on the border.
		off += int64(max(len(p)-len(mark)+1, 1))
	}
	return r.size, nil
}

// mayBegin says whether a line that begins with "From " may be a From line, by what is
// before it.
func mayBegin(before, line []byte) bool {
	if len(line) >= maxFrom {
		return false
	}
	bare := bytes.TrimRight(line, "\r")
	switch {
	case string(bare) == fromMark || string(bare) == fromMark+"-":
		return bytes.HasSuffix(before, []byte("\n\n")) || bytes.HasSuffix(before, []byte("\n\r\n"))
	case bytes.IndexByte(bare, ':') < 0:
		return false // no date is without
	}
	_, _, ok := parseFrom(string(bare))
	return ok
}

// from reads the From line at off; ok says that there is one.
func (r *Reader) from(off int64) (line string, ok bool, err error) {
	var room [maxFrom]byte
	begin := room[:min(maxFrom, max(r.size-off, 0))]
	if err := readAt(r.src, begin, off); err != nil {
		return "", false, err
	}
	p, _, found := bytes.Cut(begin, []byte("\n"))
	if !found && off+int64(len(begin)) < r.size || !bytes.HasPrefix(p, []byte(fromMark)) {
		return "", false, nil
	}
	line = string(p)
	if found {
		line += "\n"
	}
	bare := strings.TrimRight(line, "\r\n")
	if _, _, ok = parseFrom(bare); !ok && (bare == fromMark || bare == fromMark+"-") {
		// Thunderbird's, which has been without a date at times.
		ok, err = r.blankBefore(off)
	}
	return line, ok, err
}

// blankBefore says that a blank line ends at off, or the file begins there.
func (r *Reader) blankBefore(off int64) (bool, error) {
	var room [3]byte
	p := room[:min(off, int64(len(room)))]
	if err := readAt(r.src, p, off-int64(len(p))); err != nil {
		return false, err
	}
	return off == 0 || bytes.HasSuffix(p, []byte("\n\n")) || bytes.HasSuffix(p, []byte("\n\r\n")), nil
}

// head reads the From line and the fields; length is what Content-Length says, -1 for
// nothing.
func (r *Reader) head(m *Message) (length int64, err error) {
	line, _, err := r.from(m.Offset)
	if err != nil {
		return -1, err
	}
	m.start = m.Offset + int64(len(line))
	m.CRLF = strings.HasSuffix(line, "\r\n")
	m.Sender, m.Date, _ = parseFrom(strings.TrimRight(line, "\r\n"))
	h := headReader{m: m, length: -1, leading: true, at: m.start}
	h.in = bufio.NewReaderSize(io.NewSectionReader(r.src, m.start, min(maxHeader, r.size-m.start)), maxFrom)
	if err := h.read(r); err != nil {
		return -1, err
	}
	return h.length, nil
}

// bounds finds the end of a message.
func (r *Reader) bounds(m *Message, length int64) error {
	if m.Export == nil && length >= 0 && r.format != RD && r.format != O {
		end, ok, err := r.endsAt(m.body + length)
		if err != nil {
			return err
		}
		if ok {
			m.stop, m.End = m.body+length, end
			if r.format == CL {
				m.quoting = onlyOne
			}
			return nil
		}
	}
	m.quoting = oneMore
	if m.Export == nil && r.format != Auto && r.format != RD {
		m.quoting = onlyOne
	}
	end, err := r.findFrom(m.start)
	if err != nil {
		return err
	}
	m.stop, m.End = end, end
	// The blank line before the next message is no part of this one.
	var tail [3]byte
	n := min(int64(len(tail)), end-m.start)
	if err := readAt(r.src, tail[:n], end-n); err != nil {
		return err
	}
	last := string(tail[:n])
	switch {
	case strings.HasSuffix(last, "\n\r\n"), last == "\r\n":
		m.stop -= 2
	case strings.HasSuffix(last, "\n\n"), last == "\n":
		m.stop--
	}
	return nil
}

// maxBlank is how many octets of line ends may stand behind a message whose length is
// known.
const maxBlank = 4

// endsAt says whether a message can end at off: behind it are at most a few line ends,
// and then a From line, or the end. end is where the next message begins.
func (r *Reader) endsAt(off int64) (end int64, ok bool, err error) {
	if off > r.size || off < 0 {
		return 0, false, nil
	}
	var room [maxBlank + 1]byte // one before
	n := int(min(int64(len(room)), r.size-off+1))
	if err := readAt(r.src, room[:n], off-1); err != nil {
		return 0, false, err
	}
	for i := 1; i <= n; i++ {
		end = off + int64(i) - 1
		if end == r.size {
			return end, true, nil
		}
		if room[i-1] == '\n' {
			if _, ok, err := r.from(end); ok || err != nil {
				return end, ok, err
			}
		}
		if i == n || room[i] != '\n' && room[i] != '\r' {
			break
		}
	}
	return 0, false, nil
}

// WriteTo writes the message: without the From line, the fields of mailboxes, and the
// ">"s that were put before its lines.
func (m *Message) WriteTo(w io.Writer) (int64, error) {
	buffered := bufio.NewWriterSize(w, blockSize)
	out := &unquoter{w: buffered, how: m.quoting}
	at := m.start
	for _, f := range m.fields {
		if err := m.copy(out, at, f.from); err != nil {
			return out.n, err
		}
		at = f.to
	}
	if m.Export == nil {
		// Nobody puts ">" before lines of a header.
		if err := m.copy(out, at, m.body); err != nil {
			return out.n, err
		}
		at = max(at, m.body)
	}
	out.active = true
	err := m.copy(out, at, m.stop)
	if err == nil {
		err = out.close()
	}
	if err == nil {
		err = buffered.Flush()
	}
	return out.n, err
}

// copy copies a piece, as far as it is the message's.
func (m *Message) copy(out *unquoter, from, to int64) error {
	to = min(to, m.stop)
	if from >= to {
		return nil
	}
	n, err := io.Copy(out, io.NewSectionReader(m.src, from, to-from))
	if err == nil && n < to-from {
		err = errShorter
	}
	return err
}
