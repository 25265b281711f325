package mailstore

import (
	"maps"
	"path/filepath"
	"slices"

	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
)

// moreKeywordsFile has the keywords without a letter, for who has lost the
// index. It is written with dovecot-uidlist.
const moreKeywordsFile = "toastmaster.keywords"

// writeMoreKeywords brings it up to date. A mailbox whose keywords all have a
// letter has none.
func (mb *mailbox) writeMoreKeywords() error {
	if len(mb.st.Keywords) <= maildir.MaxKeywords {
		return nil
	}
	data := maildir.AppendMoreKeywords(nil, mb.st.Keywords)
	for _, m := range mb.st.Messages {
		if m.Rare != nil {
			data = maildir.AppendMessageKeywords(data, m.Name, m.Rare.Keywords.Numbers())
		}
	}
	return mb.store().replaceFile(mb.path, moreKeywordsFile, data)
}

// readMoreKeywords logs the names of keywords without a letter into the batch,
// for a rebuild, and returns the keywords of each message. A number that has
// another name by now is another number here.
func (mb *mailbox) readMoreKeywords() (map[string]index.Keywords, error) {
	data, err := readFile(mb.store().fs, filepath.Join(mb.path, moreKeywordsFile))
	if odd(err) {
		mb.store().sayOnce(filepath.Join(mb.path, moreKeywordsFile), "a small file that cannot be read", err)
		return nil, nil
	}
	if err != nil || len(data) == 0 {
		return nil, err
	}
	more := maildir.ParseMoreKeywords(data, index.MaxKeywords)
	marks := make(map[int]index.Marks, len(more.Names))
	numbers := slices.Sorted(maps.Keys(more.Names))
	free := len(mb.st.Keywords)
	if n := len(numbers); n > 0 {
		free = max(free, numbers[n-1]+1)
	}
	for _, i := range numbers {
		name := more.Names[i]
		if mark := mb.st.Keyword(name); !mark.Empty() {
			marks[i] = mark
			continue
		}
		to := i
		if i < len(mb.st.Keywords) && mb.st.Keywords[i] != "" {
			to, free = free, free+1
		}
		mb.batch.Keyword(to, name)
		marks[i] = index.KeywordMark(to)
	}
	byName := make(map[string]index.Keywords, len(more.Messages))
	for base, numbers := range more.Messages {
		var m index.Marks
		for _, n := range numbers {
			m = m.Or(marks[n])
		}
		byName[base] = m.Keywords
	}
	return byName, nil
}
