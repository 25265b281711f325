package mbox

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// exportField is the field that a Writer puts behind those of other programs.
const (
	exportField = "x-toastmaster-export"
	exportName  = "X-Toastmaster-Export"
)

// Export is what a Writer says of a message, beyond what other programs know.
type Export struct {
	// Size is the number of octets of the message; a file cannot tell whether the
	// last line had an end.
	Size int64
	// Account, Folder, Validity and UID say which message it was.
	Account  string
	Folder   string
	Validity uint32
	UID      uint32
	Date     time.Time
	// Flags are all flags and keywords, as IMAP writes them.
	Flags []string
}

var errExport = errors.New("no field of an export")

func (e *Export) value() string {
	q := url.Values{}
	q.Set("v", "1")
	q.Set("size", strconv.FormatInt(e.Size, 10))
	q.Set("account", e.Account)
	q.Set("folder", e.Folder)
	q.Set("validity", strconv.FormatUint(uint64(e.Validity), 10))
	q.Set("uid", strconv.FormatUint(uint64(e.UID), 10))
	q.Set("date", e.Date.Format(time.RFC3339))
	q.Set("flags", strings.Join(e.Flags, " "))
	return q.Encode()
}

func parseExport(value string) (*Export, error) {
	q, err := url.ParseQuery(value)
	if err != nil || q.Get("v") != "1" {
		return nil, errExport
	}
	e := &Export{Account: q.Get("account"), Folder: q.Get("folder"), Flags: strings.Fields(q.Get("flags"))}
	var err1, err2, err3, err4 error
	e.Size, err1 = strconv.ParseInt(q.Get("size"), 10, 64)
	validity, err2 := strconv.ParseUint(q.Get("validity"), 10, 32)
	uid, err3 := strconv.ParseUint(q.Get("uid"), 10, 32)
	e.Date, err4 = time.Parse(time.RFC3339, q.Get("date"))
	e.Validity, e.UID = uint32(validity), uint32(uid)
	if errors.Join(err1, err2, err3, err4) != nil || e.Size < 0 {
		return nil, errExport
	}
	return e, nil
}

// Trim is how many of the octets that WriteTo wrote are the message's: a file cannot
// tell whether the last line had an end. Where it is not ok, another program has
// changed the message: see [Message.Rewritten].
func (e *Export) Trim(written int64) (size int64, ok bool) {
	if written == e.Size || written == e.Size+1 {
		return e.Size, true
	}
	return written, false
}

// Writer writes a file of messages. It is for one goroutine.
type Writer struct {
	out *bufio.Writer
	// base is X-IMAPbase, for the first message.
	base string
}

// NewWriter writes to w, which may have whole messages already.
func NewWriter(w io.Writer) *Writer { return &Writer{out: bufio.NewWriterSize(w, blockSize)} }

// Begin says, at the beginning of a file, which keywords are in it: Dovecot knows no
// others.
func (w *Writer) Begin(validity uint32, keywords []string) {
	w.base = fmt.Sprintf("X-IMAPbase: %d %010d", max(validity, 1), 0)
	for _, k := range keywords {
		if len(w.base) < maxBase {
			w.base += " " + k
		}
	}
	w.base += "\n"
}

// maxBase bounds a line that says keywords.
const maxBase = 16 << 10

// errHead is a message of which no Reader would see all that is said.
var errHead = errors.New("the keywords and the names of the account and the folder are more than the header of a message in an mbox file has room for")

// Write appends a message with LF line ends: its From line, its fields, and content. An
// error may leave a part of it; where the fields would not be read again, nothing of it is
// written.
func (w *Writer) Write(e Export, f Flags, keywords []string, content io.Reader) error {
	head := writerMark + e.Date.UTC().Format("Mon Jan _2 15:04:05 2006") + "\n"
	head += w.base
	status := "O"
	if f.Seen {
		status = "RO"
	}
	head += "Status: " + status + "\n"
	if x := f.extra(); x != "" {
		head += "X-Status: " + x + "\n"
	}
	if len(keywords) > 0 {
		head += "X-Keywords: " + strings.Join(keywords, " ") + "\n"
	}
	head += exportName + ": " + e.value() + "\n"
	if len(head) > maxHeader {
		return fmt.Errorf("%w: %d octets, with %d keywords", errHead, len(head), len(keywords))
	}
	w.base = ""
	if _, err := w.out.WriteString(head); err != nil {
		return err
	}
	q := &quoter{w: w.out}
	if _, err := io.Copy(q, content); err != nil {
		return err
	}
	if err := q.close(); err != nil {
		return err
	}
	end := "\n"
	if q.last != '\n' {
		end = "\n\n"
	}
	_, err := w.out.WriteString(end)
	return err
}

// Flush gives all that was written to the file.
func (w *Writer) Flush() error { return w.out.Flush() }

// extra are the letters of X-Status.
func (f Flags) extra() string {
	var b []byte
	for _, l := range []struct {
		on     bool
		letter byte
	}{{f.Answered, 'A'}, {f.Deleted, 'D'}, {f.Flagged, 'F'}, {f.Draft, 'T'}} {
		if l.on {
			b = append(b, l.letter)
		}
	}
	return string(b)
}
