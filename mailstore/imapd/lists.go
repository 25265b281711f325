package imapd

import (
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore"
)

// runList reads "(" items ")" with blanks between them; item reads one.
func (a *args) list(item func()) {
	a.expect('(')
	for a.accept(' ') {
	}
	for a.err == nil && !a.accept(')') {
		if item(); a.peek() != ')' {
			a.space()
		}
	}
}

// flagList reads "(\Seen keyword ...)".
func (a *args) flagList() []imap.Flag {
	flags := []imap.Flag{}
	a.list(func() { flags = append(flags, a.flag()) })
	return flags
}

// systemFlags are those that a client may set.
var systemFlags = []imap.Flag{imap.FlagAnswered, imap.FlagFlagged, imap.FlagDeleted, imap.FlagSeen, imap.FlagDraft}

// flag reads one flag. \Recent is none that a client can name (RFC 3501
// section 9). What the store would not keep is refused: a client that hears OK
// believes that its keyword is there.
func (a *args) flag() imap.Flag {
	system := a.accept('\\')
	w := string(a.word(&atomEnd))
	switch {
	case w == "":
		a.fail(errSyntax)
	case system:
		for _, f := range systemFlags {
			if strings.EqualFold(string(f[1:]), w) {
				return f
			}
		}
		a.fail(bad(`Invalid system flag \` + w))
	case len(w) > mailstore.MaxKeyword:
		a.fail(no("LIMIT", "Keyword is too long"))
	case !mailstore.ValidKeyword(w):
		a.fail(bad("Invalid keyword"))
	}
	return imap.Flag(w)
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
func (a *args) set() imap.SeqSet {
	if !setStart(a.peek()) {
		a.fail(errSyntax)
		return nil
	}
	if a.accept('$') {
		return imap.SeqSet{saved}
	}
	var set imap.SeqSet
	for {
		first := a.setNumber()
		r := imap.SeqRange{Start: first, Stop: first}
		if a.accept(':') {
			r.Stop = a.setNumber()
		}
		// "4:2" is "2:4", and "*:4" is "4:*".
		if r.Start == 0 || (r.Stop != 0 && r.Stop < r.Start) {
			r.Start, r.Stop = r.Stop, r.Start
		}
		set = append(set, r)
		if !a.accept(',') {
			return set
		}
	}
}

func setStart(c byte) bool { return c != 0 && !setEnd[c] }

func (a *args) setNumber() uint32 {
	if a.accept('*') {
		return 0
	}
	n, ok := a.digits()
	if !ok || n == 0 || n > 1<<32-1 {
		a.fail(bad("Invalid message set"))
	}
	return uint32(n)
}

// date reads "1-Feb-1994", quoted or not.
func (a *args) date() time.Time {
	t, err := time.Parse("2-Jan-2006", a.astring())
	if err != nil {
		a.fail(bad("Invalid date"))
	}
	return t
}

// dateTime reads `"17-Jul-1996 02:44:25 -0700"`.
func (a *args) dateTime() time.Time {
	t, err := time.Parse("2-Jan-2006 15:04:05 -0700", strings.TrimLeft(a.quoted(), " "))
	if err != nil {
		a.fail(bad("Invalid date-time"))
	}
	return t
}
