package imapd

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-imap/v2"
	"golang.org/x/text/encoding/htmlindex"
)

// keyKind is a kind of search key.
type keyKind uint8

// The kinds, in the order of what they cost; an AND tries them in that order.
const (
	keyAll keyKind = iota
	keySet
	keyFlag
	keyRecent
	keyDate
	keySize
	keyAge
	keyAnd
	keyOr
	keySent
	keyEnvelope
	keyHeader
	keyBody
	keyText
)

// key is a node of a search (RFC 3501 section 6.4.4). It is not go-imap's
// SearchCriteria: that cannot say LARGER 0, nor keep the order of keys.
type key struct {
	kind   keyKind
	not    bool
	ranges []seqRange // keySet
	flag   imap.Flag
	// low and high bound a day, a size, an age in seconds; both included.
	low, high int64
	field     string        // keyHeader
	element   envelopeField // keyEnvelope
	needle    []byte        // folded
	kids      []*key
}

// searchRequest is a whole SEARCH.
type searchRequest struct {
	imap.SearchOptions
	extended bool // RETURN was given
	key      *key
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

// The charsets that htmlindex knows otherwise: its us-ascii is windows-1252.
const (
	utf8Name  = "utf-8"
	asciiName = "us-ascii"
)

func (p *searchParser) readCharset() error {
	name, err := p.astring()
	if err != nil {
		return err
	}
	p.charset = strings.ToLower(name)
	if p.charset != utf8Name && p.charset != asciiName {
		if _, err := htmlindex.Get(p.charset); err != nil {
			return no("BADCHARSET (US-ASCII UTF-8)", "Unknown charset")
		}
	}
	return p.space()
}

// keys reads keys, all of which must match, to the end or to ")".
func (p *searchParser) keys(inside bool) (*key, error) {
	if err := p.descend(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	and := &key{kind: keyAnd}
	for {
		k, err := p.key()
		if err != nil {
			return nil, err
		}
		and.kids = append(and.kids, k)
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
	if len(and.kids) == 1 {
		return and.kids[0], nil
	}
	and.sort()
	return and, nil
}

// key reads one key.
func (p *searchParser) key() (*key, error) {
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

func (p *searchParser) setKey(uid bool) (*key, error) {
	set, err := p.set()
	if err != nil {
		return nil, err
	}
	last := uint32(p.s.view.Len())
	k := &key{kind: keySet}
	if len(set) == 1 && set[0] == saved {
		if !p.hasSaved {
			p.saved, p.hasSaved = p.s.savedRanges(), true
		}
		k.ranges = p.saved
		return k, nil
	}
	for _, r := range set {
		out, _ := p.s.resolveRange(r, last, uid)
		out.last = min(out.last, last) // what is not there does not match
		if out.first != 0 && out.first <= out.last {
			k.ranges = append(k.ranges, out)
		}
	}
	k.ranges = merge(k.ranges)
	return k, nil
}

// text reads the string of a key, in UTF-8 and folded. Without CHARSET it is in
// UTF-8, too, which has all of US-ASCII.
func (p *searchParser) text() ([]byte, error) {
	if err := p.space(); err != nil {
		return nil, err
	}
	s, err := p.astring()
	if err != nil {
		return nil, err
	}
	if s, err = p.decode(s); err != nil {
		return nil, err
	}
	return foldText(nil, []byte(s)), nil
}

// decode turns text of the charset given into UTF-8. Text that is none of the
// charset is BAD: it could match nothing, and nobody would know why.
func (p *searchParser) decode(s string) (string, error) {
	switch p.charset {
	case "", utf8Name:
		if !utf8.ValidString(s) {
			return "", errText
		}
		return s, nil
	case asciiName:
		if strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
			return "", errText
		}
		return s, nil
	}
	e, err := htmlindex.Get(p.charset)
	if err != nil {
		return "", err
	}
	// The decoders write U+FFFD for what they cannot read.
	if s, err = e.NewDecoder().String(s); err != nil || strings.ContainsRune(s, utf8.RuneError) {
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
	return dayOf(t), err
}

func dayOf(t time.Time) int64 {
	y, m, d := t.Date()
	return int64(y)*10000 + int64(m)*100 + int64(d)
}
