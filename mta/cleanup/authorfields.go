package cleanup

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"strings"
	"unicode"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/unicode/norm"

	"toastmaster/internal/addr"
	"toastmaster/internal/header"
)

// authorField is a field that says who a message is from.
type authorField struct {
	name  string // in lower case
	value string // unfolded
}

// shown is the name as people write it.
func (f authorField) shown() string {
	words := strings.Split(f.name, "-")
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "-")
}

// maxAuthorField bounds a field, in octets; RFC 5322 allows 998 in a line. It is no
// parameter: a field with more is refused; fifty addresses have less.
const maxAuthorField = 16 << 10

var errAuthorTooLong = errors.New("author field too long")

// authorFields finds the author fields of a header. It sees what any reader
// might: a bare CR ends a line, control characters in a name do not count, and
// only an empty line ends the header, whatever stands before it.
type authorFields struct {
	kept  []byte // of a part whose end has not come yet
	cut   bool   // more came than is kept
	found []authorField
	in    bool // the last field is an author's, and goes on
	err   error
}

// line takes in a line of the header.
func (f *authorFields) line(l *header.Line) {
	text := bytes.TrimSuffix(l.Text, []byte("\n"))
	for f.err == nil {
		part, rest, more := bytes.Cut(text, []byte("\r"))
		if !more && l.Cut {
			f.keep(part)
			return
		}
		if len(f.kept) > 0 || f.cut || len(part) > maxAuthorField {
			f.keep(part)
			part = f.kept
		}
		f.part(part, f.cut)
		if f.kept, f.cut = f.kept[:0], false; !more {
			return
		}
		text = rest
	}
}

// keep adds to a part of which more may come. Beyond what a field may have, the
// name is all that matters.
func (f *authorFields) keep(part []byte) {
	room := maxAuthorField + 1 - len(f.kept)
	f.cut = f.cut || len(part) > room
	f.kept = append(f.kept, part[:min(len(part), room)]...)
}

// part takes in what some reader takes for a line; cut: it goes on.
func (f *authorFields) part(line []byte, cut bool) {
	if len(line) == 0 {
		return
	}
	if line[0] == ' ' || line[0] == '\t' {
		if f.in {
			f.extend(string(line), cut)
		}
		return
	}
	// A long line may have its colon behind what was kept of it: a name and
	// thousands of blanks is a name all the same.
	name, value, ok := bytes.Cut(line, []byte(":"))
	author := authorName(name)
	if f.in = (ok || cut) && author != ""; f.in {
		f.found = append(f.found, authorField{name: author})
		f.extend(string(value), cut)
	}
}

// extend adds to the field; cut: it goes on, and nobody has seen how.
func (f *authorFields) extend(text string, cut bool) {
	last := &f.found[len(f.found)-1]
	if last.value += text; cut || len(last.value) > maxAuthorField || len(f.found) > maxAuthors {
		f.err = errAuthorTooLong
	}
}

// authorName is the name of a field that names an author, in lower case and without
// what no name has; "" of every other.
func authorName(name []byte) string {
	var plain [len("resent-sender")]byte
	n := 0
	for _, b := range name {
		if b <= ' ' || b >= 0x7f {
			continue
		}
		if n == len(plain) {
			return ""
		}
		if b >= 'A' && b <= 'Z' {
			b += 'a' - 'A'
		}
		plain[n] = b
		n++
	}
	switch string(plain[:n]) {
	case "from":
		return "from"
	case "sender":
		return "sender"
	case "resent-from":
		return "resent-from"
	case "resent-sender":
		return "resent-sender"
	}
	return ""
}

// wordDecoder reads encoded words in every charset that a mail program knows; one
// that nobody knows shows its octets.
func wordDecoder() *mime.WordDecoder {
	return &mime.WordDecoder{CharsetReader: func(charset string, in io.Reader) (io.Reader, error) {
		e, err := htmlindex.Get(charset)
		if err != nil {
			return in, nil
		}
		return e.NewDecoder().Reader(in), nil
	}}
}

// shownAddresses finds what looks like an address in a field's text, as it is and
// with its encoded words decoded, with the backslashes of quoted pairs and without:
// what a mail program shows beside, or instead of, the address itself. Each is there
// once; of more than maxAuthors it finds one more than that.
func shownAddresses(value string) []addr.Address {
	decoded := decodeWords(value)
	var out []addr.Address
	seen := map[addr.Address]bool{}
	for _, text := range []string{value, decoded, unescape(value), unescape(decoded)} {
		text = plain(text)
		for i := range len(text) {
			if text[i] != '@' {
				continue
			}
			a, ok := around(text, i)
			if !ok || seen[a.Fold()] {
				continue
			}
			seen[a.Fold()] = true
			if out = append(out, a); len(out) > maxAuthors {
				return out
			}
		}
	}
	return out
}

// unescape leaves of quoted pairs what they stand for.
func unescape(text string) string { return strings.ReplaceAll(text, `\`, "") }

// plain is text as people read it: compatible forms are one (a full-width @ is
// an @), and what nobody sees is not there.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || r < ' ' && r != '\t' || r == 0x7f ||
			unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			return -1
		}
		return r
	}, norm.NFKC.String(strings.ToValidUTF8(text, "")))
}

// around reads the address whose @ is at i.
func around(text string, i int) (addr.Address, bool) {
	local, domain := text[:i], text[i+1:]
	outside := func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`"'<>(),;:[]\|@`, r) }
	if at := strings.LastIndexFunc(local, outside); at >= 0 {
		local = local[at+1:]
	}
	if end := strings.IndexFunc(domain, func(r rune) bool {
		return r != '.' && r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	}); end >= 0 {
		domain = domain[:end]
	}
	a, err := addr.Parse(strings.Trim(local, ".") + "@" + strings.Trim(domain, ".-_"))
	return a, err == nil
}
