package downgrade

import (
	"toastmaster/internal/envelope"
	"toastmaster/internal/header"
	"toastmaster/internal/mime"
)

// writer gives the converted message away, in pieces of about a block.
type writer struct {
	content envelope.Content
	yield   func([]byte, error) bool
	block   []byte // what is read
	out     []byte // what waits to be given
	stopped bool
}

func (w *writer) give(p []byte, err error) bool {
	w.stopped = w.stopped || !w.yield(p, err) || err != nil
	return !w.stopped
}

func (w *writer) flush() bool {
	if len(w.out) == 0 || w.stopped {
		return !w.stopped
	}
	ok := w.give(w.out, nil)
	w.out = w.out[:0]
	return ok
}

func (w *writer) room() []byte { return w.block }

// copy gives [from,to) as it is.
func (w *writer) copy(from, to int64) bool {
	if from >= to {
		return true
	}
	if !w.flush() {
		return false
	}
	for p, err := range envelope.Pieces(w.content, from, to, w.room) {
		if !w.give(p, err) {
			return false
		}
	}
	return true
}

// body gives the body of an edit.
func (w *writer) body(e *edit) bool {
	if e.end == e.body {
		return true
	}
	q := encoder{repair: e.repair}
	for p, err := range envelope.Pieces(w.content, e.body, e.end, w.room) {
		if err != nil {
			return w.give(nil, err)
		}
		for len(p) > 0 {
			n := min(len(p), blockSize/4)
			q.out = w.out
			q.write(p[:n])
			w.out, p = q.out, p[n:]
			if len(w.out) >= blockSize && !w.flush() {
				return false
			}
		}
	}
	q.out = w.out
	q.end()
	w.out = q.out
	return true
}

// header gives the header of an edit.
func (w *writer) header(e *edit) bool {
	h := headWriter{writer: w, edit: e}
	if err := lines(w.content, e.start, e.body, w.block, h.line); err != nil {
		return w.give(nil, err)
	}
	return !w.stopped
}

// headWriter changes a header: the first Content-Transfer-Encoding gets the new value, others
// go, and what was not there comes last.
type headWriter struct {
	*writer
	edit    *edit
	labeled bool
	drop    bool // the present field goes
}

func (h *headWriter) line(l header.Line) (more bool, err error) {
	switch {
	case isBlank(l):
		h.last()
		h.drop = false
	case l.Kind == header.Rest || l.Kind == header.Folded:
	default:
		h.drop = h.edit.label != "" && l.Kind == header.Field && mime.EqualName(l.Name, encodingField)
		if h.drop {
			h.label()
		}
	}
	if !h.drop {
		h.out = append(h.out, l.Text...)
	}
	return len(h.out) < blockSize || h.flush(), nil
}

func (h *headWriter) label() {
	if h.edit.label != "" && !h.labeled {
		h.labeled = true
		h.out = append(h.out, encodingField+": "+h.edit.label+"\n"...)
	}
}

func (h *headWriter) last() {
	if h.edit.version {
		h.out = append(h.out, versionField+": 1.0\n"...)
	}
	if h.edit.charset {
		h.out = append(h.out, typeField+": text/plain; charset=unknown-8bit\n"...)
	}
	h.label()
}
