package contentcheck

import (
	"io"
	"sort"
	"strings"

	"toastmaster/internal/envelope"
	"toastmaster/internal/header"
)

// Edit is a part of a content that goes, [From,To), with what comes in its place.
type Edit struct {
	From, To int64
	Text     string
}

// Patched is c with edits, which are in the order of the content and do not overlap. It does not own c, and is as safe for
// concurrent use as that.
func Patched(c envelope.Content, edits []Edit) envelope.Content {
	if len(edits) == 0 {
		return envelope.Joined(nil, c)
	}
	p := &patched{c: c}
	at := int64(0)
	for _, e := range edits {
		p.add(piece{from: at, n: e.From - at})
		p.add(piece{text: e.Text, n: int64(len(e.Text))})
		at = e.To
	}
	p.add(piece{from: at, n: c.Size() - at})
	return p
}

// piece is a text, or n octets of the content from an offset on; at is where it stands.
type piece struct {
	at, from, n int64
	text        string
}

type patched struct {
	c      envelope.Content
	pieces []piece
	size   int64
}

func (p *patched) add(one piece) {
	if one.n <= 0 {
		return
	}
	one.at = p.size
	p.pieces, p.size = append(p.pieces, one), p.size+one.n
}

func (p *patched) Size() int64           { return p.size }
func (p *patched) Close() error          { return nil }
func (p *patched) Bytes() ([]byte, bool) { return nil, false }

// ReadAt implements io.ReaderAt.
func (p *patched) ReadAt(b []byte, off int64) (n int, err error) {
	i := sort.Search(len(p.pieces), func(i int) bool { return p.pieces[i].at+p.pieces[i].n > off })
	for ; n < len(b) && i < len(p.pieces); i++ {
		one := p.pieces[i]
		skip := off + int64(n) - one.at
		want := b[n:min(int64(len(b)), int64(n)+one.n-skip)]
		if one.text != "" {
			n += copy(want, one.text[skip:])
			continue
		}
		got, err := p.c.ReadAt(want, one.from+skip)
		n += got
		if got < len(want) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// Field is a text of a table as a field for the header of a message, "" for what is none: what its lines
// are, but the first, begins with white space.
func Field(text string) string {
	first, rest, more := strings.Cut(text, "\n")
	if _, _, ok := header.Cut([]byte(first)); !ok {
		return ""
	}
	for more {
		var line string
		if line, rest, more = strings.Cut(rest, "\n"); line == "" || line[0] != ' ' && line[0] != '\t' {
			line = "\t" + line
		}
		first += "\n" + line
	}
	return first
}
