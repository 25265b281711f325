package maildrop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"toastmaster/internal/crc32c"
)

// Recipient is one recipient.
type Recipient struct {
	// Address is as the program wrote it: without a domain it is of this host.
	Address string `json:"address"`
	// Notify takes the place of the message's, and ORcpt is as of RFC 3461; "" for none.
	Notify string `json:"notify,omitempty"`
	ORcpt  string `json:"orcpt,omitempty"`
}

// Trace asks for a report about a message.
type Trace string

// The traces.
const (
	// TraceNone asks for none.
	TraceNone Trace = ""
	// TraceVerify asks what would become of the recipients: nothing is delivered (sendmail -bv).
	TraceVerify Trace = "verify"
	// TraceRecord asks for a report of what became of each (sendmail -v).
	TraceRecord Trace = "record"
)

// Message is the envelope of a message of this host. Unknown fields are skipped: a newer program
// may write to an older service.
type Message struct {
	// Name is that of the file, "" on the socket.
	Name string `json:"name,omitempty"`
	// Sender is the envelope sender, "" for the null sender; Own says that none was given: it is the
	// user who hands the message in.
	Sender     string      `json:"sender,omitempty"`
	Own        bool        `json:"own,omitempty"`
	Recipients []Recipient `json:"recipients"`
	// Notify is a comma-separated list as of RFC 3461, "" for none; Return "FULL", "HDRS" or ""; EnvID is no xtext.
	Notify string `json:"notify,omitempty"`
	Return string `json:"return,omitempty"`
	EnvID  string `json:"envid,omitempty"`
	// FullName is that of the sender, for a message whose header has no From; else "".
	FullName string `json:"full_name,omitempty"`
	// EightBit says that the program says that the content is 8BITMIME.
	EightBit bool `json:"8bit,omitempty"`
	// Remote says that the message comes from elsewhere: its addresses are not completed as a user's.
	Remote bool  `json:"remote,omitempty"`
	Trace  Trace `json:"trace,omitempty"`
}

// ErrMalformed is wrapped by what is said of octets that are no message.
var ErrMalformed = errors.New("no message of sendmail")

// ErrTooLarge is a content that is larger than is taken; nothing of it was read.
var ErrTooLarge = errors.New("message too large")

// magic begins the first line, which has at most firstLine octets.
const (
	magic     = "maildrop1"
	firstLine = 64
)

// MaxHeader bounds the envelope, in octets. It is no parameter: it has room for more
// recipients than a message may have.
const MaxHeader = 8 << 20

// Write writes a message.
func Write(w io.Writer, m *Message, content []byte) error {
	header, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(header) > MaxHeader {
		return ErrTooLarge
	}
	sum := crc32c.Update(crc32c.Sum(header), content)
	if _, err := fmt.Fprintf(w, "%s %d %d %08x\n", magic, len(header), len(content), sum); err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}

// Read reads a message, whose content goes to w: at most most octets.
func Read(r io.Reader, w io.Writer, most int64) (*Message, error) {
	in := bufio.NewReaderSize(r, 32<<10)
	line, err := readLine(in)
	if err != nil {
		return nil, err
	}
	var headerSize, contentSize int64
	var sum uint32
	if n, err := fmt.Sscanf(line, magic+" %d %d %08x", &headerSize, &contentSize, &sum); err != nil || n != 3 ||
		line != fmt.Sprintf("%s %d %d %08x", magic, headerSize, contentSize, sum) || headerSize < 0 || contentSize < 0 {
		return nil, fmt.Errorf("%w: its first line is another one", ErrMalformed)
	}
	if headerSize > MaxHeader || contentSize > most {
		return nil, ErrTooLarge
	}
	// It grows with what comes: a number alone is no reason to take memory.
	var header bytes.Buffer
	if _, err := io.CopyN(&header, in, headerSize); err != nil {
		return nil, short(err)
	}
	summing := &summer{w: w, sum: crc32c.Sum(header.Bytes())}
	if _, err := io.CopyN(summing, in, contentSize); err != nil {
		return nil, short(err)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: there is more behind it", ErrMalformed)
	}
	if summing.sum != sum {
		return nil, fmt.Errorf("%w: its sum is another one", ErrMalformed)
	}
	m := &Message{}
	if err := json.Unmarshal(header.Bytes(), m); err != nil {
		return nil, fmt.Errorf("%w: its envelope cannot be read", ErrMalformed)
	}
	return m, nil
}

// readLine reads the first line without its end.
func readLine(in *bufio.Reader) (string, error) {
	var line []byte
	for len(line) < firstLine {
		c, err := in.ReadByte()
		switch {
		case err != nil:
			return "", short(err)
		case c == '\n':
			return string(line), nil
		}
		line = append(line, c)
	}
	return "", fmt.Errorf("%w: its first line is too long", ErrMalformed)
}

// short is a message that ends too early, or the error of the reader.
func short(err error) error {
	if err == io.EOF {
		return fmt.Errorf("%w: it ends too early", ErrMalformed)
	}
	return err
}

// summer sums up what passes.
type summer struct {
	w   io.Writer
	sum uint32
}

// Write implements io.Writer.
func (s *summer) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.sum = crc32c.Update(s.sum, p[:n])
	return n, err
}
