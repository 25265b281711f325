package maildir

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// ErrName says that a mailbox name cannot be stored.
var ErrName = errors.New("maildir: mailbox name cannot be stored")

// maxFolderName leaves room below the 255 octets of a directory entry.
const maxFolderName = 240

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
// character.
func FolderDir(name string, sep rune) (string, error) {
	name = Canonical(name, sep)
	if name == Inbox {
		return "", nil
	}
	if name == "" || !utf8.ValidString(name) {
		return "", ErrName
	}
	var b strings.Builder
	for level := range strings.SplitSeq(name, string(sep)) {
		if level == "" || strings.ContainsAny(level, "./") || hasControl(level) {
			return "", ErrName
		}
		code, err := EncodeUTF7(level)
		if err != nil {
			return "", ErrName
		}
		b.WriteByte('.')
		b.WriteString(code)
	}
	if b.Len() > maxFolderName || strings.Contains(b.String(), "/") {
		return "", ErrName
	}
	return b.String(), nil
}

func hasControl(s string) bool {
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return true
		}
	}
	return false
}

// FolderName is the mailbox name of a folder ".A.B"; ok is false for what is
// no mailbox: ".", "..", hidden files, invalid UTF-7, names with the
// separator in a level.
func FolderName(dir string, sep rune) (name string, ok bool) {
	rest, dotted := strings.CutPrefix(dir, ".")
	if !dotted || rest == "" {
		return "", false
	}
	levels := strings.Split(rest, ".")
	for i, level := range levels {
		plain, err := DecodeUTF7(level)
		if err != nil || plain == "" || strings.ContainsRune(plain, sep) {
			return "", false
		}
		levels[i] = plain
	}
	name = strings.Join(levels, string(sep))
	back, err := FolderDir(name, sep)
	return name, err == nil && back == dir
}
