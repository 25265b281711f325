package imapd

import (
	"github.com/emersion/go-imap/v2"

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
	s       *session
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

// descend goes one level deeper into parentheses, NOT or OR.
func (p *searchParser) descend() error {
	if p.depth++; p.depth > p.s.srv.config.MaxSearchDepth {
		return errDepth
	}
	return nil
}

// searchRequest reads the arguments of SEARCH.
func (s *session) searchRequest(a *args) (*searchRequest, error) {
	q := &searchRequest{}
	p := &searchParser{args: a, s: s}
	if err := a.space(); err != nil {
		return nil, err
	}
	if a.acceptWord("RETURN") {
		if err := a.searchReturn(q); err != nil {
			return nil, err
		}
	}
	if a.acceptWord("CHARSET") {
		if err := p.readCharset(); err != nil {
			return nil, err
		}
	}
	var err error
	if q.key, err = p.keys(false); err != nil {
		return nil, err
	}
	return q, a.end()
}

// acceptWord passes a word and the blank behind it, if it is next.
func (a *args) acceptWord(word string) bool {
	rest := a.line[a.i:]
	if len(rest) <= len(word) || rest[len(word)] != ' ' || !equalFold(rest[:len(word)], word) {
		return false
	}
	a.i += len(word) + 1
	return true
}

// searchReturn reads "(MIN MAX ALL COUNT SAVE) " (RFC 4731, RFC 5182).
func (a *args) searchReturn(q *searchRequest) error {
	q.extended = true
	any := false
	err := a.list(func() error {
		w, err := a.atom()
		any = true
		switch {
		case err != nil:
			return err
		case w == "MIN":
			q.ReturnMin = true
		case w == "MAX":
			q.ReturnMax = true
		case w == "ALL":
			q.ReturnAll = true
		case w == "COUNT":
			q.ReturnCount = true
		case w == "SAVE":
			q.ReturnSave = true
		default:
			return bad("Unknown return option " + w)
		}
		return nil
	})
	if err != nil {
		return err
	}
	q.ReturnAll = q.ReturnAll || !any
	return a.space()
}

func (p *searchParser) readCharset() error {
	name, err := p.astring()
	if err != nil {
		return err
	}
	if p.charset = name; !text.KnownCharset(name) {
		return no("BADCHARSET (US-ASCII UTF-8)", "Unknown charset")
	}
	return p.space()
}

// keys reads keys, all of which must match, to the end or to ")".
func (p *searchParser) keys(inside bool) (*search.Key, error) {
	if err := p.descend(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	var all []*search.Key
	for {
		k, err := p.key()
		if err != nil {
			return nil, err
		}
		all = append(all, k)
		if inside && p.accept(')') {
			break
		}
		if !inside && p.i >= len(p.line) {
			break
		}
		if err := p.space(); err != nil {
			return nil, err
		}
		if !inside && p.i >= len(p.line) {
			break // a blank at the end
		}
	}
	return search.And(all...), nil
}

// key reads one key.
func (p *searchParser) key() (*search.Key, error) {
	if p.keyed++; p.keyed > p.s.srv.config.MaxSearchKeys {
		return nil, errKeys
	}
	switch c := p.peek(); {
	case c == '(':
		p.i++
		return p.keys(true)
	case setStart(c):
		return p.setKey(false)
	}
	name, err := p.atom()
	if err != nil {
		return nil, err
	}
	read, ok := p.s.srv.keys[name]
	if !ok {
		return nil, bad("Unknown search key " + name)
	}
	return read(p)
}

func (p *searchParser) setKey(uid bool) (*search.Key, error) {
	set, err := p.set()
	if err != nil {
		return nil, err
	}
	last := uint32(p.s.view.Len())
	k := &search.Key{Kind: search.InSet}
	if len(set) == 1 && set[0] == saved {
		if !p.hasSaved {
			p.saved, p.hasSaved = p.s.savedRanges(), true
		}
		k.Set = p.saved
		return k, nil
	}
	for _, r := range set {
		out, _ := p.s.resolveRange(r, last, uid)
		out.Last = min(out.Last, last) // what is not there does not match
		if out.First != 0 && out.First <= out.Last {
			k.Set = append(k.Set, out)
		}
	}
	k.Set = merge(k.Set)
	return k, nil
}

// text reads the string of a key, in UTF-8. Without CHARSET it is that, which has
// all of US-ASCII. Text that is none of the charset is BAD: it could match nothing,
// and nobody would know why.
func (p *searchParser) text() (string, error) {
	if err := p.space(); err != nil {
		return "", err
	}
	s, err := p.astring()
	if err != nil {
		return "", err
	}
	s, ok := text.ToUTF8(p.charset, s)
	if !ok {
		return "", errText
	}
	return s, nil
}

// day reads a date as a number that compares like a date.
func (p *searchParser) day() (int64, error) {
	if err := p.space(); err != nil {
		return 0, err
	}
	t, err := p.date()
	return search.DayOf(t), err
}
