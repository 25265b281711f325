package imapd

import (
	"bytes"
	"errors"
	"net/mail"
	"slices"
	"sort"
	"time"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/mailstore"
)

// matcher evaluates keys against one message at a time. What a message costs
// (structure, file) is got when the first key needs it.
type matcher struct {
	s    *session
	now  time.Time
	left int64 // octets of files that may still be read
	// tests may still be made, texts of the keys look into whole texts.
	tests, texts int
	// missed says that a message that was to be read is gone.
	missed bool

	seq       uint32
	m         mailstore.Message
	structure bool
	content   envelope.Content
	text      []byte // unfolded header text
	folded    []byte
	// all are the folded texts of the message when several keys look into
	// them, read once: see gather.
	all gathered
}

var (
	errWork  = no("LIMIT", "Search reads too much, narrow it down")
	errTests = no("LIMIT", "Search is too much work, narrow it down")
)

func newMatcher(s *session, k *key) *matcher {
	return &matcher{s: s, now: s.now(), left: s.srv.config.MaxSearch, tests: s.srv.config.MaxSearchTests, texts: k.countTexts()}
}

// countTexts counts the keys that look into whole texts.
func (k *key) countTexts() int {
	n := 0
	if k.kind >= keyBody {
		n++
	}
	for _, kid := range k.kids {
		n += kid.countTexts()
	}
	return n
}

func (m *matcher) close() {
	m.all.state = unread
	if m.content != nil {
		_ = m.content.Close()
		m.content = nil
	}
}

// message says whether message seq matches. One that is gone meanwhile does
// not.
func (m *matcher) message(k *key, seq uint32) (bool, error) {
	m.close()
	m.seq, m.structure = seq, false
	m.m = m.s.view.Message(seq)
	ok, err := m.match(k)
	if errors.Is(err, mailstore.ErrUnreadable) {
		return false, nil // the log has it
	}
	if errors.Is(err, mailstore.ErrExpunged) {
		m.missed = true
		return false, nil
	}
	return ok, err
}

// dearTest is what a test counts that needs more than the index.
const dearTest = 20

func (m *matcher) match(k *key) (bool, error) {
	cost := 1
	if k.kind > keyOr {
		cost = dearTest
	}
	if m.tests -= cost; m.tests < 0 {
		return false, errTests
	}
	if err := m.s.step(cost); err != nil {
		return false, err
	}
	ok, err := m.matchKind(k)
	return ok != k.not, err
}

func (m *matcher) matchKind(k *key) (bool, error) {
	switch k.kind {
	case keyAll:
		return true, nil
	case keySet:
		return inRanges(k.ranges, m.seq), nil
	case keyFlag:
		return hasFlag(m.m.Flags, k.flag), nil
	case keyRecent:
		return m.m.Recent, nil
	case keyDate:
		return k.within(dayOf(m.m.Date)), nil
	case keySize:
		return k.within(m.m.Size), nil
	case keyAge:
		return k.within(int64(m.now.Sub(m.m.Date) / time.Second)), nil
	case keyAnd, keyOr:
		return m.matchKids(k)
	}
	return m.matchMessage(k)
}

// matchMessage tries the keys that need more than the index.
func (m *matcher) matchMessage(k *key) (bool, error) {
	fetch := m.load
	if k.kind > keyEnvelope {
		fetch = m.open
	}
	if err := fetch(); err != nil {
		return false, err
	}
	switch k.kind {
	case keySent:
		return m.matchSent(k), nil
	case keyEnvelope:
		return m.matchEnvelope(k), nil
	case keyHeader:
		return m.matchHeader(k)
	}
	return m.matchText(k)
}

func (m *matcher) matchKids(k *key) (bool, error) {
	for _, kid := range k.kids {
		ok, err := m.match(kid)
		if err != nil {
			return false, err
		}
		if ok == (k.kind == keyOr) {
			return ok, nil
		}
	}
	return k.kind == keyAnd, nil
}

func (k *key) within(n int64) bool { return k.low <= n && n <= k.high }

func inRanges(ranges []seqRange, seq uint32) bool {
	i := sort.Search(len(ranges), func(i int) bool { return ranges[i].last >= seq })
	return i < len(ranges) && ranges[i].first <= seq
}

// load gets the structure of the message.
func (m *matcher) load() error {
	if m.structure {
		return nil
	}
	m.structure = true
	return m.s.loadStructure(m.seq)
}

// openWork is what it costs to open a message, in units of session.step.
const openWork = 200

// open opens the message.
func (m *matcher) open() error {
	if m.content != nil {
		return nil
	}
	if err := m.s.step(openWork); err != nil {
		return err
	}
	content, err := m.s.loadContent(m.seq)
	m.content, m.structure = content, true
	return err
}

// spend counts octets that are read.
func (m *matcher) spend(n int64) error {
	if m.left -= n; m.left < 0 {
		return errWork
	}
	return nil
}

// readWork is what it costs to read, decode and fold octets, in units of
// session.step.
func readWork(octets int) int { return octets / 16 }

// matchSent compares the day of the Date field, in its own time zone.
func (m *matcher) matchSent(k *key) bool {
	m.text, _ = envelopeString(m.text, m.s.message.Envelope, envelopeDate)
	t, err := mail.ParseDate(string(m.text))
	return err == nil && k.within(dayOf(t))
}

// matchEnvelope looks into a field that ENVELOPE holds.
func (m *matcher) matchEnvelope(k *key) bool {
	var ok bool
	m.text, ok = envelopeString(m.text, m.s.message.Envelope, k.element)
	return ok && m.holds(m.text, k.needle)
}

// holds says whether header text has the folded needle in it.
func (m *matcher) holds(text, needle []byte) bool {
	if len(needle) == 0 {
		return true
	}
	m.folded = foldText(m.folded[:0], decodeWords(text))
	return bytes.Contains(m.folded, needle)
}

// maxHeaderText bounds how much of one header is searched.
const maxHeaderText = 1 << 20

// matchHeader looks into all fields of one name.
func (m *matcher) matchHeader(k *key) (bool, error) {
	r, _ := m.s.message.Section(nil, mime.Header)
	if err := m.spend(r.To - r.From); err != nil {
		return false, err
	}
	if err := m.s.step(readWork(int(r.To - r.From))); err != nil {
		return false, err
	}
	sec := section{fields: []string{k.field}}
	m.text = m.text[:0]
	err := m.s.c.filter(m.content, r, &sec, func(line []byte) {
		if len(m.text) < maxHeaderText {
			m.text = append(m.text, line...)
		}
	})
	if err != nil || len(m.text) == 0 {
		return false, err
	}
	for text := unfold(m.text); len(text) > 0; {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line = text[:i]
		}
		text = text[min(len(line)+1, len(text)):]
		value := line[bytes.IndexByte(line, ':')+1:]
		if m.holds(bytes.TrimSpace(value), k.needle) {
			return true, nil
		}
	}
	return false, nil
}

// hasFlag finds a flag; keywords have no case.
func hasFlag[T ~string](flags []T, want T) bool {
	return slices.ContainsFunc(flags, func(f T) bool {
		return len(f) == len(want) && equalFold([]byte(f), string(want))
	})
}

// unfold joins continuation lines in place.
func unfold(b []byte) []byte {
	out := b[:0]
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n':
		case b[i] == '\n' && i+1 < len(b) && (b[i+1] == ' ' || b[i+1] == '\t'):
		default:
			out = append(out, b[i])
		}
	}
	return out
}
