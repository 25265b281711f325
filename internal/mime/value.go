package mime

// MediaType splits the value of a Content-Type as Scan does; both are empty when it
// cannot be read. They are slices of value.
func MediaType(value []byte) (kind, sub []byte) {
	p := paramParser{in: value}
	kind = p.token()
	if len(kind) > 0 && p.next('/') {
		sub = p.token()
	}
	if len(sub) == 0 {
		return nil, nil
	}
	return kind, sub
}

// TransferEncoding is what the value of a Content-Transfer-Encoding says, in the
// case in which it stands there, and empty when it says nothing. One that is written
// with blanks, hyphens or quotes in it, like "8 bit", is what it means.
func TransferEncoding(value []byte) []byte {
	p := paramParser{in: value}
	encoding := p.token()
	if equalsAny(encoding, encodings[:]) {
		return encoding
	}
	for i, want := range squeezed {
		if squeezesTo(value, want) {
			encoding = []byte(encodings[i])
		}
	}
	return encoding
}

// Parts is MaxParts, or its default.
func (l Limits) Parts() int { return l.orDefaults().MaxParts }
