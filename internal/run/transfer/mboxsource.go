package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"toastmaster/admin/model"
	"toastmaster/internal/mbox"
	"toastmaster/internal/wire"
	"toastmaster/mailstore/maildir"
)

// mboxSource reads an mbox.
type mboxSource struct {
	file *os.File
	path string
	end  int64
	r    *mbox.Reader
	n    int
}

func openMboxSource(w *walked, how mbox.Format) (source, error) {
	path := w.last().path
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no plain file", path)
	}
	if err == nil {
		err = w.same(info)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &mboxSource{file: f, path: path, end: info.Size(), r: mbox.NewReader(f, info.Size(), how)}, nil
}

func (s *mboxSource) size() int64                    { return s.end }
func (s *mboxSource) folders() []model.NewMailFolder { return nil }
func (s *mboxSource) close() error                   { return s.file.Close() }

func (s *mboxSource) next(_ context.Context, fail func(what, why string)) (*found, error) {
	for {
		m, err := s.r.Next()
		if errors.Is(err, mbox.ErrNotMbox) {
			return nil, fmt.Errorf("%s: %w", s.path, err)
		}
		if err != nil {
			return nil, err
		}
		if m.Skipped > 0 {
			fail(fmt.Sprintf("octets 0 to %d", m.Skipped-1), "they belong to no message: no line \"From SENDER DATE\" is before them")
		}
		if m.Internal {
			continue
		}
		s.n++
		return s.found(m)
	}
}

// found decides what a message is. One that an export wrote, and another program
// changed since, has fields of that program.
func (s *mboxSource) found(m *mbox.Message) (*found, error) {
	f := &found{what: fmt.Sprintf("message %d, at octet %d", s.n, m.Offset), folder: maildir.Inbox, date: m.Date, at: m.End}
	limit := int64(-1)
	if e := m.Export; e != nil {
		n, err := m.WriteTo(io.Discard)
		if err != nil {
			return nil, err
		}
		if size, ok := e.Trim(n); ok {
			limit = size
		} else {
			m.Rewritten()
		}
		if e.Folder != "" {
			f.folder = e.Folder
		}
		for _, flag := range e.Flags {
			if !strings.HasPrefix(flag, `\`) {
				f.flags = append(f.flags, flag)
			}
		}
	}
	f.flags = append(append(f.flags, mboxFlags(m.Flags)...), m.Keywords...)
	f.write = func(w io.Writer) error {
		if limit >= 0 {
			w = &limited{w, limit}
		}
		if !m.CRLF {
			_, err := m.WriteTo(w)
			return err
		}
		lf := wire.NewLFWriter(w)
		_, err := m.WriteTo(lf)
		return errors.Join(err, lf.Close())
	}
	return f, nil
}

// limited takes the first n octets and drops the others.
type limited struct {
	w io.Writer
	n int64
}

func (l *limited) Write(p []byte) (int, error) {
	q := p[:min(int64(len(p)), l.n)]
	l.n -= int64(len(q))
	if _, err := l.w.Write(q); err != nil {
		return 0, err
	}
	return len(p), nil
}

func mboxFlags(f mbox.Flags) []string {
	var out []string
	for _, one := range []struct {
		on   bool
		flag string
	}{{f.Seen, `\Seen`}, {f.Answered, `\Answered`}, {f.Flagged, `\Flagged`}, {f.Deleted, `\Deleted`}, {f.Draft, `\Draft`}, {f.Forwarded, "$Forwarded"}} {
		if one.on {
			out = append(out, one.flag)
		}
	}
	return out
}
