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
// holds no more than maxHeld octets. Close passes on what is held. One serves all messages
// of a session, one after the other: see begin.
type header struct {
	w         io.Writer
	lines     fields.Pusher
	delivered trace.Delivered

	received bool   // a Received field was seen
	hops     int    // Received fields
	id       string // of the message, for the log
	wanting  bool   // its field has begun, its value stands on the next line
	dropping bool   // the present field is removed
}

// begin forgets the message before and passes the next one on to w.
func (h *header) begin(w io.Writer) {
	*h = header{w: w, lines: fields.Pusher{Max: maxHeld}}
}

// Write takes the next octets of the message. p is not kept.
func (h *header) Write(p []byte) (int, error) {
	rest, err := h.lines.Push(p, h.line)
	if err == nil && len(rest) > 0 {
		_, err = h.w.Write(rest)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close ends the line that is held. It does not close w.
func (h *header) Close() error { return h.lines.Flush(h.line) }

// line takes a line of the header. What is no field is no more of it, for this reader.
func (h *header) line(l fields.Line) (more bool, err error) {
	switch l.Kind {
	case fields.Rest:
	case fields.Folded:
		if h.wanting { // of the field above
			h.id, h.wanting = string(bytes.TrimSpace(l.Text)), false
		}
	default:
		h.wanting, h.dropping = false, false
		h.field(l)
	}
	if !h.dropping {
		_, err = h.w.Write(l.Text)
	}
	return l.Kind != fields.Other, err
}

// field notes what a field says, if the line is one.
func (h *header) field(l fields.Line) {
	switch {
	case l.Kind != fields.Field:
	case bytes.EqualFold(l.Name, []byte("Return-Path")):
		h.dropping = true
	case bytes.EqualFold(l.Name, []byte("Delivered-To")):
		h.delivered.Add(string(l.Value))
	case bytes.EqualFold(l.Name, []byte("Message-ID")):
		h.id, h.wanting = string(l.Value), len(l.Value) == 0
	case bytes.EqualFold(l.Name, []byte("Received")):
		h.hops++
		if !h.received {
			// What stands above it is of the client itself.
			h.received = true
			h.delivered.Forget()
		}
	}
}
