package trace

import "toastmaster/internal/addr"

// Final is what the final delivery puts on top of a message (RFC 5321 section
// 4.4, Postfix mail_copy).
type Final struct {
	// ReturnPath is the sender in its brackets.
	ReturnPath string
	// To is the recipient as it was delivered to, Original as it was before
	// aliases; told when they differ, zero when it is not known.
	To, Original addr.Address
}

// Append appends the fields to b.
func (f *Final) Append(b []byte) []byte {
	b = append(b, "Return-Path: "...)
	b = append(b, f.ReturnPath...)
	if !f.Original.IsNull() && f.Original != f.To {
		b = append(b, "\nX-Original-To: "...)
		b = f.Original.Append(b)
	}
	b = append(b, "\nDelivered-To: "...)
	b = f.To.Append(b)
	return append(b, '\n')
}
