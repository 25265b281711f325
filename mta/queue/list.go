package queue

import (
	"container/heap"
	"context"
	"errors"
	"io/fs"
	"math"
	"slices"
	"strings"

	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
)

// How many IDs a round of List looks at: more in each round, because a filter
// that selects little would read the directories again for every page.
const (
	firstRound = 1 << 10
	lastRound  = 1 << 16
)

// listing answers what is in a queue, from memory and from the disk, without holding
// anybody up.
type listing struct {
	index *index
	disk  *disk
}

// List returns up to limit messages with an ID greater than after, in ID
// order, without holding up the queue.
func (l *listing) List(ctx context.Context, f Filter, after envelope.QueueID, limit int) ([]Info, error) {
	var out []Info
	for round := firstRound; ; round = min(round*4, lastRound) {
		ids, err := l.idsAfter(ctx, f.Place, after, max(round, min(limit, lastRound)))
		if err != nil {
			return nil, err
		}
		for _, at := range ids.sorted() {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			info, ok := l.info(at)
			if ok && f.matches(info) {
				out = append(out, info)
			}
			if len(out) >= limit {
				return out, nil
			}
			after = at.id
		}
		if !ids.full() {
			return out, nil
		}
	}
}

// Select lists the IDs of the messages that f selects, in ID order. The folders are
// read once, and only a filter by sender or recipient opens a message.
func (l *listing) Select(ctx context.Context, f Filter) ([]envelope.QueueID, error) {
	all, err := l.idsAfter(ctx, f.Place, "", math.MaxInt)
	if err != nil {
		return nil, diskError(err)
	}
	var out []envelope.QueueID
	for _, at := range all.sorted() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		// In memory it may be anywhere: ask.
		plain := f.Sender == "" && f.Recipient == "" && (f.Place == "" || at.place == f.Place)
		if !plain {
			info, ok := l.info(at)
			if !ok || !f.matches(info) {
				continue
			}
		}
		out = append(out, at.id)
	}
	return out, nil
}

// listed is an ID and where it was seen.
type listed struct {
	id    envelope.QueueID
	place Place
}

// firstIDs keeps the smallest IDs; the largest of them is on top.
type firstIDs struct {
	after envelope.QueueID
	limit int
	list  []listed
}

func (f *firstIDs) Len() int           { return len(f.list) }
func (f *firstIDs) Less(i, j int) bool { return f.list[i].id > f.list[j].id }
func (f *firstIDs) Swap(i, j int)      { f.list[i], f.list[j] = f.list[j], f.list[i] }
func (f *firstIDs) Push(x any)         { f.list = append(f.list, x.(listed)) }
func (f *firstIDs) Pop() any {
	last := f.list[len(f.list)-1]
	f.list = f.list[:len(f.list)-1]
	return last
}

func (f *firstIDs) full() bool { return len(f.list) >= f.limit }

func (f *firstIDs) offer(id envelope.QueueID, place Place) {
	switch {
	case id <= f.after:
	case !f.full():
		heap.Push(f, listed{id, place})
	case id < f.list[0].id:
		f.list[0] = listed{id, place}
		heap.Fix(f, 0)
	}
}

// sorted is in ID order, each ID once.
func (f *firstIDs) sorted() []listed {
	out := slices.Clone(f.list)
	slices.SortFunc(out, func(a, b listed) int {
		if c := strings.Compare(string(a.id), string(b.id)); c != 0 {
			return c
		}
		// What lies in corrupt/ comes last: the message itself may be in the queue.
		if a, b := a.place == Corrupt, b.place == Corrupt; a != b {
			return map[bool]int{true: 1, false: -1}[a]
		}
		return strings.Compare(string(a.place), string(b.place))
	})
	return slices.CompactFunc(out, func(a, b listed) bool { return a.id == b.id })
}

// idsAfter looks through memory and the directories that place may be in.
func (l *listing) idsAfter(ctx context.Context, place Place, after envelope.QueueID, limit int) (*firstIDs, error) {
	f := &firstIDs{after: after, limit: limit}
	if place != Hold && place != Corrupt {
		for _, m := range l.index.all(func(m *message) bool { return m.at.stage != leaving }) {
			f.offer(m.id, "")
		}
	}
	for _, p := range []Place{Deferred, Hold} {
		if place != "" && place != p {
			continue
		}
		if err := l.disk.files.each(p, func(id envelope.QueueID, _ fs.DirEntry) error {
			f.offer(id, p)
			return ctx.Err()
		}); err != nil {
			return nil, err
		}
	}
	if place != "" && place != Corrupt {
		return f, nil
	}
	ids, err := l.disk.corrupt.IDs()
	for _, id := range ids {
		f.offer(id, Corrupt)
	}
	return f, err
}

// info describes a message; ok is false when it is gone meanwhile.
func (l *listing) info(seen listed) (Info, bool) {
	m, at, _ := l.index.look(seen.id)
	switch {
	case m != nil && at.stage == leaving:
		return Info{}, false
	case seen.place == Corrupt:
		return l.corruptInfo(seen.id), true
	case m != nil:
		if info, err := l.messageInfo(m); err == nil {
			return info, true
		}
	}
	place, _, err := l.disk.files.where(seen.id)
	if err != nil || place == "" {
		return Info{}, false
	}
	file, mf, err := l.disk.files.read(place, seen.id)
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, false
	}
	if err != nil {
		return Info{ID: seen.id, Place: place, Sender: Unknown, Reason: err.Error(), Files: []string{l.disk.files.path(place, seen.id)}}, true
	}
	_ = file.Close()
	return l.fileInfo(place, mf), true
}

// messageInfo describes a message that is known in memory and has an envelope
// there or in the journal.
func (l *listing) messageInfo(m *message) (Info, error) {
	_, at, next := l.index.look(m.id)
	m.mu.Lock()
	defer m.mu.Unlock()
	env := m.env
	if env == nil {
		if m.place != Incoming {
			return Info{}, ErrNoMessage
		}
		r, err := l.disk.loadRecord(m)
		if err != nil {
			return Info{}, err
		}
		env = r.env
	}
	info := describe(env, &m.progress)
	info.Expired = m.expire.Load()
	info.Size, info.Place = m.size, at.place()
	if info.Place == Deferred {
		info.Next = next
	}
	return info, nil
}

// fileInfo describes a message in a file.
func (l *listing) fileInfo(place Place, m *messageFile) Info {
	info := describe(m.env, m.progress)
	info.Place, info.Size = place, m.contentSize
	if place == Deferred {
		info.Next = m.mtime
	}
	return info
}

func describe(env *envelope.Envelope, s *progress) Info {
	info := Info{ID: env.ID, Arrived: env.Arrived, Sender: env.Sender.String(), Attempts: s.attempts, Expired: s.expired, Actions: actions(env)}
	for i := range env.Recipients {
		r := RecipientInfo{Address: env.Recipients[i].Address.String()}
		if i < len(s.rcpts) {
			if s.rcpts[i].done {
				continue
			}
			if last := s.rcpts[i].last; last != nil {
				r.Reason = last.Status.String() + " " + last.Text
				if last.RemoteReply != "" {
					r.Reason += ": " + last.RemoteReply
				}
			}
		}
		info.Recipients = append(info.Recipients, r)
	}
	return info
}

// actions are those of an envelope.
func actions(env *envelope.Envelope) (all []string) {
	if env.Hold {
		all = append(all, "HOLD")
	}
	if env.Filter != nil {
		all = append(all, "FILTER "+env.Filter.String())
	}
	if !env.Redirect.IsNull() {
		all = append(all, "REDIRECT "+env.Redirect.String())
	}
	for _, a := range env.BCC {
		all = append(all, "BCC "+a.String())
	}
	for _, text := range env.Prepend {
		all = append(all, "PREPEND "+text)
	}
	return all
}

// matches compares addresses folded; "@domain" is all of a domain.
func (f Filter) matches(info Info) bool {
	if f.Place != "" && f.Place != info.Place || f.ID != "" && f.ID != info.ID {
		return false
	}
	if f.Sender != "" && !chooser(f.Sender)(info.Sender) {
		return false
	}
	if f.Recipient == "" {
		return true
	}
	chosen := chooser(f.Recipient)
	return slices.ContainsFunc(info.Recipients, func(r RecipientInfo) bool { return chosen(r.Address) })
}

// chooser says which addresses a filter means: all of "@domain", the null sender for "<>" or
// "MAILER-DAEMON", as which it is listed, else the one.
func chooser(filter string) func(address string) bool {
	if domain, ok := strings.CutPrefix(filter, "@"); ok {
		if parsed, err := addr.ParseDomain(domain); err == nil {
			domain = parsed
		}
		return func(address string) bool {
			at := strings.LastIndexByte(address, '@')
			return at >= 0 && strings.EqualFold(address[at+1:], domain)
		}
	}
	if filter == "<>" || strings.EqualFold(filter, "MAILER-DAEMON") {
		return func(address string) bool { return address == "" }
	}
	want := fold(filter)
	return func(address string) bool { return fold(address) == want }
}

// fold is the form in which addresses are compared; a domain is in lower case
// already, so folding the whole is folding the local part.
func fold(address string) string {
	if a, err := addr.Parse(address); err == nil {
		return a.Key()
	}
	return strings.ToLower(address)
}

// Get returns one message's info and its content, which the caller closes. That
// is what lies there; Info.Damaged says whether it was altered.
func (l *listing) Get(_ context.Context, id envelope.QueueID) (Info, *envelope.Envelope, envelope.Content, error) {
	if !validID(id) {
		return Info{}, nil, nil, ErrNoMessage
	}
	m, at, _ := l.index.look(id)
	if m != nil && at.stage == leaving {
		return Info{}, nil, nil, ErrNoMessage
	}
	absent := ErrNoMessage
	if m != nil {
		info, env, content, err := l.getKnown(m)
		if err == nil {
			return checked(info, env, content)
		}
		// It may have moved to its file meanwhile.
		if spoiled(err) {
			absent = diskError(err)
		}
	}
	place, _, err := l.disk.files.where(id)
	if err != nil {
		return Info{}, nil, nil, diskError(err)
	}
	if place == "" {
		return Info{}, nil, nil, absent
	}
	file, mf, err := l.disk.files.read(place, id)
	if err != nil {
		return Info{}, nil, nil, diskError(err)
	}
	return checked(l.fileInfo(place, mf), mf.env, mf.content(file))
}

// checked compares a content with its checksum, and is the answer of Get.
func checked(info Info, env *envelope.Envelope, content envelope.Content) (Info, *envelope.Envelope, envelope.Content, error) {
	if f, ok := content.(*fileContent); ok {
		err := f.check()
		if info.Damaged = errors.Is(err, errDamaged); err != nil && !info.Damaged {
			return Info{}, nil, nil, diskError(errors.Join(err, f.Close()))
		}
	}
	return info, env, content, nil
}

func (l *listing) getKnown(m *message) (Info, *envelope.Envelope, envelope.Content, error) {
	info, err := l.messageInfo(m)
	if err != nil {
		return info, nil, nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	env := m.env
	if env == nil {
		r, err := l.disk.loadRecord(m)
		if err != nil {
			return info, nil, nil, err
		}
		env = r.env
	}
	content, err := l.disk.content(m)
	return info, env, content, err
}

// Counts counts the messages in each place without listing them: the files in
// deferred/ and hold/ are counted as they come and go, what is in memory is at
// most queue.incoming_limit and the active ones, and corrupt/ is read. While
// messages move it may be off by those.
func (l *listing) Counts() (map[Place]int64, error) {
	n := l.index.counts()
	n[Deferred] = max(n[Deferred]+l.disk.files.deferred.Load(), 0)
	n[Hold] = max(n[Hold]+l.disk.files.hold.Load(), 0)
	corrupt, err := l.disk.corrupt.IDs()
	n[Corrupt] = int64(len(corrupt))
	return n, diskError(err)
}
