package maildir

import (
	"errors"
	"strings"
	"unicode/utf8"

	"toastmaster/internal/utf7"
)

// ErrName says that a mailbox name cannot be stored.
var ErrName = errors.New("maildir: mailbox name cannot be stored")

// maxFolderName is the longest name of a directory entry; maxNewFolder leaves
// room below it.
const (
	maxFolderName = 255
	maxNewFolder  = 240
)

// Inbox is the name of the mailbox that is the Maildir itself.
const Inbox = "INBOX"

// Canonical gives INBOX its spelling: the whole name or the first level.
func Canonical(name string, sep rune) string {
	first, rest, more := strings.Cut(name, string(sep))
	if !strings.EqualFold(first, Inbox) {
		return name
	}
	if !more {
		return Inbox
	}
	return Inbox + string(sep) + rest
}

// FolderDir is the folder of a mailbox below the Maildir: "" for INBOX,
// ".A.B" for "A/B". A level may be neither empty nor hold the separator of
// the disk (".", Maildir++ has no way to write it), "/", or a control
// character. It is the inverse of FolderName for the folders that have no
// usable name, too.
func FolderDir(name string, sep rune) (string, error) {
	name = Canonical(name, sep)
	if name == Inbox {
		return "", nil
	}
	if name == "" || !utf8.ValidString(name) {
		return "", ErrName
	}
	var b strings.Builder
	broken := false
	for level := range strings.SplitSeq(name, string(sep)) {
		code, escaped, err := encodeLevel(level)
		if err != nil {
			return "", err
		}
		broken = broken || escaped
		b.WriteByte('.')
		b.WriteString(code)
	}
	dir := b.String()
	if len(dir) > maxFolderName || strings.ContainsAny(dir, "/\x00") || dir == "." || dir == ".." {
		return "", ErrName
	}
	// Each folder has one name, else two names were one mailbox.
	if broken && folderName(dir, sep) != name {
		return "", ErrName
	}
	return dir, nil
}

// NewFolderDir is FolderDir for a mailbox that is to be made: its name must be
// one that every program can read.
func NewFolderDir(name string, sep rune) (string, error) {
	dir, err := FolderDir(name, sep)
	if err != nil {
		return "", err
	}
	if len(dir) > maxNewFolder {
		return "", ErrName
	}
	for level := range strings.SplitSeq(name, string(sep)) {
		if isEscaped(level) {
			return "", ErrName
		}
	}
	return dir, nil
}

// encodeLevel writes one level; escaped says that it came from escapeLevel.
func encodeLevel(level string) (code string, escaped bool, err error) {
	if isEscaped(level) {
		code, err := unescapeLevel(level)
		return code, true, err
	}
	if level == "" || strings.ContainsAny(level, "./") || hasControl(level) {
		return "", false, ErrName
	}
	code, ok := utf7.Encode(level)
	if !ok {
		return "", false, ErrName
	}
	return code, false, nil
}

func hasControl(s string) bool {
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return true
		}
	}
	return false
}

// FolderName is the mailbox name of a folder ".A.B". A level that is no valid
// modified UTF-7, or no possible name, is shown with the mark for octets that
// cannot be shown; FolderDir finds the folder by it. ok is false for what is no
// folder: ".", "..", and names without a dot.
func FolderName(dir string, sep rune) (name string, ok bool) {
	if len(dir) < 2 || dir[0] != '.' || dir == ".." || len(dir) > maxFolderName || strings.ContainsAny(dir, "/\x00") {
		return "", false
	}
	name = folderName(dir, sep)
	back, err := FolderDir(name, sep)
	return name, err == nil && back == dir
}

func folderName(dir string, sep rune) string {
	levels := strings.Split(dir[1:], ".")
	for i, level := range levels {
		plain, ok := utf7.Decode(level)
		if !ok || plain == "" || isEscaped(plain) || hasControl(plain) || strings.ContainsRune(plain, sep) || strings.ContainsAny(plain, "./") {
			plain = escapeLevel(level)
		}
		levels[i] = plain
	}
	// Another spelling of INBOX, or a folder below the Maildir of that name.
	if first := levels[0]; strings.EqualFold(first, Inbox) && (len(levels) == 1 || first != Inbox) {
		levels[0] = escapeOctet(first[0]) + first[1:]
	}
	return strings.Join(levels, string(sep))
}

// The mark stands before two hex digits, an octet of the folder's name that
// cannot be shown as it is, or alone for an empty level. It is the character
// that stands for what is unknown, so no other name has it, as a rule; one that
// does is written in this form, too.
const mark = "\uFFFD"

// isEscaped says that a level is, or looks as if it were, in that form.
func isEscaped(level string) bool {
	if level == mark {
		return true
	}
	for {
		_, rest, found := strings.Cut(level, mark)
		if !found {
			return false
		}
		if len(rest) >= 2 && isHex(rest[0]) && isHex(rest[1]) {
			return true
		}
		level = rest
	}
}

const hexDigits = "0123456789ABCDEF"

func isHex(c byte) bool { return strings.IndexByte(hexDigits, c) >= 0 }

func escapeOctet(c byte) string { return mark + string([]byte{hexDigits[c>>4], hexDigits[c&15]}) }

// escapeLevel shows what is no valid modified UTF-7.
func escapeLevel(code string) string {
	if code == "" {
		return mark
	}
	var b strings.Builder
	for i := range len(code) {
		if c := code[i]; c >= ' ' && c < 0x7f && c != '&' && c != '/' {
			b.WriteByte(c)
		} else {
			b.WriteString(escapeOctet(c))
		}
	}
	return b.String()
}

func unescapeLevel(level string) (string, error) {
	if level == mark {
		return "", nil
	}
	var b strings.Builder
	for level != "" {
		rest, marked := strings.CutPrefix(level, mark)
		switch {
		case marked && len(rest) >= 2 && isHex(rest[0]) && isHex(rest[1]):
			b.WriteByte(byte(strings.IndexByte(hexDigits, rest[0])<<4 | strings.IndexByte(hexDigits, rest[1])))
			level = rest[2:]
		case level[0] >= ' ' && level[0] < 0x7f:
			b.WriteByte(level[0])
			level = level[1:]
		default:
			return "", ErrName
		}
	}
	if strings.Contains(b.String(), ".") {
		return "", ErrName
	}
	return b.String(), nil
}
