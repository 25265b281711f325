package imapd

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// keyReader reads the arguments of a search key whose name was read.
type keyReader func(*searchParser) (*key, error)

// searchKeys is the table of search keys: RFC 3501 section 6.4.4, and WITHIN
// (RFC 5032).
func searchKeys() map[string]keyReader {
	return map[string]keyReader{
		"ALL":        constant(key{kind: keyAll}),
		"ANSWERED":   constant(key{kind: keyFlag, flag: imap.FlagAnswered}),
		"DELETED":    constant(key{kind: keyFlag, flag: imap.FlagDeleted}),
		"DRAFT":      constant(key{kind: keyFlag, flag: imap.FlagDraft}),
		"FLAGGED":    constant(key{kind: keyFlag, flag: imap.FlagFlagged}),
		"SEEN":       constant(key{kind: keyFlag, flag: imap.FlagSeen}),
		"UNANSWERED": constant(key{kind: keyFlag, flag: imap.FlagAnswered, not: true}),
		"UNDELETED":  constant(key{kind: keyFlag, flag: imap.FlagDeleted, not: true}),
		"UNDRAFT":    constant(key{kind: keyFlag, flag: imap.FlagDraft, not: true}),
		"UNFLAGGED":  constant(key{kind: keyFlag, flag: imap.FlagFlagged, not: true}),
		"UNSEEN":     constant(key{kind: keyFlag, flag: imap.FlagSeen, not: true}),
		"RECENT":     constant(key{kind: keyRecent}),
		"OLD":        constant(key{kind: keyRecent, not: true}),
		"NEW": constant(key{kind: keyAnd, kids: []*key{
			{kind: keyRecent}, {kind: keyFlag, flag: imap.FlagSeen, not: true},
		}}),
		"KEYWORD":    keyword(false),
		"UNKEYWORD":  keyword(true),
		"BEFORE":     days(keyDate, func(d int64) (int64, int64) { return 0, d - 1 }),
		"ON":         days(keyDate, func(d int64) (int64, int64) { return d, d }),
		"SINCE":      days(keyDate, func(d int64) (int64, int64) { return d, forever }),
		"SENTBEFORE": days(keySent, func(d int64) (int64, int64) { return 0, d - 1 }),
		"SENTON":     days(keySent, func(d int64) (int64, int64) { return d, d }),
		"SENTSINCE":  days(keySent, func(d int64) (int64, int64) { return d, forever }),
		"LARGER":     numbers(keySize, func(n int64) (int64, int64) { return n + 1, forever }),
		"SMALLER":    numbers(keySize, func(n int64) (int64, int64) { return 0, n - 1 }),
		"OLDER":      numbers(keyAge, func(n int64) (int64, int64) { return n, forever }),
		"YOUNGER":    numbers(keyAge, func(n int64) (int64, int64) { return -forever, n }),
		"FROM":       texts(keyEnvelope, envelopeFrom),
		"TO":         texts(keyEnvelope, envelopeTo),
		"CC":         texts(keyEnvelope, envelopeCc),
		"BCC":        texts(keyEnvelope, envelopeBcc),
		"SUBJECT":    texts(keyEnvelope, envelopeSubject),
		"BODY":       texts(keyBody, 0),
		"TEXT":       texts(keyText, 0),
		"HEADER":     headerKey,
		"UID":        uidKey,
		"NOT":        notKey,
		"OR":         orKey,
	}
}

func constant(k key) keyReader {
	return func(*searchParser) (*key, error) { c := k; return &c, nil }
}

func keyword(not bool) keyReader {
	return func(p *searchParser) (*key, error) {
		if err := p.space(); err != nil {
			return nil, err
		}
		f, err := p.flag()
		return &key{kind: keyFlag, flag: f, not: not}, err
	}
}

func days(kind keyKind, bounds func(int64) (int64, int64)) keyReader {
	return func(p *searchParser) (*key, error) {
		d, err := p.day()
		k := &key{kind: kind}
		k.low, k.high = bounds(d)
		return k, err
	}
}

func numbers(kind keyKind, bounds func(int64) (int64, int64)) keyReader {
	return func(p *searchParser) (*key, error) {
		if err := p.space(); err != nil {
			return nil, err
		}
		n, err := p.number64()
		k := &key{kind: kind}
		k.low, k.high = bounds(n)
		return k, err
	}
}

func texts(kind keyKind, element envelopeField) keyReader {
	return func(p *searchParser) (*key, error) {
		needle, err := p.text()
		return &key{kind: kind, element: element, needle: needle}, err
	}
}

// headerKey reads HEADER. What ENVELOPE keeps as it is needs no file.
func headerKey(p *searchParser) (*key, error) {
	if err := p.space(); err != nil {
		return nil, err
	}
	field, err := p.astring()
	if err != nil {
		return nil, err
	}
	needle, err := p.text()
	k := &key{kind: keyHeader, field: field, needle: needle}
	switch strings.ToLower(field) {
	case "subject":
		k.kind, k.element = keyEnvelope, envelopeSubject
	case "message-id":
		k.kind, k.element = keyEnvelope, envelopeMessageID
	case "in-reply-to":
		k.kind, k.element = keyEnvelope, envelopeInReplyTo
	}
	return k, err
}

func uidKey(p *searchParser) (*key, error) {
	if err := p.space(); err != nil {
		return nil, err
	}
	return p.setKey(true)
}

func notKey(p *searchParser) (*key, error) {
	k, err := p.operand()
	if err == nil {
		k.not = !k.not
	}
	return k, err
}

func orKey(p *searchParser) (*key, error) {
	one, err := p.operand()
	if err != nil {
		return nil, err
	}
	other, err := p.operand()
	k := &key{kind: keyOr, kids: []*key{one, other}}
	if err == nil {
		k.sort()
	}
	return k, err
}

// operand reads the blank and the key behind NOT or OR.
func (p *searchParser) operand() (*key, error) {
	if err := p.space(); err != nil {
		return nil, err
	}
	if err := p.descend(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	return p.key()
}

// cost is the dearest kind below k.
func (k *key) cost() keyKind {
	c := k.kind
	for _, kid := range k.kids {
		c = max(c, kid.cost())
	}
	return c
}

// sort puts what is cheap first.
func (k *key) sort() {
	slices.SortStableFunc(k.kids, func(a, b *key) int { return int(a.cost()) - int(b.cost()) })
}
