package cleanup

import (
	"bufio"
	"bytes"
	"io"

	"toastmaster/internal/envelope"
)

// lines reads the lines of a content one after the other. Of a line longer
// than the window it returns the start.
type lines struct {
	mem  []byte
	file *bufio.Reader
	at   int64 // of the next line
}

// window is how much of a header in a file is read at once.
const window = 16 << 10

func newLines(c envelope.Content) *lines {
	if b, ok := c.Bytes(); ok {
		return &lines{mem: b}
	}
	return &lines{file: bufio.NewReaderSize(io.NewSectionReader(c, 0, c.Size()), window)}
}

// offset is where the next line begins.
func (l *lines) offset() int64 { return l.at }

// next returns a line with its line end and its offset; an empty slice at the
// end of the content. The slice is valid until the next call.
func (l *lines) next() (line []byte, at int64, err error) {
	at = l.at
	if l.file == nil {
		line = l.mem[at:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		l.at += int64(len(line))
		return line, at, nil
	}
	line, err = l.file.ReadSlice('\n')
	l.at += int64(len(line))
	if err == bufio.ErrBufferFull {
		line = bytes.Clone(line)
		err = l.skip()
	}
	if err == io.EOF {
		err = nil
	}
	return line, at, err
}

// skip reads the rest of a long line.
func (l *lines) skip() error {
	for {
		rest, err := l.file.ReadSlice('\n')
		l.at += int64(len(rest))
		if err != bufio.ErrBufferFull {
			return err
		}
	}
}
