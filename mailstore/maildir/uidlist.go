package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrVersion says that a file has a format this package does not know.
var ErrVersion = errors.New("maildir: unknown version")

// UIDList is the content of dovecot-uidlist.
type UIDList struct {
	UIDValidity uint32
	NextUID     uint32
	// GUID is the mailbox GUID, 32 hex digits, "" if there is none.
	GUID    string
	Entries []UIDEntry
	// Skipped counts the damaged lines.
	Skipped int
}

// UIDEntry is one message. Stored and Wire are -1 when the line has no S or
// W field; they are then in the name, as a rule.
type UIDEntry struct {
	UID          uint32
	Base         string
	Stored, Wire int64
	// Extra are fields of the line that we only keep: POP3 UIDLs, GUIDs.
	Extra string
}

// ParseUIDList reads version 1 or 3. A line whose UID does not ascend is
// skipped: Dovecot gives such messages new UIDs, too.
func ParseUIDList(data []byte) (*UIDList, error) {
	line, rest, _ := bytes.Cut(data, []byte("\n"))
	l := &UIDList{}
	v3, err := l.header(string(line))
	if err != nil {
		return nil, err
	}
	for len(rest) > 0 {
		var whole bool
		line, rest, whole = bytes.Cut(rest, []byte("\n"))
		e, ok := parseUIDLine(string(line), v3)
		if !ok || !whole || len(l.Entries) > 0 && e.UID <= l.Entries[len(l.Entries)-1].UID {
			l.Skipped++
			continue
		}
		l.Entries = append(l.Entries, e)
		l.NextUID = max(l.NextUID, e.UID+1)
	}
	return l, nil
}

func (l *UIDList) header(line string) (v3 bool, err error) {
	version, fields, _ := strings.Cut(line, " ")
	switch version {
	case "1":
		_, err = fmt.Sscanf(fields, "%d %d", &l.UIDValidity, &l.NextUID)
	case "3":
		v3 = true
		for field := range strings.FieldsSeq(fields) {
			switch field[0] {
			case 'V':
				l.UIDValidity = parseUID(field[1:])
			case 'N':
				l.NextUID = parseUID(field[1:])
			case 'G':
				l.GUID = field[1:]
			}
		}
	default:
		err = ErrVersion
	}
	if err != nil || l.UIDValidity == 0 {
		return false, fmt.Errorf("%w: dovecot-uidlist %q", ErrVersion, truncate(line, 40))
	}
	l.NextUID = max(l.NextUID, 1)
	return v3, nil
}

func truncate(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

func parseUID(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// SavedUIDLs are the POP3 unique ids in a dovecot-uidlist, by base name: its
// fields P. An empty one is the base name itself, as Dovecot writes it where its
// pop3_uidl_format is %f, or %g and the file has no other GUID. What no client
// could have been told (RFC 1939 section 7: printable ASCII) is none.
func SavedUIDLs(data []byte) map[string]string {
	if !bytes.Contains(data, []byte(" P")) {
		return nil
	}
	l, err := ParseUIDList(data)
	if err != nil {
		return nil
	}
	saved := map[string]string{}
	for i := range l.Entries {
		for field := range strings.FieldsSeq(l.Entries[i].Extra) {
			id, ok := strings.CutPrefix(field, "P")
			if id == "" {
				id = l.Entries[i].Base
			}
			if ok && ValidUIDL(id) {
				saved[l.Entries[i].Base] = id
			}
		}
	}
	return saved
}

// GUIDs are the GUIDs in a dovecot-uidlist, by base name: its fields G. That of other
// messages is the base name itself.
func GUIDs(data []byte) map[string]string {
	if !bytes.Contains(data, []byte(" G")) {
		return nil
	}
	l, err := ParseUIDList(data)
	if err != nil {
		return nil
	}
	guids := map[string]string{}
	for i := range l.Entries {
		for field := range strings.FieldsSeq(l.Entries[i].Extra) {
			if id, ok := strings.CutPrefix(field, "G"); ok && id != "" && ValidUIDL(id) {
				guids[l.Entries[i].Base] = id
			}
		}
	}
	return guids
}

// ValidUIDL says that a POP3 client can be told id: printable ASCII (RFC 1939 section 7).
func ValidUIDL(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return id != ""
}

func parseUIDLine(line string, v3 bool) (UIDEntry, bool) {
	e := UIDEntry{Stored: -1, Wire: -1}
	head, rest, ok := strings.Cut(line, " ")
	e.UID = parseUID(head)
	if !ok || e.UID == 0 || e.UID == 1<<32-1 {
		return e, false
	}
	if !v3 {
		e.Base, _, ok = Split(rest)
		return e, ok
	}
	// Fields come before the name, which begins with a colon.
	for !strings.HasPrefix(rest, ":") {
		var field string
		field, rest, ok = strings.Cut(rest, " ")
		if !ok || field == "" {
			return e, false
		}
		n, err := strconv.ParseInt(field[1:], 10, 64)
		switch {
		case field[0] == 'S' && err == nil && n >= 0:
			e.Stored = n
		case field[0] == 'W' && err == nil && n >= 0:
			e.Wire = n
		default:
			e.Extra += field + " "
		}
	}
	e.Base, _, ok = Split(rest[1:])
	return e, ok
}

// Append writes the list as version 3.
func (l *UIDList) Append(b []byte) []byte {
	b = append(b, "3 V"...)
	b = strconv.AppendUint(b, uint64(l.UIDValidity), 10)
	b = append(b, " N"...)
	b = strconv.AppendUint(b, uint64(l.NextUID), 10)
	if l.GUID != "" {
		b = append(append(b, " G"...), l.GUID...)
	}
	b = append(b, '\n')
	for i := range l.Entries {
		b = l.Entries[i].append(b)
	}
	return b
}

func (e *UIDEntry) append(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(e.UID), 10)
	b = append(b, ' ')
	if e.Stored >= 0 {
		b = append(strconv.AppendInt(append(b, 'S'), e.Stored, 10), ' ')
	}
	if e.Wire >= 0 {
		b = append(strconv.AppendInt(append(b, 'W'), e.Wire, 10), ' ')
	}
	b = append(b, e.Extra...)
	b = append(b, ':')
	b = append(b, e.Base...)
	return append(b, '\n')
}
