package maildir

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestKeywordNames: what another program may have written as a keyword is one, or is
// passed over: it goes to clients as an atom.
func TestKeywordNames(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "$Forwarded", "NonJunk", "a.b-c_d+e[f", "!#&'/:;<=>?@^`|}~", strings.Repeat("k", 255)} {
		if !ValidKeyword(good) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{"", " ", "a b", "a(", "a)", "a{", "a%", "a*", `a"`, `\Seen`, "a]", "a\x1f", "a\x7f", "ä", "a\n", strings.Repeat("k", 256)} {
		if ValidKeyword(bad) {
			t.Errorf("%q is taken", bad)
		}
	}
	for text, want := range map[string][]string{
		"0 a\n1 b\n":        {"a", "b"},
		"25 last\n":         append(make([]string, 25), "last"),
		"26 none\n":         nil,
		"-1 none\n":         nil,
		"0 a\n0 b\n":        {"b"}, // the later one, as for Dovecot
		"0  a\n":            nil,
		"0\n":               nil,
		"a 0\n":             nil,
		"0 " + "a\r\n":      nil,
		"3 d":               {"", "", "", "d"},
		"99999999999 big\n": nil,
	} {
		if got := ParseKeywords([]byte(text)); !slices.Equal(got, want) {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// TestMoreKeywords: keywords without a letter come back as they were written, and what
// is damaged, of another version, or beyond the limit is passed over, line by line.
func TestMoreKeywords(t *testing.T) {
	t.Parallel()
	names := append(make([]string, MaxKeywords), "k26", "", "k28")
	names[0] = "has a letter"
	b := AppendMoreKeywords(nil, names)
	b = AppendMessageKeywords(b, "1.M.h,S=1", []int{28, 26})
	b = AppendMessageKeywords(b, "2.M.h with a blank", []int{27})
	b = AppendMessageKeywords(b, "3.none", nil)
	const want = "toastmaster-keywords 1\nK 26 k26\nK 28 k28\nM 26,28 :1.M.h,S=1\nM 27 :2.M.h with a blank\n"
	if string(b) != want {
		t.Errorf("wrote %q", b)
	}
	k := ParseMoreKeywords([]byte(want), 100)
	if !maps.Equal(k.Names, map[int]string{26: "k26", 28: "k28"}) ||
		!reflect.DeepEqual(k.Messages, map[string][]int{"1.M.h,S=1": {26, 28}, "2.M.h with a blank": {27}}) {
		t.Errorf("read %+v", k)
	}
	for name, c := range map[string]struct {
		text     string
		names    map[int]string
		messages map[string][]int
	}{
		"empty":                  {"", nil, nil},
		"another version":        {"toastmaster-keywords 2\nK 26 a\n", nil, nil},
		"cut in the last":        {moreVersion + "K 26 a\nK 27 b", map[int]string{26: "a"}, nil},
		"one that is a letter's": {moreVersion + "K 25 a\nM 25 :x\n", nil, nil},
		"the last one":           {moreVersion + "K 29 a\nM 29 :x\n", map[int]string{29: "a"}, map[string][]int{"x": {29}}},
		"beyond the limit":       {moreVersion + "K 30 a\nM 30,29 :x\n", nil, map[string][]int{"x": {29}}},
		"no keyword":             {moreVersion + "K 26 a b\nK 27 \nK 28 ü\n", nil, nil},
		"no base":                {moreVersion + "M 26 :\nM 26 x\nM 26\nM :x\n", nil, nil},
		"no number":              {moreVersion + "K x a\nM 26,,x,27 :y\n", nil, map[string][]int{"y": {26, 27}}},
		"unknown kind":           {moreVersion + "X 26 a\nK 26 b\n", map[int]string{26: "b"}, nil},
		"a base with colons":     {moreVersion + "M 26 :a:b\n", nil, map[string][]int{"a:b": {26}}},
	} {
		k := ParseMoreKeywords([]byte(c.text), 30)
		if !maps.Equal(k.Names, c.names) || !maps.EqualFunc(k.Messages, c.messages, slices.Equal) {
			t.Errorf("%s: %+v", name, k)
		}
	}
}

// TestUsualNames: a name is left as it is only when FileName would make the same.
func TestUsualNames(t *testing.T) {
	t.Parallel()
	const all = Draft | Flagged | Passed | Replied | Seen | Trashed | Keywords
	for rest, want := range map[string]struct {
		flags Flags
		usual bool
	}{
		":2,": {0, true}, ":2,S": {Seen, true}, ":2,FS": {Flagged | Seen, true}, ":2,SF": {Flagged | Seen, false}, ":2,SS": {Seen, false}, "": {0, false}, ":": {0, false},
		":1,S": {0, false}, ":2,Sx,y": {Seen | 1<<23, false}, ":2,DFPRSTabcdefghijklmnopqrstuvwxyz": {all, true}, ":2,S,": {Seen, false}, ":2,?S": {Seen, false}, "x:2,S": {Seen, false},
	} {
		base, flags, ok := Split("b" + rest)
		if rest != "x:2,S" && (!ok || base != "b" || flags != want.flags) {
			t.Errorf("%q: %q %b", rest, base, flags)
		}
		if Usual(rest, want.flags) != want.usual {
			t.Errorf("%q: usual %v", rest, !want.usual)
		}
	}
	for rest, want := range map[string]string{"": ":2,S", ":": ":2,S", ":1,x": ":2,S", ":x:2,F": ":x:2,S", ":2,F:2,D": ":2,F:2,S", ":2,?!": ":2,?!S", ":2,Z": ":2,SZ"} {
		if got := Respell(rest, Seen); got != want {
			t.Errorf("%q becomes %q, want %q", rest, got, want)
		}
	}
}

// TestPartsOfBaseNames: times, sizes and IDs are read where they stand, and nowhere else.
func TestPartsOfBaseNames(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]int64{"1.x": 1, "0.x": 0, "17": 17, "-1.x": 0, "x.1": 0, "": 0, "9223372036854775807.x": 1<<63 - 1, "9223372036854775808.x": 0, "1e3.x": 0} {
		if got := Seconds(base); got != want {
			t.Errorf("%q: %d seconds", base, got)
		}
	}
	for base, want := range map[string][2]int64{
		"1.x,S=0,W=0": {0, 0}, "1.x,W=2,S=1": {1, 2}, "1.x,S=1,S=2": {2, -1}, "S=1": {-1, -1}, "1.x,s=1": {-1, -1}, "1.x,S=1:2,S": {-1, -1}, "1.x,FS=1,S=2": {2, -1},
		"1.x,S=9223372036854775807": {1<<63 - 1, -1}, "1.x,S=1,W=-1": {1, -1}, ",S=3": {3, -1},
	} {
		if s, w := Sizes(base); s != want[0] || w != want[1] {
			t.Errorf("%q: %d %d", base, s, w)
		}
	}
	for base, want := range map[string]string{
		"1.Qa_.h": "a", "1.Q_.h": "", "1.Qa_b_.h": "a_b", "1.Qa_h": "", "1.qa_.h": "", "1.": "", "Qa_.h": "", "1.Qa.b_.h": "a.b", "1.MQa_.h": "",
	} {
		if got := ID(base); got != want {
			t.Errorf("%q: ID %q, want %q", base, got, want)
		}
	}
	for name, want := range map[string]string{"mx.test": "mx.test", "a/b": `a\057b`, "a:b,c": `a\072b\054c`} {
		if got := Host(name); got != want {
			t.Errorf("%q becomes %q", name, got)
		}
	}
}

// TestUIDListLines: each field of a line is kept or understood, and a line that is not
// one costs nothing but itself.
func TestUIDListLines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text    string
		want    []UIDEntry
		next    uint32
		skipped int
	}{
		"no line":                {"3 V7 N5\n", nil, 5, 0},
		"no line end":            {"3 V7 N5", nil, 5, 0},
		"no next UID":            {"3 V7\n9 :a\n", []UIDEntry{{9, "a", -1, -1, ""}}, 10, 0},
		"a next UID of nothing":  {"3 V7 N0\n", nil, 1, 0},
		"a next UID too low":     {"3 V7 N2\n9 :a\n", []UIDEntry{{9, "a", -1, -1, ""}}, 10, 0},
		"a next UID too large":   {"3 V7 N4294967296\n9 :a\n", []UIDEntry{{9, "a", -1, -1, ""}}, 10, 0},
		"sizes":                  {"3 V7 N5\n1 S0 W0 :a\n2 W9 S8 :b\n", []UIDEntry{{1, "a", 0, 0, ""}, {2, "b", 8, 9, ""}}, 5, 0},
		"sizes that are none":    {"3 V7 N5\n1 S-1 Wx S :a\n", []UIDEntry{{1, "a", -1, -1, "S-1 Wx S "}}, 5, 0},
		"a cached field":         {"3 V7 N5\n1 Pid O3 Gx S5 :a\n", []UIDEntry{{1, "a", 5, -1, "Pid O3 Gx "}}, 5, 0},
		"a size too large":       {"3 V7 N5\n1 S9223372036854775808 :a\n", []UIDEntry{{1, "a", -1, -1, "S9223372036854775808 "}}, 5, 0},
		"the largest UID":        {"3 V7 N5\n4294967294 :a\n", []UIDEntry{{4294967294, "a", -1, -1, ""}}, 4294967295, 0},
		"one UID too large":      {"3 V7 N5\n4294967295 :a\n4294967296 :b\n", nil, 5, 2},
		"UIDs of nothing":        {"3 V7 N5\n0 :a\n-1 :b\nx :c\n :d\n\n", nil, 5, 5},
		"the same UID":           {"3 V7 N5\n1 :a\n1 :b\n3 :c\n2 :d\n", []UIDEntry{{1, "a", -1, -1, ""}, {3, "c", -1, -1, ""}}, 5, 2},
		"no name":                {"3 V7 N5\n1\n2 \n3 :\n4 S1\n5 S1 \n6 :.hidden\n7 ::2,S\n", nil, 5, 7},
		"flags in a name":        {"3 V7 N5\n1 :a:2,S\n", []UIDEntry{{1, "a", -1, -1, ""}}, 5, 0},
		"two blanks":             {"3 V7 N5\n1  :a\n", nil, 5, 1},
		"cut in the last line":   {"3 V7 N5\n1 :a\n2 :b", []UIDEntry{{1, "a", -1, -1, ""}}, 5, 1},
		"a name with blanks":     {"3 V7 N5\n1 :a b :c\n", []UIDEntry{{1, "a b ", -1, -1, ""}}, 5, 0},
		"version 1":              {"1 7 5\n1 a\n2 b:2,S\n3 c\n", []UIDEntry{{1, "a", -1, -1, ""}, {2, "b", -1, -1, ""}, {3, "c", -1, -1, ""}}, 5, 0},
		"version 1, no name":     {"1 7 5\n1\n2 \n3 :2,S\n", nil, 5, 3},
		"another field of first": {"3 V7 N5 Xy Gabc\n", nil, 5, 0},
	} {
		l, err := ParseUIDList([]byte(c.text))
		if err != nil || l.UIDValidity != 7 || l.NextUID != c.next || l.Skipped != c.skipped || !slices.Equal(l.Entries, c.want) {
			t.Errorf("%s: %+v, %v", name, l, err)
			continue
		}
		again, err := ParseUIDList(l.Append(nil))
		if err != nil || again.NextUID != l.NextUID || !slices.Equal(again.Entries, l.Entries) || again.GUID != l.GUID {
			t.Errorf("%s: again %+v, %v", name, again, err)
		}
	}
	long := strings.Repeat("x", 1000)
	for _, bad := range []string{"", "\n", "2 V7 N5\n", "3 \n", "3 V0 N5\n", "3 V4294967296 N5\n", "3 N5\n", "1 7\n", "1 x 5\n", "1 0 5\n", "4 7 5\n", long} {
		l, err := ParseUIDList([]byte(bad))
		if !errors.Is(err, ErrVersion) || l != nil || len(err.Error()) > 120 {
			t.Errorf("%.50q: %+v, %.200v", bad, l, err)
		}
	}
}

// TestUIDLsAndGUIDs: the ids that another server has told its POP3 clients, and those of
// its index, are found where they are, and none is made up.
func TestUIDLsAndGUIDs(t *testing.T) {
	t.Parallel()
	const list = "3 V7 N9\n1 :a\n2 Puidl-2 :b\n3 Gguid-3 W7 :c\n4 P :d\n5 G :e\n6 Pone Ptwo Gx :f\n7 Pbad\x01 Gbad\x7f :g\n8 p9 xP9 :h\n"
	if got, want := SavedUIDLs([]byte(list)), (map[string]string{"b": "uidl-2", "d": "d", "f": "two"}); !maps.Equal(got, want) {
		t.Errorf("UIDLs %q, want %q", got, want)
	}
	if got, want := GUIDs([]byte(list)), (map[string]string{"c": "guid-3", "f": "x"}); !maps.Equal(got, want) {
		t.Errorf("GUIDs %q, want %q", got, want)
	}
	for _, none := range []string{"", "3 V7 N9 Gheader\n1 :a\n", "4 V7 Px Gx\n1 Px Gx :a\n", "1 7 9\n1 a Px Gx\n"} {
		if u, g := SavedUIDLs([]byte(none)), GUIDs([]byte(none)); len(u)+len(g) > 0 {
			t.Errorf("%q: %q %q", none, u, g)
		}
	}
	for id, want := range map[string]bool{"": false, "!": true, "~": true, " ": false, "\x7f": false, "a b": false, "ü": false, strings.Repeat("x", 70): true} {
		if ValidUIDL(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
}

// TestSubscriptionFiles in both forms, with names that no mailbox can have.
func TestSubscriptionFiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                          nil,
		"V\t2\n":                    nil,
		"V\t2\n\nA\tB\n":            {"A/B"},
		"V\t2\n\nINBOX\nINBOX\tx\n": {"INBOX", "INBOX/x"},
		"V\t2\n\nA.B\n":             {"A/B"},
		"A\tB\n":                    nil, // a tab is no part of an old name
		".A\n":                      nil,
		"A/B\nC\n":                  {"C"},
		"A\r\nB\n":                  {"B"},
		"Entw&APw-rfe":              {"Entwürfe"},
		"V\t3\nA\n":                 {"A"},
		"A\n" + strings.Repeat("x", 300) + "\nB\n": {"A", "B"},
	} {
		if got := ParseSubscriptions([]byte(text), '/'); !slices.Equal(got, want) {
			t.Errorf("%.30q: %q, want %q", text, got, want)
		}
	}
	const wrote = "V\t2\n\nINBOX\nA\tB\nEntw&APw-rfe\n"
	if got := string(AppendSubscriptions(nil, []string{"INBOX", "A/B", "", "a//b", "a\nb", "\uFFFD/x", "x\uFFFD0Ay", "Entwürfe", strings.Repeat("x", 300)}, '/')); got != wrote {
		t.Errorf("wrote %q", got)
	}
}

// TestDirSizes: limits and sums of maildirsize at their bounds.
func TestDirSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]DirSize{
		"\n":                      {},
		"5S\n":                    {QuotaBytes: 5},
		"5S,7C\n":                 {QuotaBytes: 5, QuotaMessages: 7},
		"7C\n1 1\n":               {QuotaMessages: 7, Bytes: 1, Messages: 1},
		",5S,\n":                  {QuotaBytes: 5},
		"0S\n0 0\n":               {},
		"5S,9X\n":                 {QuotaBytes: 5},
		"5S\n  10   2  \n-3 -1\n": {QuotaBytes: 5, Bytes: 7, Messages: 1},
		"5S\n3 1\n-3 -1\n":        {QuotaBytes: 5},
		"5S\n-3 -1\n3 1\n":        {QuotaBytes: 5},
	} {
		d, ok := ParseDirSize([]byte(text))
		if !ok || d != want {
			t.Errorf("%q: %+v %v", text, d, ok)
		}
		if again, ok := ParseDirSize(d.Append(nil)); !ok || again != d {
			t.Errorf("%q: again %+v %v", text, again, ok)
		}
	}
	for _, bad := range []string{"-5S\n", "S\n", "5S\n1\n", "5S\n1 2 3\n", "5S\n1 x\n", "5S\nx 1\n", "5S\n\n", "5S\n-1 1\n", "5S\n1 -1\n", "5S\n1 1\n2 2"} {
		if d, ok := ParseDirSize([]byte(bad)); ok {
			t.Errorf("%q: %+v", bad, d)
		}
	}
	for d, want := range map[DirSize]string{{}: "\n0 0\n", {QuotaBytes: 1}: "1S\n0 0\n", {QuotaMessages: 1, Bytes: 2, Messages: 3}: "1C\n2 3\n"} {
		if got := string(d.Append(nil)); got != want {
			t.Errorf("%+v is %q", d, got)
		}
	}
}

// TestFolderNamesAtTheEdges: how long a name may be, and which characters it may have.
func TestFolderNamesAtTheEdges(t *testing.T) {
	t.Parallel()
	x := func(n int) string { return strings.Repeat("x", n) }
	for name, want := range map[string]struct{ is, new bool }{
		x(239): {true, true}, x(240): {true, false}, x(254): {true, false}, x(255): {false, false}, // with the dot before them
		"ü" + x(234): {true, true}, "ü" + x(235): {true, false}, // &APw-
		x(120) + "/" + x(118): {true, true}, x(120) + "/" + x(119): {true, false},
		" ": {true, true}, "~": {true, true}, "&": {true, true}, "%*": {true, true}, "\x1f": {false, false}, "\x7f": {false, false}, "\u0080": {false, false}, "\u009f": {false, false},
		"\u00a0": {true, true}, "\u2028": {false, false}, "\u2029": {false, false}, "\u2027": {true, true}, "a/b.c": {false, false}, "\uFFFD": {false, false}, "a/\uFFFD": {true, false},
		// The mark is a character as others, unless two hex digits follow it.
		"\uFFFDx": {true, true}, "a\uFFFD": {true, true}, "a\uFFFD4": {true, true}, "a\uFFFD4g": {true, true}, "a\uFFFDg4": {true, true}, "a\uFFFDc3": {true, true}, "a\uFFFDC3": {true, false},
	} {
		dir, err := FolderDir(name, '/')
		newDir, newErr := NewFolderDir(name, '/')
		if (err == nil) != want.is || (newErr == nil) != want.new {
			t.Errorf("%.20q (%d): %.20q %v, new %.20q %v", name, len(name), dir, err, newDir, newErr)
		}
		if err != nil {
			continue
		}
		if back, ok := FolderName(dir, '/'); !ok || back != name {
			t.Errorf("%.20q is %.20q, and back %.20q %v", name, dir, back, ok)
		}
	}
	for name, want := range map[string]string{"inbox": "INBOX", "InBox/a": "INBOX/a", "inboxes": "inboxes", "a/inbox": "a/inbox", "inbox/inbox": "INBOX/inbox", "": ""} {
		if got := Canonical(name, '/'); got != want {
			t.Errorf("%q is spelt %q", name, got)
		}
	}
}
