package imapd

import (
	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/search"
)

// keyReader reads the arguments of a search key whose name was read.
type keyReader func(*searchParser) *search.Key

// searchKey is a row of the table of search keys.
type searchKey struct {
	name string
	read keyReader
	// caps are the capabilities that are told because the key is there.
	caps []capability
}

// searchKeys is the table: RFC 3501 section 6.4.4, and WITHIN (RFC 5032). A new key is a
// row here.
func searchKeys() []searchKey {
	return []searchKey{
		{"ALL", constant(search.Key{Kind: search.All}), nil},
		{"ANSWERED", constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagAnswered}), nil},
		{"DELETED", constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagDeleted}), nil},
		{"DRAFT", constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagDraft}), nil},
		{"FLAGGED", constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagFlagged}), nil},
		{"SEEN", constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagSeen}), nil},
		{"UNANSWERED", constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagAnswered, Not: true}), nil},
		{"UNDELETED", constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagDeleted, Not: true}), nil},
		{"UNDRAFT", constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagDraft, Not: true}), nil},
		{"UNFLAGGED", constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagFlagged, Not: true}), nil},
		{"UNSEEN", constant(search.Key{Kind: search.HasFlag, Flag: imap.FlagSeen, Not: true}), nil},
		{"RECENT", constant(search.Key{Kind: search.IsRecent}), nil},
		{"OLD", constant(search.Key{Kind: search.IsRecent, Not: true}), nil},
		{"NEW", constant(search.Key{Kind: search.AllOf, Kids: []*search.Key{
			{Kind: search.IsRecent}, {Kind: search.HasFlag, Flag: imap.FlagSeen, Not: true},
		}}), nil},
		{"KEYWORD", keyword(false), nil},
		{"UNKEYWORD", keyword(true), nil},
		{"BEFORE", days(search.Received, func(d int64) (int64, int64) { return 0, d - 1 }), nil},
		{"ON", days(search.Received, func(d int64) (int64, int64) { return d, d }), nil},
		{"SINCE", days(search.Received, func(d int64) (int64, int64) { return d, forever }), nil},
		{"SENTBEFORE", days(search.Sent, func(d int64) (int64, int64) { return 0, d - 1 }), nil},
		{"SENTON", days(search.Sent, func(d int64) (int64, int64) { return d, d }), nil},
		{"SENTSINCE", days(search.Sent, func(d int64) (int64, int64) { return d, forever }), nil},
		{"LARGER", numbers(search.HasSize, func(n int64) (int64, int64) { return n + 1, forever }), nil},
		{"SMALLER", numbers(search.HasSize, func(n int64) (int64, int64) { return 0, n - 1 }), nil},
		{"OLDER", seconds(func(n int64) (int64, int64) { return n, forever }), has("WITHIN")},
		{"YOUNGER", seconds(func(n int64) (int64, int64) { return -forever, n }), nil},
		{"FROM", field(search.From), nil},
		{"TO", field(search.To), nil},
		{"CC", field(search.Cc), nil},
		{"BCC", field(search.Bcc), nil},
		{"SUBJECT", field(search.Subject), nil},
		{"BODY", words(search.InBody), nil},
		{"TEXT", words(search.InText), nil},
		{"HEADER", headerKey, nil},
		{"UID", uidKey, nil},
		{"NOT", notKey, nil},
		{"OR", orKey, nil},
	}
}

// keyReaders are the rows by name.
func keyReaders() map[string]keyReader {
	keys := map[string]keyReader{}
	for _, k := range searchKeys() {
		keys[k.name] = k.read
	}
	return keys
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
