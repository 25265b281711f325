package cleanup

import (
	"bufio"
	"context"
	"errors"
	"io"

	"toastmaster/internal/dsn"
)

// readAhead is how much of a body in a file is read at once, in octets.
const readAhead = 64 << 10

// eachLines is after how many lines without a look at the tables the context is looked at.
const eachLines = 1024

// body looks up the lines in [from,to), long ones in pieces. What is behind
// body_checks_size_limit, counted from the last header or closing boundary, is passed over.
func (i *inspection) body(ctx context.Context, e *editor, from, to int64) error {
	if i.over || from >= to || len(i.checks.body.maps) == 0 {
		return nil
	}
	p := &i.m.c.o.Params
	lines := bufio.NewReaderSize(struct{ io.Reader }{bufio.NewReaderSize(io.NewSectionReader(e.of, from, to-from), readAhead)}, int(p.LineLengthLimit))
	start := from // where counting began
	for n := 0; from < to && !i.over; n++ {
		if n%eachLines == 0 && ctx.Err() != nil {
			return dsn.Wrap(dsn.MailSystem, "Temporary failure while checking the content", ctx.Err())
		}
		text, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return dsn.Wrap(dsn.MailSystem, "Temporary failure while reading the message", err)
		}
		if len(text) == 0 {
			return dsn.Wrap(dsn.MailSystem, "Temporary failure while reading the message", io.ErrUnexpectedEOF)
		}
		f := found{from: from, to: from + int64(len(text))}
		for len(i.resets) > 0 && i.resets[0] <= from {
			i.resets = i.resets[1:]
			if f.to < to || to == e.of.Size() { // else it is a boundary that begins a part
				start = from
			}
		}
		from = f.to
		if p.BodyChecksLimit > 0 && f.from-start >= p.BodyChecksLimit {
			continue
		}
		plain := withoutEnd(text)
		f.text, f.end = string(plain), string(text[len(plain):])
		if err := i.look(ctx, &i.checks.body, e, f); err != nil {
			return err
		}
	}
	return nil
}
