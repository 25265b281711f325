package box

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/volume"
)

// keywordsFile has the names of the letters, as Dovecot writes it.
const keywordsFile = "dovecot-keywords"

// keywords are the names of the flags of a mailbox: those of the protocol, and the
// keywords that it has, in the index and in two files. What the files say goes into the
// batch that a method is given; its caller commits. It is the mailbox's, under its lock.
type keywords struct {
	files *folder
	// sets are the flags of a FlagSet, shared by all messages that have the same.
	sets map[index.FlagSet][]imap.Flag
	// read is the mtime of dovecot-keywords as read or written.
	read int64
}

// none forgets what is known of the state of before.
func (k *keywords) none() { k.sets = map[index.FlagSet][]imap.Flag{} }

// set is the flags of flagSet, shared by all messages that have the same.
func (k *keywords) set(st *index.State, flagSet index.FlagSet) []imap.Flag {
	set, ok := k.sets[flagSet]
	if ok {
		return set
	}
	for _, s := range systemFlags() {
		if flagSet.Flags&s.bit != 0 {
			set = append(set, s.flag)
		}
	}
	set = appendKeywords(set, st, flagSet)
	set = slices.Clip(set)
	if len(k.sets) >= maxFlagSets {
		clear(k.sets)
	}
	k.sets[flagSet] = set
	return set
}

// maxFlagSets is how many different sets of flags are kept to be shared. It is no
// parameter: it bounds memory that saves memory, and beyond it sets are not shared.
const maxFlagSets = 1024

// appendKeywords appends the names of the keywords in flagSet, each once.
func appendKeywords(set []imap.Flag, st *index.State, flagSet index.FlagSet) []imap.Flag {
	system := len(set)
	add := func(i int) {
		if i >= len(st.Keywords) || st.Keywords[i] == "" {
			return
		}
		k := imap.Flag(st.Keywords[i])
		for _, have := range set[system:] {
			if strings.EqualFold(string(have), string(k)) {
				return
			}
		}
		set = append(set, k)
	}
	for i := range maildir.MaxKeywords {
		if flagSet.Flags&(1<<i) != 0 {
			add(i)
		}
	}
	for _, i := range flagSet.Keywords.Numbers() {
		add(i)
	}
	return set
}

// learn logs into the batch what dovecot-keywords says and the state
// does not. Names that only the index knows stay.
func (k *keywords) learn(st *index.State, batch *index.Batch) error {
	name := filepath.Join(k.files.path, keywordsFile)
	info, err := k.files.vol.FS.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if volume.Odd(err) {
		k.files.vol.SayOnce(name, "a small file that cannot be read", err)
		return nil
	}
	if err != nil {
		return err
	}
	mtime := info.ModTime().UnixNano()
	if mtime == k.read {
		return nil
	}
	data, err := volume.ReadFile(k.files.vol.FS, name)
	if volume.Odd(err) {
		k.files.vol.SayOnce(name, "a small file that cannot be read", err)
		return nil
	}
	if err != nil {
		return err
	}
	for i, name := range maildir.ParseKeywords(data) {
		if name == "" || i < len(st.Keywords) && st.Keywords[i] == name {
			continue
		}
		batch.Keyword(i, name)
	}
	k.read = mtime
	if batch.Empty() {
		return nil
	}
	clear(k.sets)
	return nil
}

// nameLetters gives keyword letters that are in use and have no name, because
// dovecot-keywords was lost, the name that Dovecot gives them. Without one the
// next new keyword would get the letter, and be on messages that nobody put it on.
func (k *keywords) nameLetters(st *index.State, batch *index.Batch, flags maildir.Flags) {
	for i := range maildir.MaxKeywords {
		if flags&(1<<i) == 0 || batch.Names(i) || i < len(st.Keywords) && st.Keywords[i] != "" {
			continue
		}
		name := "unknown-" + strconv.Itoa(i)
		for !st.Keyword(name).Empty() {
			name += "-"
		}
		batch.Keyword(i, name)
		clear(k.sets)
	}
}

// add gives keywords the next free numbers; the first 26 have a letter,
// for Dovecot too. When there are more than store.max_keywords, those that are
// left get none, or, with all set, none does and the error is ErrLimit. The
// locks are held.
func (k *keywords) add(st *index.State, batch *index.Batch, wanted []string, all bool) (index.FlagSet, error) {
	file := filepath.Join(k.files.path, keywordsFile)
	var flagSet index.FlagSet
	done, err := k.files.vol.ReplaceLocked(file, func() ([]byte, error) {
		data, err := volume.ReadFile(k.files.vol.FS, file)
		if err != nil {
			return nil, err
		}
		merged := index.State{Keywords: mergeKeywords(st.Keywords, maildir.ParseKeywords(data))}
		for _, name := range wanted {
			mark := merged.Keyword(name)
			if mark.Empty() {
				mark = takeNumber(&merged, name, k.files.vol.Config.MaxKeywords)
			}
			if mark.Empty() && all {
				return nil, fmt.Errorf("%w: %s has store.max_keywords keywords already", volume.ErrLimit, k.files.path)
			}
			flagSet = flagSet.Or(mark)
		}
		for i, name := range merged.Keywords {
			if name != "" && (i >= len(st.Keywords) || st.Keywords[i] != name) {
				batch.Keyword(i, name)
			}
		}
		return maildir.AppendKeywords(nil, merged.Keywords[:min(len(merged.Keywords), maildir.MaxKeywords)]), nil
	})
	if err != nil {
		batch.Reset()
		return index.FlagSet{}, err
	}
	if !done {
		return index.FlagSet{}, volume.ErrBusy // for two minutes at most
	}
	clear(k.sets)
	if info, err := k.files.vol.FS.Stat(file); err == nil {
		k.read = info.ModTime().UnixNano()
	}
	return flagSet, nil
}

// mergeKeywords is what the index knows with what is in the file: Dovecot may
// have added some, and a letter must not get two names.
func mergeKeywords(known, file []string) []string {
	names := append([]string(nil), known...)
	for i, k := range file {
		for len(names) <= i {
			names = append(names, "")
		}
		if k != "" {
			names[i] = k
		}
	}
	return names
}

// takeNumber gives name the next free number, none when limit are taken.
func takeNumber(st *index.State, name string, limit int) index.FlagSet {
	i := st.FreeKeyword(limit)
	if i < 0 {
		return index.FlagSet{}
	}
	for len(st.Keywords) <= i {
		st.Keywords = append(st.Keywords, "")
	}
	st.Keywords[i] = name
	return index.KeywordFlag(i)
}

// moreKeywordsFile has the keywords without a letter, for who has lost the
// index. It is written with dovecot-uidlist.
const moreKeywordsFile = "toastmaster.keywords"

// writeMore brings it up to date. A mailbox whose keywords all have a
// letter has none.
func (k *keywords) writeMore(st *index.State) error {
	if len(st.Keywords) <= maildir.MaxKeywords {
		return nil
	}
	data := maildir.AppendMoreKeywords(nil, st.Keywords)
	for _, m := range st.Messages {
		if m.Rare != nil {
			data = maildir.AppendMessageKeywords(data, m.Name, m.Rare.Keywords.Numbers())
		}
	}
	return k.files.vol.ReplaceFile(k.files.path, moreKeywordsFile, data)
}

// readMore logs the names of keywords without a letter into the batch,
// for a rebuild, and returns the keywords of each message. A number that has
// another name by now is another number here.
func (k *keywords) readMore(st *index.State, batch *index.Batch) (map[string]index.Keywords, error) {
	data, err := volume.ReadFile(k.files.vol.FS, filepath.Join(k.files.path, moreKeywordsFile))
	if volume.Odd(err) {
		k.files.vol.SayOnce(filepath.Join(k.files.path, moreKeywordsFile), "a small file that cannot be read", err)
		return nil, nil
	}
	if err != nil || len(data) == 0 {
		return nil, err
	}
	more := maildir.ParseMoreKeywords(data, index.MaxKeywords)
	flagSet := make(map[int]index.FlagSet, len(more.Names))
	numbers := slices.Sorted(maps.Keys(more.Names))
	free := len(st.Keywords)
	if n := len(numbers); n > 0 {
		free = max(free, numbers[n-1]+1)
	}
	for _, i := range numbers {
		name := more.Names[i]
		if mark := st.Keyword(name); !mark.Empty() {
			flagSet[i] = mark
			continue
		}
		to := i
		if i < len(st.Keywords) && st.Keywords[i] != "" {
			to, free = free, free+1
		}
		batch.Keyword(to, name)
		flagSet[i] = index.KeywordFlag(to)
	}
	byName := make(map[string]index.Keywords, len(more.Messages))
	for base, numbers := range more.Messages {
		var m index.FlagSet
		for _, n := range numbers {
			m = m.Or(flagSet[n])
		}
		byName[base] = m.Keywords
	}
	return byName, nil
}

// systemFlags in the order of Info.Flags.
func systemFlags() []struct {
	flag imap.Flag
	bit  maildir.Flags
} {
	return []struct {
		flag imap.Flag
		bit  maildir.Flags
	}{
		{imap.FlagAnswered, maildir.Replied},
		{imap.FlagFlagged, maildir.Flagged},
		{imap.FlagDeleted, maildir.Trashed},
		{imap.FlagSeen, maildir.Seen},
		{imap.FlagDraft, maildir.Draft},
	}
}

// systemBit is the bit of a system flag, 0 for anything else. Flags are
// compared without case (RFC 9051 section 2.3.2).
func systemBit(f imap.Flag) maildir.Flags {
	switch len(f) {
	case len(imap.FlagSeen):
		if strings.EqualFold(string(f), string(imap.FlagSeen)) {
			return maildir.Seen
		}
	case len(imap.FlagDraft):
		if strings.EqualFold(string(f), string(imap.FlagDraft)) {
			return maildir.Draft
		}
	}
	for _, s := range systemFlags() {
		if strings.EqualFold(string(f), string(s.flag)) {
			return s.bit
		}
	}
	return 0
}

// imapFlags are the system flags of bits.
func imapFlags(bits maildir.Flags) (flags []imap.Flag) {
	for _, f := range systemFlags() {
		if bits&f.bit != 0 {
			flags = append(flags, f.flag)
		}
	}
	return flags
}
