package cleanup

import (
	"errors"
	"io"

	"toastmaster/internal/envelope"
	"toastmaster/internal/spool"
)

// editor makes a changed copy of a content, from its start to its end. Without a change there
// is no copy.
type editor struct {
	of  envelope.Content
	dir *spool.Dir
	out *spool.Buffer // nil without a change
	at  int64         // how much of it is done
}

// change puts a text in the place of [from,to), which lies behind all that was changed before.
func (e *editor) change(from, to int64, text string) error {
	if e.out == nil {
		e.out = e.dir.New()
	}
	if err := e.copyTo(from); err != nil {
		return err
	}
	e.at = to
	_, err := io.WriteString(e.out, text)
	return err
}

func (e *editor) copyTo(to int64) error {
	_, err := io.Copy(e.out, io.NewSectionReader(e.of, e.at, to-e.at))
	return err
}

// changed is the copy, nil when there is none. Its owner is who calls.
func (e *editor) changed() (*spool.Buffer, error) {
	if e.out == nil {
		return nil, nil
	}
	if err := e.copyTo(e.of.Size()); err != nil {
		return nil, err
	}
	out := e.out
	e.out = nil
	return out, nil
}

// drop gives back what there is of a copy, and joins what goes wrong with err.
func (e *editor) drop(err error) error {
	if e.out == nil {
		return err
	}
	return errors.Join(err, e.out.Close())
}
