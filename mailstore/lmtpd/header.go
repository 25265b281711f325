package lmtpd

import (
	"bytes"
	"io"

	fields "toastmaster/internal/header"
	"toastmaster/internal/trace"
)

// maxHeld is how much of a header line is held back until it is known what it is, in
// octets. The rest of a longer one passes, or is dropped, as it comes. It is no
// parameter: no field that is looked at is longer.
const maxHeld = 2048

// header passes a message with LF line ends on to w, without the Return-Path
// fields of its header, and notes the recipients it was delivered to before. It
// holds no more than maxHeld octets. Close passes on what is held.
type header struct {
	w         io.Writer
	delivered trace.Delivered

	held     []byte // the start of the present line
	begun    bool   // a field was seen
	received bool   // one of them was a Received
	hops     int    // Received fields
	id       string // of the message, for the log
	wanting  bool   // its field has begun, its value stands on the next line
	decided  bool   // the present line is longer than what is held
	dropping bool   // the present field is removed
	over     bool   // the rest is body
}

// Write takes the next octets of the message. p is not kept.
func (h *header) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 && !h.over {
		part := p
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			part = p[:i+1]
		}
		p = p[len(part):]
		if err := h.take(part); err != nil {
			return 0, err
		}
	}
	if len(p) > 0 {
		if _, err := h.w.Write(p); err != nil {
			return 0, err
		}
	}
	return total, nil
}

// take takes a piece of one line, the last one with its line end.
func (h *header) take(part []byte) error {
	end := part[len(part)-1] == '\n'
	if !h.decided {
		n := min(len(part), maxHeld-len(h.held))
		h.held = append(h.held, part[:n]...)
		part = part[n:]
		if !end && len(h.held) < maxHeld {
			return nil
		}
		if err := h.Close(); err != nil {
			return err
		}
	}
	h.decided = !end
	return h.pass(part)
}

// Close ends the line that is held. It does not close w.
func (h *header) Close() error {
	if len(h.held) == 0 {
		return nil
	}
	h.see(h.held)
	err := h.pass(h.held)
	h.held = h.held[:0]
	return err
}

// see decides what the line is that begins so.
func (h *header) see(line []byte) {
	if h.begun && (line[0] == ' ' || line[0] == '\t') {
		if h.wanting { // of the field above
			h.id, h.wanting = string(bytes.TrimSpace(line)), false
		}
		return
	}
	h.wanting = false
	name, value, ok := fields.Split(line)
	h.begun, h.over = true, !ok
	h.dropping = ok && bytes.EqualFold(name, []byte("Return-Path"))
	switch {
	case !ok:
	case bytes.EqualFold(name, []byte("Delivered-To")):
		h.delivered.Add(string(value))
	case bytes.EqualFold(name, []byte("Message-ID")):
		h.id, h.wanting = string(value), len(value) == 0
	case bytes.EqualFold(name, []byte("Received")):
		h.hops++
		if !h.received {
			// What stands above it is of the client itself.
			h.received = true
			h.delivered.Forget()
		}
	}
}

func (h *header) pass(p []byte) error {
	if h.dropping || len(p) == 0 {
		return nil
	}
	_, err := h.w.Write(p)
	return err
}
