package netstring

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// ErrSyntax is wrapped by what is said about octets that are no netstring.
var ErrSyntax = errors.New("no netstring")

// TooLong is a netstring that says it is longer than what was asked for. Nothing of its
// text has been read.
type TooLong struct{ Length, Most int64 }

// Error is for the log.
func (e *TooLong) Error() string {
	return fmt.Sprintf("a netstring of %d octets, at most %d are taken", e.Length, e.Most)
}

// mostDigits is how long a length may be written.
const mostDigits = 18

// ReadLength reads "length:". The text and its comma are the caller's to read. io.EOF
// says that there is none.
func ReadLength(r *bufio.Reader) (int64, error) {
	var digits []byte
	for {
		c, err := r.ReadByte()
		switch {
		case err == io.EOF && len(digits) > 0:
			return 0, io.ErrUnexpectedEOF
		case err != nil:
			return 0, err
		case c == ':' && len(digits) > 0:
			return strconv.ParseInt(string(digits), 10, 64)
		case c < '0' || c > '9' || len(digits) == mostDigits || len(digits) == 1 && digits[0] == '0':
			return 0, fmt.Errorf("%w: its length begins with %q", ErrSyntax, append(digits, c))
		}
		digits = append(digits, c)
	}
}

// Read reads one of at most most octets. io.EOF says that there is none, a *TooLong
// that it is longer.
func Read(r *bufio.Reader, most int64) ([]byte, error) {
	n, err := ReadLength(r)
	if err != nil {
		return nil, err
	}
	if n > most {
		return nil, &TooLong{n, most}
	}
	// It grows with what comes: a length alone is no reason to take memory.
	var in bytes.Buffer
	if _, err := io.CopyN(&in, r, n+1); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	text := in.Bytes()
	if text[n] != ',' {
		return nil, fmt.Errorf("%w: %q stands where its comma should be", ErrSyntax, text[n:])
	}
	return text[:n], nil
}

// Append appends a text as a netstring.
func Append(b []byte, text string) []byte {
	b = strconv.AppendInt(b, int64(len(text)), 10)
	b = append(b, ':')
	b = append(b, text...)
	return append(b, ',')
}
