package cleanup

import (
	"toastmaster/internal/header"
)

// drops removes the fields of cleanup.drop_headers.
type drops struct{ quiet }

func (drops) line(m *message, l *header.Line) {
	if l.Kind == header.Field && m.plain() && m.c.drops(l.Name) {
		m.remove()
	}
}

// drops says whether the field is one to be removed.
func (c *Cleanup) drops(name []byte) bool {
	var lower [40]byte
	if len(name) > len(lower) {
		return false
	}
	for i, b := range name {
		if b >= 'A' && b <= 'Z' {
			b += 'a' - 'A'
		}
		lower[i] = b
	}
	return c.drop[string(lower[:len(name)])]
}
