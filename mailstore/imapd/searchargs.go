package imapd

import (
	"github.com/emersion/go-imap/v2"

	"toastmaster/configs"
	"toastmaster/internal/mime/text"
	"toastmaster/mailstore/search"
)

// searchRequest is a whole SEARCH.
type searchRequest struct {
	imap.SearchOptions
	extended bool // RETURN was given
	key      *search.Key
}

const forever = int64(1) << 62

// searchParser reads the keys; sets are resolved at once.
type searchParser struct {
	*args
	box     *mailbox
	limits  *configs.IMAPD
	table   map[string]keyReader
	charset string
	depth   int
	keyed   int // keys read
	// saved are the messages of "$", once it was met.
	saved    []seqRange
	hasSaved bool
}

var (
	errDepth = bad("Search is nested too deeply")
	errKeys  = no("LIMIT", "Too many search keys")
	errText  = bad("Text of a search key is not valid in its charset")
)

// descend goes one level deeper into parentheses, NOT or OR, and back with its
// result.
func (p *searchParser) descend() (ascend func()) {
	if p.depth++; p.depth > p.limits.MaxSearchDepth {
		p.fail(errDepth)
	}
	return func() { p.depth-- }
}

// readSearch reads the arguments of SEARCH.
func readSearch(s *session, a *args) (*searchRequest, error) {
	q := &searchRequest{}
	p := &searchParser{args: a, box: s.box, limits: &s.srv.config, table: s.srv.keys}
	a.space()
	if a.acceptWord("RETURN") {
		a.searchReturn(q)
	}
	if a.acceptWord("CHARSET") {
		p.readCharset()
	}
	q.key = p.keys(false)
	return q, a.end()
}

// acceptWord passes a word and the blank behind it, if it is next.
func (a *args) acceptWord(word string) bool {
	rest := a.rest()
	if len(rest) <= len(word) || rest[len(word)] != ' ' || !equalFold(rest[:len(word)], word) {
		return false
	}
	a.i += len(word) + 1
	return true
}

// searchReturn reads "(MIN MAX ALL COUNT SAVE) " (RFC 4731, RFC 5182).
func (a *args) searchReturn(q *searchRequest) {
	q.extended = true
	none := true
	a.list(func() {
		w := a.atom()
		none = false
		for _, o := range returnOptions {
			if o.name == w {
				o.set(&q.SearchOptions)
				return
			}
		}
		a.fail(bad("Unknown return option " + w))
	})
	q.ReturnAll = q.ReturnAll || none
	a.space()
}

func (p *searchParser) readCharset() {
	if p.charset = p.astring(); !text.KnownCharset(p.charset) {
		p.fail(no("BADCHARSET (US-ASCII UTF-8)", "Unknown charset"))
	}
	p.space()
}

// keys reads keys, all of which must match, to the end or to ")".
func (p *searchParser) keys(inside bool) *search.Key {
	defer p.descend()()
	var all []*search.Key
	for p.err == nil {
		all = append(all, p.key())
		if inside && p.accept(')') || !inside && len(p.rest()) == 0 {
			break
		}
		p.space()
		if !inside && len(p.rest()) == 0 {
			break // a blank at the end
		}
	}
	return search.And(all...)
}

// key reads one key. After an error it is one that matches everything.
func (p *searchParser) key() *search.Key {
	if p.keyed++; p.keyed > p.limits.MaxSearchKeys {
		p.fail(errKeys)
	}
	switch c := p.peek(); {
	case c == '(':
		p.i++
		return p.keys(true)
	case setStart(c):
		return p.setKey(false)
	}
	name := p.atom()
	read, ok := p.table[name]
	if !ok {
		p.fail(bad("Unknown search key " + name))
		return &search.Key{}
	}
	return read(p)
}

func (p *searchParser) setKey(uid bool) *search.Key {
	set := p.set()
	last := uint32(p.box.view.Len())
	k := &search.Key{Kind: search.InSet}
	if len(set) == 1 && set[0] == saved {
		if !p.hasSaved {
			p.saved, p.hasSaved = p.box.savedRanges(), true
		}
		k.Set = p.saved
		return k
	}
	for _, r := range set {
		out, _ := p.box.resolveRange(r, last, uid)
		out.Last = min(out.Last, last) // what is not there does not match
		if out.First != 0 && out.First <= out.Last {
			k.Set = append(k.Set, out)
		}
	}
	k.Set = merge(k.Set)
	return k
}

// text reads the string of a key, in UTF-8. Without CHARSET it is that, which has
// all of US-ASCII. Text that is none of the charset is BAD: it could match nothing,
// and nobody would know why.
func (p *searchParser) text() string {
	p.space()
	s, ok := text.ToUTF8(p.charset, p.astring())
	if !ok {
		p.fail(errText)
	}
	return s
}

// day reads a date as a number that compares like a date.
func (p *searchParser) day() int64 {
	p.space()
	return search.DayOf(p.date())
}

// returnOption is a row of the options of RETURN.
type returnOption struct {
	name string
	caps []capability
	set  func(*imap.SearchOptions)
}

var returnOptions = []returnOption{
	{"MIN", has("ESEARCH"), func(o *imap.SearchOptions) { o.ReturnMin = true }},
	{"MAX", nil, func(o *imap.SearchOptions) { o.ReturnMax = true }},
	{"ALL", nil, func(o *imap.SearchOptions) { o.ReturnAll = true }},
	{"COUNT", nil, func(o *imap.SearchOptions) { o.ReturnCount = true }},
	{"SAVE", has("SEARCHRES"), func(o *imap.SearchOptions) { o.ReturnSave = true }},
}
