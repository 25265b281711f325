package mbox

import (
	"bytes"
	"strings"
)

// writerMark begins each message of a Writer.
const writerMark = "From MAILER-DAEMON "

// writerFields are what a Writer puts behind it, in this order; the second and the last
// are in each message.
func writerFields() []string {
	return []string{"X-IMAPbase: ", "Status: ", "X-Status: ", "X-Keywords: ", exportName + ": "}
}

// IsBeginning says that text may be the beginning of a message of a Writer that was cut
// off before its content: there is no line in it that a Writer does not write, and the
// last of its fields has no end.
func IsBeginning(text []byte) bool {
	line, rest, whole := bytes.Cut(text, []byte("\n"))
	if !begins(line, writerMark, whole) || len(line) > maxFrom {
		return false
	}
	for fields := writerFields(); len(rest) > 0; {
		line, rest, whole = bytes.Cut(rest, []byte("\n"))
		for len(fields) > 0 && !begins(line, fields[0], whole) {
			fields = fields[1:]
		}
		if len(fields) == 0 || whole && len(fields) == 1 {
			return false
		}
		fields = fields[1:]
	}
	return true
}

// begins says that a line begins with mark, or one that was cut off with a part of it.
func begins(line []byte, mark string, whole bool) bool {
	n := len(line)
	if whole || n > len(mark) {
		n = len(mark)
	}
	return n > 0 && strings.HasPrefix(string(line[:min(len(line), n)]), mark[:n])
}

// AsWritten says that the fields before the message are those that a Writer wrote: mutt,
// when it writes a file anew, puts Status and its like elsewhere.
func (m *Message) AsWritten() (bool, error) {
	if m.Export == nil || m.body-m.Offset > maxHeader {
		return false, nil
	}
	head := make([]byte, m.body-m.Offset)
	if err := readAt(m.src, head, m.Offset); err != nil {
		return false, err
	}
	return IsBeginning(bytes.TrimSuffix(head, []byte("\n"))) && bytes.Contains(head, []byte("\n"+writerFields()[1])), nil
}
