package mailstore

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/maildir"
)

// The model of TestModel. A mailbox is a list of messages and a number that goes
// up by one with each step that changes something; beside it a folder with files,
// in which other programs do as they like, and which somebody looks at now and
// then. The model knows of no index, lock or process.

// modelFile is a name in new or cur, and what is in the file.
type modelFile struct {
	base  string
	flags maildir.Flags
	inNew bool
	id    string // the subject
	date  int64
}

func (f modelFile) path() string {
	if f.inNew {
		return "new/" + f.base
	}
	return "cur/" + maildir.FileName(f.base, f.flags)
}

type modelMessage struct {
	uid    uint32
	modSeq uint64
	modelFile
	// hearsay, of a message that is no more: these processes, bit by bit, may not
	// have heard of its last change.
	hearsay uint
}

type modelBox struct {
	name, path string
	msgs       []*modelMessage // ascending by UID
	graves     map[uint32]*modelMessage
	next       uint32
	modSeq     uint64
	recent     uint32 // the first UID that nobody took
	keywords   []string
	disk       map[string]modelFile
	unnamed    []*modelMessage // made by this step
	// removed are names that sessions removed: what comes back under one of them
	// is no mail.
	removed map[string]bool
	// changes counts; knows is up to which of them a process has heard, and lost
	// are the processes that have not read the index since it was lost.
	changes int
	knows   [2]int
	lost    uint
}

func newModelBox(name, path string) *modelBox {
	return &modelBox{name: name, path: path, next: 1, modSeq: 1, recent: 1,
		graves: map[uint32]*modelMessage{}, disk: map[string]modelFile{}, removed: map[string]bool{}}
}

func (b *modelBox) find(uid uint32) *modelMessage {
	i, ok := slices.BinarySearchFunc(b.msgs, uid, func(m *modelMessage, uid uint32) int { return cmp.Compare(m.uid, uid) })
	if !ok {
		return nil
	}
	return b.msgs[i]
}

// last is what a message is, or last was.
func (b *modelBox) last(uid uint32) *modelMessage {
	if m := b.find(uid); m != nil {
		return m
	}
	return b.graves[uid]
}

// stepped ends a step that changed something.
func (b *modelBox) stepped() {
	b.modSeq++
	b.changes++
}

// heard notes that a process knows all.
func (b *modelBox) heard(proc int) {
	b.knows[proc] = b.changes
	b.lost &^= 1 << proc
}

func (b *modelBox) stale(proc int) bool { return b.knows[proc] != b.changes || b.lost&(1<<proc) != 0 }

// bury ends messages.
func (b *modelBox) bury(gone func(*modelMessage) bool) (n int) {
	b.msgs = slices.DeleteFunc(b.msgs, func(m *modelMessage) bool {
		if !gone(m) {
			return false
		}
		n++
		m.hearsay = b.lost
		b.graves[m.uid] = m
		return true
	})
	return n
}

// make adds a message that the store makes; its file gets its name later.
func (b *modelBox) make(f modelFile) *modelMessage {
	f.inNew = f.flags == 0
	m := &modelMessage{uid: b.next, modSeq: b.modSeq + 1, modelFile: f}
	b.next++
	b.msgs, b.unnamed = append(b.msgs, m), append(b.unnamed, m)
	return m
}

// look takes what other programs did: all of it is one step.
func (b *modelBox) look() {
	step, some := b.modSeq+1, false
	unknown := maps.Clone(b.disk)
	gone := b.bury(func(m *modelMessage) bool {
		f, there := b.disk[m.base]
		delete(unknown, m.base)
		if there && f != m.modelFile {
			if f.flags != m.flags {
				m.modSeq, some = step, true
			}
			m.modelFile = f
			b.changes++
		}
		return !there
	})
	files := slices.SortedFunc(maps.Values(unknown), func(x, y modelFile) int {
		return cmp.Or(cmp.Compare(maildir.Seconds(x.base), maildir.Seconds(y.base)), cmp.Compare(x.base, y.base))
	})
	for _, f := range files {
		b.msgs = append(b.msgs, &modelMessage{uid: b.next, modSeq: step, modelFile: f})
		b.next++
	}
	if some || gone > 0 || len(files) > 0 {
		b.stepped()
	}
}

// surprise says that another program did something to a file since somebody looked.
func (b *modelBox) surprise(m *modelMessage) bool { return b.disk[m.base] != m.modelFile }

// systemFlags are those of IMAP, in lower case, as letters.
func systemFlags() map[imap.Flag]maildir.Flags {
	return map[imap.Flag]maildir.Flags{
		`\seen`: maildir.Seen, `\answered`: maildir.Replied, `\flagged`: maildir.Flagged,
		`\deleted`: maildir.Trashed, `\draft`: maildir.Draft,
	}
}

// canonical is a system flag as it is told.
func canonical(f imap.Flag) imap.Flag {
	return f[:1] + imap.Flag(strings.ToUpper(string(f[1:2]))) + f[2:]
}

// letters are the flags as letters; with keep set each new keyword gets one.
func (b *modelBox) letters(flags []imap.Flag, keep bool) (f maildir.Flags) {
	for _, flag := range flags {
		if bit := systemFlags()[imap.Flag(strings.ToLower(string(flag)))]; bit != 0 {
			f |= bit
			continue
		}
		i := slices.Index(b.keywords, string(flag))
		if i < 0 && keep {
			i = len(b.keywords)
			b.keywords = append(b.keywords, string(flag))
			b.changes++
		}
		if i >= 0 {
			f |= 1 << i
		}
	}
	return f
}

// keywordsOf are the keywords of letters.
func (b *modelBox) keywordsOf(f maildir.Flags) (flags []imap.Flag) {
	for i, k := range b.keywords {
		if f&(1<<i) != 0 {
			flags = append(flags, imap.Flag(k))
		}
	}
	return flags
}

// names are the flags of letters, sorted.
func (b *modelBox) names(f maildir.Flags) []imap.Flag {
	flags := b.keywordsOf(f)
	for flag, bit := range systemFlags() {
		if f&bit != 0 {
			flags = append(flags, canonical(flag))
		}
	}
	return slices.Sorted(slices.Values(flags))
}

// store changes flags: first of those that are where they were last seen; then it
// looks, and then come the others.
func (b *modelBox) store(uids []uint32, op FlagOp, flags []imap.Flag, unchangedSince uint64) (modified []uint32) {
	bits := b.letters(flags, op != FlagsRemove)
	once := func(uids []uint32) (surprises []uint32) {
		step, some := b.modSeq+1, false
		for _, uid := range uids {
			m := b.find(uid)
			switch {
			case m == nil:
				continue
			case unchangedSince != 0 && m.modSeq > unchangedSince:
				modified = append(modified, uid)
				continue
			}
			want := m.flags | bits
			switch op {
			case FlagsRemove:
				want = m.flags &^ bits
			case FlagsSet:
				want = bits | m.flags&maildir.Passed
			}
			switch {
			case want == m.flags:
			case b.surprise(m):
				surprises = append(surprises, uid)
			default:
				m.flags, m.inNew, m.modSeq, some = want, false, step, true
				b.disk[m.base] = m.modelFile
			}
		}
		if some {
			b.stepped()
		}
		return surprises
	}
	if surprises := once(uids); len(surprises) > 0 {
		b.look()
		once(surprises)
	}
	slices.Sort(modified)
	return modified
}

// expunge removes messages, wherever their files are.
func (b *modelBox) expunge(uids []uint32) {
	n := b.bury(func(m *modelMessage) bool {
		if !slices.Contains(uids, m.uid) {
			return false
		}
		delete(b.disk, m.base)
		b.removed[m.base] = true
		return true
	})
	if n > 0 {
		b.stepped()
	}
}

// transfer copies or moves messages, all or none; first is the UID of the first
// one, 0 when one of them is no more. After a surprise it looks, and tries again.
func (b *modelBox) transfer(to *modelBox, uids []uint32, move bool) (first uint32) {
	there := func() (msgs []*modelMessage) {
		for _, uid := range uids {
			m := b.find(uid)
			if m == nil {
				return nil
			}
			msgs = append(msgs, m)
		}
		return msgs
	}
	msgs := there()
	if msgs == nil {
		return 0
	}
	name := func() (flags []maildir.Flags) {
		for _, m := range msgs {
			flags = append(flags, m.flags&^maildir.Keywords|to.letters(b.keywordsOf(m.flags), true))
		}
		return flags
	}
	flags := name()
	if slices.ContainsFunc(msgs, b.surprise) {
		b.look()
		if msgs = there(); msgs == nil {
			return 0
		}
		flags = name()
	}
	first = to.next
	for i, m := range msgs {
		to.make(modelFile{flags: flags[i], id: m.id, date: m.date})
		if move {
			delete(b.disk, m.base)
		}
	}
	to.stepped()
	if move {
		b.bury(func(m *modelMessage) bool { return slices.Contains(uids, m.uid) })
		b.stepped()
	}
	return first
}

// settle compares the folder with what is in it, and learns the names of files
// that the store has made.
func (b *modelBox) settle(t *testing.T) {
	t.Helper()
	files := map[string]modelFile{}
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(b.path, sub))
		check(t, err)
		for _, e := range entries {
			base, flags, _ := maildir.Split(e.Name())
			f := modelFile{base: base, flags: flags, inNew: sub == "new"}
			if known, ok := b.disk[base]; ok {
				f.id, f.date = known.id, known.date
			} else {
				f.id, f.date = readSubject(t, filepath.Join(b.path, f.path()))
				b.christen(&f)
			}
			files[base] = f
		}
	}
	if len(b.unnamed) > 0 || !maps.Equal(files, b.disk) {
		t.Fatalf("%s: the folder has\n%v, the model\n%v", b.name, files, b.disk)
	}
}

// christen finds the message that a new file is of.
func (b *modelBox) christen(f *modelFile) {
	for i, m := range b.unnamed {
		if m.id == f.id && m.flags == f.flags && m.inNew == f.inNew {
			f.date = m.date // a file may keep its own, the index has that of the message
			m.base = f.base
			b.disk[f.base] = m.modelFile
			b.unnamed = slices.Delete(b.unnamed, i, i+1)
			return
		}
	}
}

func readSubject(t *testing.T, path string) (id string, date int64) {
	t.Helper()
	data, err := os.ReadFile(path)
	check(t, err)
	info, err := os.Stat(path)
	check(t, err)
	return subjectIn(string(data)), info.ModTime().Unix()
}

func subjectIn(text string) string {
	_, rest, _ := strings.Cut(text, "\nSubject: ")
	id, _, _ := strings.Cut(rest, "\n")
	return id
}
