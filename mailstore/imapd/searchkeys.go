package imapd

import (
	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/search"
)

// keyReader reads the arguments of a search key whose name was read.
type keyReader func(*searchParser) *search.Key

// searchKeys is the table of search keys: RFC 3501 section 6.4.4, and WITHIN
// (RFC 5032).
func searchKeys() map[string]keyReader {
	return map[string]keyReader{
		"ALL":        constant(search.Key{Kind: search.All}),
		"ANSWERED":   constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagAnswered}),
		"DELETED":    constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagDeleted}),
		"DRAFT":      constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagDraft}),
		"FLAGGED":    constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagFlagged}),
		"SEEN":       constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagSeen}),
		"UNANSWERED": constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagAnswered, Not: true}),
		"UNDELETED":  constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagDeleted, Not: true}),
		"UNDRAFT":    constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagDraft, Not: true}),
		"UNFLAGGED":  constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagFlagged, Not: true}),
		"UNSEEN":     constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagSeen, Not: true}),
		"RECENT":     constant(search.Key{Kind: search.IsRecent}),
		"OLD":        constant(search.Key{Kind: search.IsRecent, Not: true}),
		"NEW": constant(search.Key{Kind: search.AllOf, Kids: []*search.Key{
			{Kind: search.IsRecent}, {Kind: search.HasFlag, Flag: imap.FlagSeen, Not: true},
		}}),
		"KEYWORD":    keyword(false),
		"UNKEYWORD":  keyword(true),
		"BEFORE":     days(search.Received, func(d int64) (int64, int64) { return 0, d - 1 }),
		"ON":         days(search.Received, func(d int64) (int64, int64) { return d, d }),
		"SINCE":      days(search.Received, func(d int64) (int64, int64) { return d, forever }),
		"SENTBEFORE": days(search.Sent, func(d int64) (int64, int64) { return 0, d - 1 }),
		"SENTON":     days(search.Sent, func(d int64) (int64, int64) { return d, d }),
		"SENTSINCE":  days(search.Sent, func(d int64) (int64, int64) { return d, forever }),
		"LARGER":     numbers(search.HasSize, func(n int64) (int64, int64) { return n + 1, forever }),
		"SMALLER":    numbers(search.HasSize, func(n int64) (int64, int64) { return 0, n - 1 }),
		"OLDER":      seconds(func(n int64) (int64, int64) { return n, forever }),
		"YOUNGER":    seconds(func(n int64) (int64, int64) { return -forever, n }),
		"FROM":       field(search.From),
		"TO":         field(search.To),
		"CC":         field(search.Cc),
		"BCC":        field(search.Bcc),
		"SUBJECT":    field(search.Subject),
		"BODY":       words(search.InBody),
		"TEXT":       words(search.InText),
		"HEADER":     headerKey,
		"UID":        uidKey,
		"NOT":        notKey,
		"OR":         orKey,
	}
}

func constant(k search.Key) keyReader {
	return func(*searchParser) *search.Key { c := k; return &c }
}

func keyword(not bool) keyReader {
	return func(p *searchParser) *search.Key {
		p.space()
		return &search.Key{Kind: search.HasFlag, Flag: p.flag(), Not: not}
	}
}

func days(kind search.Kind, bounds func(int64) (int64, int64)) keyReader {
	return func(p *searchParser) *search.Key {
		k := &search.Key{Kind: kind}
		k.Low, k.High = bounds(p.day())
		return k
	}
}

func numbers(kind search.Kind, bounds func(int64) (int64, int64)) keyReader {
	return func(p *searchParser) *search.Key {
		p.space()
		k := &search.Key{Kind: kind}
		k.Low, k.High = bounds(p.number())
		return k
	}
}

// seconds reads an interval of RFC 5032, which is not 0.
func seconds(bounds func(int64) (int64, int64)) keyReader {
	return func(p *searchParser) *search.Key {
		p.space()
		n := p.number()
		if n == 0 {
			p.fail(bad("Empty interval"))
		}
		k := &search.Key{Kind: search.IsOld}
		k.Low, k.High = bounds(n)
		return k
	}
}

func field(f search.Field) keyReader {
	return func(p *searchParser) *search.Key { return search.FieldWords(f, p.text()) }
}

func words(kind search.Kind) keyReader {
	return func(p *searchParser) *search.Key { return search.Words(kind, p.text()) }
}

// headerKey reads HEADER.
func headerKey(p *searchParser) *search.Key {
	p.space()
	name := p.astring()
	return search.HeaderWords(name, p.text())
}

func uidKey(p *searchParser) *search.Key {
	p.space()
	return p.setKey(true)
}

func notKey(p *searchParser) *search.Key {
	k := p.operand()
	k.Not = !k.Not
	return k
}

func orKey(p *searchParser) *search.Key {
	one := p.operand()
	return search.Or(one, p.operand())
}

// operand reads the blank and the key behind NOT or OR.
func (p *searchParser) operand() *search.Key {
	p.space()
	defer p.descend()()
	if p.err != nil {
		return &search.Key{} // or NOT NOT NOT ... would go on without reading
	}
	return p.key()
}
