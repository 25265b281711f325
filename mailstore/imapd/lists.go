package imapd

import (
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

// list reads "(" items ")" with blanks between them; item reads one.
func (a *args) list(item func() error) error {
	if err := a.expect('('); err != nil {
		return err
	}
	for a.accept(' ') {
	}
	for !a.accept(')') {
		if err := item(); err != nil {
			return err
		}
		if a.peek() != ')' {
			if err := a.space(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flagList reads "(\Seen keyword ...)".
func (a *args) flagList() ([]imap.Flag, error) {
	flags := []imap.Flag{}
	err := a.list(func() error {
		f, err := a.flag()
		if err == nil {
			flags = append(flags, f)
		}
		return err
	})
	return flags, err
}

// systemFlags are those that a client may set.
func systemFlags() []imap.Flag {
	return []imap.Flag{imap.FlagAnswered, imap.FlagFlagged, imap.FlagDeleted, imap.FlagSeen, imap.FlagDraft}
}

// flag reads one flag. \Recent is none that a client can name (RFC 3501
// section 9).
func (a *args) flag() (imap.Flag, error) {
	system := a.accept('\\')
	w := string(a.word(&atomEnd))
	if w == "" {
		return "", errSyntax
	}
	if !system {
		if strings.ContainsAny(w, "]") {
			return "", bad("Invalid keyword")
		}
		return imap.Flag(w), nil
	}
	for _, f := range systemFlags() {
		if strings.EqualFold(string(f[1:]), w) {
			return f, nil
		}
	}
	return "", bad(`Invalid system flag \` + w)
}

// setEnd ends a sequence set.
var setEnd = func() (t [256]bool) {
	for c := range 256 {
		t[c] = true
	}
	for _, c := range []byte("0123456789:,*$") {
		t[c] = false
	}
	return t
}()

// saved stands for "$", the saved result of a search (RFC 5182), in a set.
var saved = imap.SeqRange{Start: 0, Stop: 1}

// set reads a sequence set. "*" is 0, as in go-imap, and a range is kept in
// the order written.
func (a *args) set() (imap.SeqSet, error) {
	if !setStart(a.peek()) {
		return nil, errSyntax
	}
	if a.accept('$') {
		return imap.SeqSet{saved}, nil
	}
	var set imap.SeqSet
	for {
		first, err := a.setNumber()
		if err != nil {
			return nil, err
		}
		r := imap.SeqRange{Start: first, Stop: first}
		if a.accept(':') {
			if r.Stop, err = a.setNumber(); err != nil {
				return nil, err
			}
		}
		// "4:2" is "2:4", and "*:4" is "4:*".
		if r.Start == 0 || (r.Stop != 0 && r.Stop < r.Start) {
			r.Start, r.Stop = r.Stop, r.Start
		}
		set = append(set, r)
		if !a.accept(',') {
			return set, nil
		}
	}
}

func setStart(c byte) bool { return c != 0 && !setEnd[c] }

func (a *args) setNumber() (uint32, error) {
	if a.accept('*') {
		return 0, nil
	}
	n, err := a.number()
	if err != nil || n == 0 {
		return 0, bad("Invalid message set")
	}
	return n, nil
}

// date reads "1-Feb-1994", quoted or not.
func (a *args) date() (time.Time, error) {
	s, err := a.astring()
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse("2-Jan-2006", s)
	if err != nil {
		return time.Time{}, bad("Invalid date")
	}
	return t, nil
}

// dateTime reads `"17-Jul-1996 02:44:25 -0700"`.
func (a *args) dateTime() (time.Time, error) {
	s, err := a.quoted()
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse("2-Jan-2006 15:04:05 -0700", strings.TrimLeft(s, " "))
	if err != nil {
		return time.Time{}, bad("Invalid date-time")
	}
	return t, nil
}
