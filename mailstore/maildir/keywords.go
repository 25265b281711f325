package maildir

import (
	"slices"
	"strconv"
	"strings"
)

// MoreKeywords is the content of toastmaster.keywords: what the names of the
// message files cannot say, because only 26 keywords have a letter. The index
// has it, too; this is for who has lost the index.
//
//	toastmaster-keywords 1
//	K 26 name
//	M 26,30 :base name
type MoreKeywords struct {
	// Names are those of keywords number MaxKeywords and up.
	Names map[int]string
	// Messages are the numbers of a message's keywords, by its base name.
	Messages map[string][]int
}

const moreVersion = "toastmaster-keywords 1\n"

// ParseMoreKeywords reads it; numbers are below limit. Damaged lines are
// skipped, and a file of another version is empty.
func ParseMoreKeywords(data []byte, limit int) MoreKeywords {
	k := MoreKeywords{Names: map[int]string{}, Messages: map[string][]int{}}
	text, ok := strings.CutPrefix(string(data), moreVersion)
	if !ok {
		return k
	}
	number := func(s string) (int, bool) {
		n, err := strconv.Atoi(s)
		return n, err == nil && n >= MaxKeywords && n < limit
	}
	for line := range strings.Lines(text) {
		line, whole := strings.CutSuffix(line, "\n")
		kind, rest, _ := strings.Cut(line, " ")
		first, rest, found := strings.Cut(rest, " ")
		if !whole || !found {
			continue
		}
		switch kind {
		case "K":
			if n, ok := number(first); ok && ValidKeyword(rest) {
				k.Names[n] = rest
			}
		case "M":
			base, named := strings.CutPrefix(rest, ":")
			if !named || base == "" {
				continue
			}
			for s := range strings.SplitSeq(first, ",") {
				if n, ok := number(s); ok {
					k.Messages[base] = append(k.Messages[base], n)
				}
			}
		}
	}
	return k
}

// AppendMoreKeywords begins the file with the names; names[i] is keyword i.
func AppendMoreKeywords(b []byte, names []string) []byte {
	b = append(b, moreVersion...)
	for i := MaxKeywords; i < len(names); i++ {
		if names[i] == "" {
			continue
		}
		b = strconv.AppendInt(append(b, "K "...), int64(i), 10)
		b = append(append(append(b, ' '), names[i]...), '\n')
	}
	return b
}

// AppendMessageKeywords appends a message's line.
func AppendMessageKeywords(b []byte, base string, numbers []int) []byte {
	if len(numbers) == 0 {
		return b
	}
	b = append(b, "M "...)
	for i, n := range slices.Sorted(slices.Values(numbers)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return append(append(append(b, " :"...), base...), '\n')
}
