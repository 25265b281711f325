package imapd

import (
	"strings"

	"toastmaster/internal/mime"
)

// itemKind is a data item of FETCH.
type itemKind uint8

const (
	itemFlags itemKind = iota
	itemUID
	itemInternalDate
	itemSize
	itemEnvelope
	itemBody
	itemBodyStructure
	itemSection
)

// fetchItem is one data item. label is what the response calls it, with the
// blank behind it.
type fetchItem struct {
	kind  itemKind
	label string
	section
}

// section is BODY[...] or one of its old names.
type section struct {
	path []uint32
	what mime.What
	// fields are the names of HEADER.FIELDS, or with except those of
	// HEADER.FIELDS.NOT; names has them in lower case when they are many.
	fields []string
	names  map[string]bool
	asked  mime.Names
	filter bool
	except bool
	// A partial fetch starts at offset and has at most length octets.
	partial        bool
	offset, length int64
}

// fetchRequest is the list of items with what they need.
type fetchRequest struct {
	items     []fetchItem
	flags     bool // FLAGS is among them
	uid       bool
	metadata  bool // more than the UID is needed of what the index knows
	structure bool // the scanned structure is needed
	fields    bool // header fields are asked for, which the record may have
	content   bool // the file is needed
	seen      bool // the fetch sets \Seen
	// known are the items, when they are many.
	known map[itemKey]bool
}

// itemKey is what two items have in common that have the same answer.
type itemKey struct {
	label  string
	length int64
}

func (i *fetchItem) key() itemKey { return itemKey{i.label, i.length} }

// has says that the same is asked for already. It is answered once: nothing in RFC
// 3501 or 9051 has an item answered as often as it is named, and a message of 100 MB
// would cost 20 GB by one line. Another spelling of field names is another item:
// clients look for theirs.
func (q *fetchRequest) has(item *fetchItem) bool {
	if q.known == nil {
		for i := range q.items {
			if q.items[i].key() == item.key() {
				return true
			}
		}
		if len(q.items) < manyItems {
			return false
		}
		q.known = map[itemKey]bool{}
		for i := range q.items {
			q.known[q.items[i].key()] = true
		}
	}
	if q.known[item.key()] {
		return true
	}
	q.known[item.key()] = true
	return false
}

// manyItems is from how many items on a map finds one sooner than a loop.
const manyItems = 8

// namedItem is a row of the items without arguments.
type namedItem struct {
	name string
	kind itemKind
	section
	seen bool
}

var namedItems = []namedItem{
	{name: "FLAGS", kind: itemFlags},
	{name: "UID", kind: itemUID},
	{name: "INTERNALDATE", kind: itemInternalDate},
	{name: "RFC822.SIZE", kind: itemSize},
	{name: "ENVELOPE", kind: itemEnvelope},
	{name: "BODY", kind: itemBody},
	{name: "BODYSTRUCTURE", kind: itemBodyStructure},
	{name: "RFC822", kind: itemSection, seen: true},
	{name: "RFC822.HEADER", kind: itemSection, section: section{what: mime.Header}},
	{name: "RFC822.TEXT", kind: itemSection, section: section{what: mime.Text}, seen: true},
}

// macros are rows, too: the items that one word stands for.
var macros = map[string][]string{
	"ALL":  {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"},
	"FAST": {"FLAGS", "INTERNALDATE", "RFC822.SIZE"},
	"FULL": {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"},
}

// fetchItems reads the items of FETCH (RFC 3501 section 6.4.5), up to limit.
func (a *args) fetchItems(limit int) *fetchRequest {
	q := &fetchRequest{}
	if a.uid {
		q.add(fetchItem{kind: itemUID, label: "UID "})
	}
	if a.peek() == '(' {
		a.list(func() {
			if len(q.items) >= limit {
				a.fail(no("LIMIT", "Too many data items"))
			}
			a.fetchItem(q)
		})
		if len(q.items) == 0 {
			a.fail(errMissing)
		}
		return q
	}
	from := a.i
	if names, ok := macros[strings.ToUpper(string(a.word(&itemEnd)))]; ok {
		for _, n := range names {
			q.addNamed(n)
		}
		return q
	}
	a.i = from
	a.fetchItem(q)
	return q
}

// itemEnd ends the name of an item.
var itemEnd = func() [256]bool {
	t := atomEnd
	t['['], t['<'] = true, true
	return t
}()

func (a *args) fetchItem(q *fetchRequest) {
	name := strings.ToUpper(string(a.word(&itemEnd)))
	if a.peek() != '[' {
		if a.err == nil && !q.addNamed(name) {
			a.fail(bad("Unknown data item of FETCH"))
		}
		return
	}
	if name != "BODY" && name != "BODY.PEEK" {
		a.fail(bad("Unknown data item of FETCH"))
	}
	item := fetchItem{kind: itemSection}
	a.section(&item.section)
	a.partial(&item.section)
	if a.err != nil {
		return
	}
	item.label = item.section.label()
	q.seen = q.seen || name == "BODY"
	q.add(item)
}

func (q *fetchRequest) addNamed(name string) bool {
	for _, n := range namedItems {
		if n.name == name {
			q.seen = q.seen || n.seen
			q.add(fetchItem{kind: n.kind, label: name + " ", section: n.section})
			return true
		}
	}
	return false
}

func (q *fetchRequest) add(item fetchItem) {
	if q.has(&item) {
		return
	}
	switch item.kind {
	case itemUID:
		q.uid = true
	case itemFlags:
		q.flags, q.metadata = true, true
	case itemInternalDate, itemSize:
		q.metadata = true
	case itemEnvelope, itemBody, itemBodyStructure:
		q.structure = true
	case itemSection:
		q.structure = true
		if item.section.kept() {
			q.fields = true
		} else {
			q.content = true
		}
	}
	q.items = append(q.items, item)
}

// maxPath is how deep a section number may go; deeper than mime's MaxDepth there is
// nothing. It is no parameter: no message is scanned deeper.
const maxPath = 100

// section reads "[1.2.HEADER.FIELDS (From To)]".
func (a *args) section(sec *section) {
	a.expect('[')
	for c := a.peek(); '0' <= c && c <= '9'; c = a.peek() {
		n, ok := a.digits()
		if !ok || n == 0 || n > 1<<32-1 || len(sec.path) == maxPath {
			a.fail(bad("Invalid section"))
		}
		sec.path = append(sec.path, uint32(n))
		if !a.accept('.') {
			a.expect(']')
			return
		}
	}
	if len(sec.path) == 0 && a.accept(']') {
		return
	}
	w := strings.ToUpper(string(a.word(&sectionEnd)))
	switch w {
	case "HEADER":
		sec.what = mime.Header
	case "TEXT":
		sec.what = mime.Text
	case "MIME":
		sec.what = mime.MIME
		if len(sec.path) == 0 {
			a.fail(bad("Invalid section"))
		}
	case "HEADER.FIELDS", "HEADER.FIELDS.NOT":
		sec.what, sec.filter, sec.except = mime.Header, true, w == "HEADER.FIELDS.NOT"
		a.space()
		a.fieldNames(sec)
	default:
		a.fail(bad("Invalid section"))
	}
	a.expect(']')
}

var sectionEnd = func() [256]bool {
	t := atomEnd
	t[']'] = true
	return t
}()

func (a *args) fieldNames(sec *section) {
	a.list(func() { sec.fields = append(sec.fields, a.astring()) })
	if len(sec.fields) == 0 {
		a.fail(bad("Empty list of header fields"))
	}
	sec.asked = mime.NewNames(sec.fields...)
	if len(sec.fields) > manyFields {
		sec.names = map[string]bool{}
		for _, name := range sec.fields {
			sec.names[string(appendLower(nil, []byte(name)))] = true
		}
	}
}

// manyFields is from how many names on a map finds one sooner than a loop.
const manyFields = 24

// kept says that the record of a message may have what the section shows.
func (sec *section) kept() bool { return sec.filter && !sec.except && len(sec.path) == 0 }

// wants says whether the section shows fields of this name.
func (sec *section) wants(name []byte) bool { return sec.lists(name) != sec.except }

// lists says whether a name is among the section's.
func (sec *section) lists(name []byte) bool {
	if sec.names != nil {
		var room [64]byte
		return sec.names[string(appendLower(room[:0], name))]
	}
	for _, w := range sec.fields {
		if mime.EqualName(name, w) {
			return true
		}
	}
	return false
}

// appendLower appends b in lower case: beyond ASCII a name of a field has no case.
func appendLower(dst, b []byte) []byte {
	for _, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// partial reads "<offset.length>", if it is there.
func (a *args) partial(sec *section) {
	if !a.accept('<') {
		return
	}
	sec.partial = true
	sec.offset = a.number()
	a.expect('.')
	if sec.length = a.number(); sec.length == 0 {
		a.fail(bad("Empty partial fetch"))
	}
	a.expect('>')
}

// label writes the section as a response does.
func (sec *section) label() string {
	out := []byte("BODY[")
	for i, n := range sec.path {
		if i > 0 {
			out = append(out, '.')
		}
		out = appendNumber(out, n)
	}
	if len(sec.path) > 0 && sec.what != mime.Whole {
		out = append(out, '.')
	}
	switch sec.what {
	case mime.Header:
		out = append(out, "HEADER"...)
	case mime.Text:
		out = append(out, "TEXT"...)
	case mime.MIME:
		out = append(out, "MIME"...)
	}
	if sec.filter {
		out = append(out, ".FIELDS"...)
		if sec.except {
			out = append(out, ".NOT"...)
		}
		out = append(out, " ("...)
		for i, f := range sec.fields {
			if i > 0 {
				out = append(out, ' ')
			}
			out = appendAstring(out, f)
		}
		out = append(out, ')')
	}
	out = append(out, ']')
	if sec.partial {
		out = append(out, '<')
		out = appendNumber(out, sec.offset)
		out = append(out, '>')
	}
	return string(append(out, ' '))
}
