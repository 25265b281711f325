package maildir

import (
	"strconv"
	"strings"
)

// Flags are the letters of a message file name as a bit set: bits 0 to 25 are
// the keywords a to z, the system flags follow.
type Flags uint32

// The system flags.
const (
	Draft Flags = 1 << (26 + iota)
	Flagged
	Passed
	Replied
	Seen
	Trashed
)

// MaxKeywords is how many keywords have a letter.
const MaxKeywords = 26

// Keywords masks the keyword bits.
const Keywords Flags = 1<<MaxKeywords - 1

const systemLetters = "DFPRST"

// ParseFlags reads letters and skips those it does not know.
func ParseFlags(letters string) Flags {
	var f Flags
	for i := range len(letters) {
		c := letters[i]
		if c >= 'a' && c <= 'z' {
			f |= 1 << (c - 'a')
		} else if k := strings.IndexByte(systemLetters, c); k >= 0 {
			f |= Draft << k
		}
	}
	return f
}

// Append adds the letters of f to b, in ASCII order.
func (f Flags) Append(b []byte) []byte {
	for k := range len(systemLetters) {
		if f&(Draft<<k) != 0 {
			b = append(b, systemLetters[k])
		}
	}
	for k := range MaxKeywords {
		if f&(1<<k) != 0 {
			b = append(b, byte('a'+k))
		}
	}
	return b
}

// FileName is the name in cur/.
func FileName(base string, f Flags) string {
	var room [96]byte
	return string(f.Append(append(append(room[:0], base...), info...)))
}

// info is what stands between the base name and the letters.
const info = ":2,"

// Usual says that what follows a base name is spelt as FileName spells it.
func Usual(rest string, f Flags) bool {
	letters, is2 := strings.CutPrefix(rest, info)
	var room [2 * MaxKeywords]byte
	return is2 && letters == string(f.Append(room[:0]))
}

// Respell is what follows a base name when the flags become f. Letters that
// we do not know stay, in their order, and so does what follows a second
// comma; a form of information other than ":2," cannot hold flags and goes, as
// Dovecot does it.
func Respell(rest string, f Flags) string {
	var room [2 * MaxKeywords]byte
	known := f.Append(room[:0])
	before, last := lastInfo(rest)
	b := append(make([]byte, 0, len(info)+len(known)+len(rest)), before...)
	b = append(b, info...)
	letters, is2 := strings.CutPrefix(last, info)
	if !is2 {
		return string(append(b, known...))
	}
	letters, more, found := strings.Cut(letters, ",")
	for i := range len(letters) {
		c := letters[i]
		if ParseFlags(letters[i:i+1]) != 0 {
			continue
		}
		for len(known) > 0 && known[0] < c {
			b, known = append(b, known[0]), known[1:]
		}
		b = append(b, c)
	}
	b = append(b, known...)
	if found {
		b = append(append(b, ','), more...)
	}
	return string(b)
}

// lastInfo cuts at the last colon: as with Dovecot, the base name ends at the
// first one, and the flags stand behind the last.
func lastInfo(rest string) (before, last string) {
	i := max(strings.LastIndexByte(rest, ':'), 0)
	return rest[:i], rest[i:]
}

// Split parses the name of a message file: its base and its flags. Names
// that begin with a dot, or hold a line feed (no list file could name them),
// are no messages: ok is false.
func Split(file string) (base string, f Flags, ok bool) {
	if file == "" || file[0] == '.' || strings.IndexByte(file, '\n') >= 0 {
		return "", 0, false
	}
	base, _, _ = strings.Cut(file, ":")
	if base == "" {
		return "", 0, false
	}
	_, last := lastInfo(file[len(base):])
	if letters, is2 := strings.CutPrefix(last, info); is2 {
		// Other programs put more fields after a second comma.
		letters, _, _ = strings.Cut(letters, ",")
		f = ParseFlags(letters)
	}
	return base, f, true
}

// Sizes reads S= and W= from a base name, -1 for what is not there.
func Sizes(base string) (stored, wire int64) {
	stored, wire = -1, -1
	_, fields, _ := strings.Cut(base, ",")
	for field := range strings.SplitSeq(fields, ",") {
		key, value, _ := strings.Cut(field, "=")
		if key != "S" && key != "W" {
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			continue
		}
		if key == "S" {
			stored = n
		} else {
			wire = n
		}
	}
	return stored, wire
}

// Seconds is the time at the start of a base name, 0 if there is none.
func Seconds(base string) int64 {
	head, _, _ := strings.Cut(base, ".")
	n, err := strconv.ParseInt(head, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// idMark begins the unique part of a delivery with an ID. Unique parts made
// elsewhere begin with a digit, M, or an upper-case letter with a number
// (cr.yp.to/proto/maildir.html); "Q" followed by an "_" at the end is ours.
const idMark = 'Q'

// IDName is the unique part for a delivery ID.
func IDName(id string) string { return string(idMark) + id + "_" }

// ID is the delivery ID in a base name, "" if it has none.
func ID(base string) string {
	_, rest, ok := strings.Cut(base, ".")
	if !ok || rest == "" || rest[0] != idMark {
		return ""
	}
	id, _, ok := strings.Cut(rest[1:], "_.")
	if !ok {
		return ""
	}
	return id
}

// BaseName puts a base name together.
func BaseName(seconds int64, unique, host string, stored, wire int64) string {
	var room [128]byte
	b := strconv.AppendInt(room[:0], seconds, 10)
	b = append(b, '.')
	b = append(b, unique...)
	b = append(b, '.')
	b = append(b, host...)
	b = strconv.AppendInt(append(b, ",S="...), stored, 10)
	b = strconv.AppendInt(append(b, ",W="...), wire, 10)
	return string(b)
}

// Host makes a host name fit for file names: "/" and ":" are written as
// \057 and \072 (cr.yp.to/proto/maildir.html), "," is ours to avoid.
func Host(name string) string {
	return strings.NewReplacer("/", `\057`, ":", `\072`, ",", `\054`).Replace(name)
}
