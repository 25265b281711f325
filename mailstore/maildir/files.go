package maildir

import (
	"bytes"
	"strconv"
	"strings"
)

// ParseKeywords reads dovecot-keywords: "index name" lines. The result has
// the name of keyword letter 'a'+i at index i, "" for a gap.
func ParseKeywords(data []byte) []string {
	var names []string
	for line := range strings.Lines(string(data)) {
		number, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		i, err := strconv.Atoi(number)
		if !ok || err != nil || i < 0 || i >= MaxKeywords || !ValidKeyword(name) {
			continue
		}
		for len(names) <= i {
			names = append(names, "")
		}
		names[i] = name
	}
	return names
}

// AppendKeywords writes dovecot-keywords.
func AppendKeywords(b []byte, names []string) []byte {
	for i, name := range names {
		if name == "" {
			continue
		}
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, ' ')
		b = append(b, name...)
		b = append(b, '\n')
	}
	return b
}

// MaxKeyword is the longest name of a keyword, in octets.
const MaxKeyword = 255

// ValidKeyword says that s is an atom (RFC 3501 flag-keyword), and not too long.
func ValidKeyword(s string) bool {
	if s == "" || len(s) > MaxKeyword {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`(){%*"\]`, s[i]) >= 0 {
			return false
		}
	}
	return true
}

const subscriptionsV2 = "V\t2\n"

// ParseSubscriptions reads subscriptions in either of Dovecot's forms.
// Version 2 has the levels of a name apart by tabs; the old form has one name
// a line with the separator of the disk, ".". Names that cannot be mailboxes
// are skipped.
func ParseSubscriptions(data []byte, sep rune) []string {
	text, v2 := strings.CutPrefix(string(data), subscriptionsV2)
	var names []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if v2 {
			line = strings.ReplaceAll(line, "\t", ".")
		}
		if line == Inbox {
			names = append(names, Inbox)
			continue
		}
		if strings.HasPrefix(line, ".") || hasControl(line) {
			continue
		}
		if name, ok := FolderName("."+line, sep); ok {
			names = append(names, name)
		}
	}
	return names
}

// AppendSubscriptions writes version 2.
func AppendSubscriptions(b []byte, names []string, sep rune) []byte {
	b = append(b, subscriptionsV2+"\n"...)
	for _, name := range names {
		dir, err := FolderDir(name, sep)
		switch {
		case err != nil || hasControl(dir) || strings.HasPrefix(dir, ".."):
			continue
		case dir == "":
			b = append(b, Inbox...)
		default:
			b = append(b, strings.ReplaceAll(dir[1:], ".", "\t")...)
		}
		b = append(b, '\n')
	}
	return b
}

// DirSize is the content of maildirsize: limits (0 is unlimited) and sums.
type DirSize struct {
	QuotaBytes, QuotaMessages int64
	Bytes, Messages           int64
}

// MaxDirSize is the length in octets above which maildirsize is to be
// computed anew (Maildir++ specification).
const MaxDirSize = 5120

// ParseDirSize reads maildirsize; ok is false when it must be computed anew.
func ParseDirSize(data []byte) (d DirSize, ok bool) {
	line, rest, ok := bytes.Cut(data, []byte("\n"))
	if !ok {
		return d, false
	}
	for field := range strings.SplitSeq(string(line), ",") {
		if field == "" {
			continue
		}
		n, err := strconv.ParseInt(field[:len(field)-1], 10, 64)
		if err != nil || n < 0 {
			return d, false
		}
		switch field[len(field)-1] {
		case 'S':
			d.QuotaBytes = n
		case 'C':
			d.QuotaMessages = n
		}
	}
	for len(rest) > 0 {
		line, rest, ok = bytes.Cut(rest, []byte("\n"))
		fields := strings.Fields(string(line))
		if !ok || len(fields) != 2 {
			return d, false
		}
		size, err1 := strconv.ParseInt(fields[0], 10, 64)
		count, err2 := strconv.ParseInt(fields[1], 10, 64)
		if err1 != nil || err2 != nil {
			return d, false
		}
		d.Bytes += size
		d.Messages += count
	}
	return d, d.Bytes >= 0 && d.Messages >= 0
}

// Append writes a fresh maildirsize.
func (d DirSize) Append(b []byte) []byte {
	if d.QuotaBytes > 0 {
		b = append(strconv.AppendInt(b, d.QuotaBytes, 10), 'S')
	}
	if d.QuotaMessages > 0 {
		if d.QuotaBytes > 0 {
			b = append(b, ',')
		}
		b = append(strconv.AppendInt(b, d.QuotaMessages, 10), 'C')
	}
	b = append(b, '\n')
	return AppendDirSizeLine(b, d.Bytes, d.Messages)
}

// AppendDirSizeLine writes one change.
func AppendDirSizeLine(b []byte, size, count int64) []byte {
	b = append(strconv.AppendInt(b, size, 10), ' ')
	return append(strconv.AppendInt(b, count, 10), '\n')
}
