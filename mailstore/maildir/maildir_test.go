package maildir

import (
	"reflect"
	"strings"
	"testing"
)

func TestFolderNames(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{
		"INBOX": "", "inbox": "", "Sent": ".Sent", "A/B": ".A.B", "Inbox/x": ".INBOX.x", "Entwürfe": ".Entw&APw-rfe", "a b~c": ".a b~c",
	} {
		got, err := FolderDir(name, '/')
		if err != nil || got != dir {
			t.Errorf("%q: %q %v", name, got, err)
		}
		if dir == "" {
			continue
		}
		if back, ok := FolderName(dir, '/'); !ok || back != Canonical(name, '/') {
			t.Errorf("%q back: %q %v", dir, back, ok)
		}
	}
	for _, bad := range []string{"", "/", "a//b", "/a", "a/", "a.b", "..", "a\nb", "a\x00", "\xff", strings.Repeat("x", 256), "a/.."} {
		if dir, err := FolderDir(bad, '/'); err == nil {
			t.Errorf("%q became %q", bad, dir)
		}
	}
	if dir, err := FolderDir("A.B", '.'); err != nil || dir != ".A.B" {
		t.Errorf("%q %v", dir, err)
	}
	if _, err := FolderDir("A/B", '.'); err == nil {
		t.Error(`"/" was taken into a folder name`)
	}
	for _, bad := range []string{"", ".", "..", "cur", ".a/b", ".a\x00", "." + strings.Repeat("x", 255)} {
		if name, ok := FolderName(bad, '/'); ok {
			t.Errorf("%q became %q", bad, name)
		}
	}
}

// TestUnusableFolderNames: a folder whose name nobody could choose has one all
// the same, and no other folder has it.
func TestUnusableFolderNames(t *testing.T) {
	t.Parallel()
	for dir, want := range map[string]string{
		".&bad": "\uFFFD26bad", ".x\xff.y": "x\uFFFDFF/y", ".a..b": "a/\uFFFD/b", ".a.": "a/\uFFFD", "...": "\uFFFD/\uFFFD/\uFFFD",
		".inbox": "\uFFFD69nbox", ".INBOX": "\uFFFD49NBOX", ".Inbox.x": "\uFFFD49nbox/x", ".INBOX.x": "INBOX/x",
		".Entw\u00fcrfe": "Entw\uFFFDC3\uFFFDBCrfe", ".&AGE-": "\uFFFD26AGE-", ".a b&": "a b\uFFFD26",
		".&AAo-": "\uFFFD26AAo-", ".&,,0-": "\uFFFD26,,0-", ".&,,0-26bad": "\uFFFD26,,0-26bad", ".&,,0-x": "\uFFFDx",
	} {
		name, ok := FolderName(dir, '/')
		if !ok || name != want {
			t.Errorf("%q: %q %v, want %q", dir, name, ok, want)
		}
		if back, err := FolderDir(name, '/'); err != nil || back != dir {
			t.Errorf("%q: back %q %v", name, back, err)
		}
		if dir, err := NewFolderDir(name, '/'); name != "INBOX/x" && name != "\uFFFDx" && err == nil {
			t.Errorf("%q would be made as %q", name, dir)
		}
	}
	for _, bad := range []string{"\uFFFD61", "x\uFFFD41", "\uFFFD2E", "\uFFFD2F", "\uFFFD26bad/\uFFFD61", "\u00fc\uFFFD26", "a/\uFFFD00"} {
		if dir, err := FolderDir(bad, '/'); err == nil {
			t.Errorf("%q became %q", bad, dir)
		}
	}
}

func TestFileNames(t *testing.T) {
	t.Parallel()
	base := BaseName(1e9, IDName("ABC123"), "host", 10, 12)
	if base != "1000000000.QABC123_.host,S=10,W=12" || ID(base) != "ABC123" || Seconds(base) != 1e9 {
		t.Errorf("%q %q", base, ID(base))
	}
	name := FileName(base, Seen|Flagged|1<<2|Passed)
	if name != base+":2,FPSc" {
		t.Errorf("%q", name)
	}
	back, flags, ok := Split(name)
	if !ok || back != base || flags != Seen|Flagged|1<<2|Passed {
		t.Errorf("%q %b %v", back, flags, ok)
	}
	for _, c := range []struct {
		file, base string
		flags      Flags
		ok         bool
	}{
		{"x", "x", 0, true}, {"x:2,", "x", 0, true}, {"x:2,SF", "x", Seen | Flagged, true}, {"x:2,S,extra", "x", Seen, true},
		{"x:1,S", "x", 0, true}, {"x:2,?", "x", 0, true}, {".x", "", 0, false}, {"", "", 0, false}, {":2,S", "", 0, false}, {"a\nb", "", 0, false},
	} {
		if b, f, ok := Split(c.file); b != c.base || f != c.flags || ok != c.ok {
			t.Errorf("%q: %q %b %v", c.file, b, f, ok)
		}
	}
	for base, want := range map[string][2]int64{
		"1.M.h,S=29,W=33": {29, 33}, "1.M.h,W=33": {-1, 33}, "1.M.h": {-1, -1}, "1.M.h,S=-1,W=x": {-1, -1}, "1.M.h,S=99999999999999999999": {-1, -1},
	} {
		if s, w := Sizes(base); s != want[0] || w != want[1] {
			t.Errorf("%q: %d %d", base, s, w)
		}
	}
	for _, other := range []string{"1.M211355P17731.vm,S=29", "1.Qabc.host", "1", "", "1.Q5.host"} {
		if id := ID(other); id != "" {
			t.Errorf("%q has ID %q", other, id)
		}
	}
	if h := Host("a/b:c,d"); strings.ContainsAny(h, "/:,") {
		t.Error(h)
	}
}

// What Dovecot 2.3.19 wrote.
const (
	dovecotUIDList = "3 V1795501782 N4 G1306a50cd62e056b4345000083ecc375\n" +
		"1 :1795501782.M211355P17731.vm,S=29,W=33\n" +
		"2 W40 Ppop3-id :1795501782.M268714P17733.vm,S=29\n"
	dovecotKeywords      = "0 kw1\n1 $Forwarded\n"
	dovecotSubscriptions = "V\t2\n\nEntw&APw-rfe\nJunk\na\tb\nFoo\tSub\n"
	dovecotDirSize       = "1073741824S\n0 0\n29 1\n29 1\n29 1\n29 1\n-29 -1\n"
)

// TestFlagsOfOddNames: every letter counts, wherever it stands and however often;
// what is no flag (blanks, control characters, octets above ASCII) ends nothing,
// and stays when the flags change. A second comma ends the letters.
func TestFlagsOfOddNames(t *testing.T) {
	t.Parallel()
	const a, b, z Flags = 1, 1 << 1, 1 << 25
	for rest, want := range map[string]struct {
		flags Flags
		next  string // with Flagged added
	}{
		":2,zz ab":     {z | a | b, ":2, Fabz"},
		":2,zzab":      {z | a | b, ":2,Fabz"},
		":2,a\tb":      {a | b, ":2,\tFab"},
		":2,\x01a\x7f": {a, ":2,\x01Fa\x7f"},
		":2, S":        {Seen, ":2, FS"},
		":2,S\r":       {Seen, ":2,\rFS"},
		":2,aazz":      {a | z, ":2,Faz"},
		":2,\xffS":     {Seen, ":2,FS\xff"},
		":2,S a,b T":   {Seen | a, ":2, FSa,b T"},
		":2,":          {0, ":2,F"},
	} {
		base, flags, ok := Split("x" + rest)
		if !ok || base != "x" || flags != want.flags {
			t.Errorf("%q: %q %b %v", rest, base, flags, ok)
		}
		if next := Respell(rest, flags|Flagged); next != want.next {
			t.Errorf("%q with \\Flagged: %q, want %q", rest, next, want.next)
		}
	}
}

func TestUIDList(t *testing.T) {
	t.Parallel()
	l, err := ParseUIDList([]byte(dovecotUIDList))
	if err != nil || l.UIDValidity != 1795501782 || l.NextUID != 4 || l.GUID != "1306a50cd62e056b4345000083ecc375" || l.Skipped != 0 {
		t.Fatalf("%+v %v", l, err)
	}
	want := []UIDEntry{
		{UID: 1, Base: "1795501782.M211355P17731.vm,S=29,W=33", Stored: -1, Wire: -1},
		{UID: 2, Base: "1795501782.M268714P17733.vm,S=29", Stored: -1, Wire: 40, Extra: "Ppop3-id "},
	}
	if !reflect.DeepEqual(l.Entries, want) {
		t.Errorf("%+v", l.Entries)
	}
	if got := string(l.Append(nil)); got != dovecotUIDList {
		t.Errorf("%q", got)
	}
	old, err := ParseUIDList([]byte("1 1000 9\n3 a:2,S\n2 b\n5 c"))
	if err != nil || old.UIDValidity != 1000 || old.NextUID != 9 || len(old.Entries) != 1 || old.Entries[0].Base != "a" || old.Skipped != 2 {
		t.Errorf("%+v %v", old, err)
	}
	for _, bad := range []string{"", "2 V1 N1\n", "3 N5\n", "x"} {
		if _, err := ParseUIDList([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestSmallFiles(t *testing.T) {
	t.Parallel()
	names := ParseKeywords([]byte(dovecotKeywords))
	if !reflect.DeepEqual(names, []string{"kw1", "$Forwarded"}) || string(AppendKeywords(nil, names)) != dovecotKeywords {
		t.Errorf("%q", names)
	}
	if got := ParseKeywords([]byte("2 c\nx y\n99 far\n-1 n\n1 (bad\n0")); !reflect.DeepEqual(got, []string{"", "", "c"}) {
		t.Errorf("%q", got)
	}
	subs := ParseSubscriptions([]byte(dovecotSubscriptions), '/')
	if !reflect.DeepEqual(subs, []string{"Entwürfe", "Junk", "a/b", "Foo/Sub"}) || string(AppendSubscriptions(nil, subs, '/')) != dovecotSubscriptions {
		t.Errorf("%q", subs)
	}
	if got := ParseSubscriptions([]byte("INBOX\nA.B\n..\nC\n"), '/'); !reflect.DeepEqual(got, []string{"INBOX", "A/B", "C"}) {
		t.Errorf("%q", got)
	}
	d, ok := ParseDirSize([]byte(dovecotDirSize))
	if !ok || d != (DirSize{QuotaBytes: 1 << 30, Bytes: 87, Messages: 3}) {
		t.Errorf("%+v %v", d, ok)
	}
	d.QuotaMessages = 5
	if got := string(d.Append(nil)); got != "1073741824S,5C\n87 3\n" {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{"", "100S", "xS\n", "1S\n1\n", "1S\n1 1", "1S\n-5 -1\n", "1S\na b\n"} {
		if d, ok := ParseDirSize([]byte(bad)); ok {
			t.Errorf("%q: %+v", bad, d)
		}
	}
}

func FuzzUIDList(f *testing.F) {
	f.Add([]byte(dovecotUIDList))
	f.Add([]byte("1 1000 9\n3 a:2,S\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseUIDList(data)
		if err != nil {
			return
		}
		again, err := ParseUIDList(l.Append(nil))
		if err != nil || again.Skipped != 0 || again.NextUID != l.NextUID || !reflect.DeepEqual(again.Entries, l.Entries) {
			t.Fatalf("%v\n%+v\n%+v", err, l, again)
		}
	})
}

func FuzzFileName(f *testing.F) {
	f.Add("1795501782.M268714P17733.vm,S=29,W=33:2,Sab")
	f.Add("1.Qid_.h:2,DFPRST")
	f.Fuzz(func(t *testing.T, name string) {
		base, flags, ok := Split(name)
		if !ok {
			return
		}
		again, same, ok := Split(FileName(base, flags))
		if !ok || again != base || same != flags {
			t.Fatalf("%q: %q %b, then %q %b", name, base, flags, again, same)
		}
		if s, w := Sizes(base); s < -1 || w < -1 {
			t.Fatal(s, w)
		}
		// A change of flags and back loses nothing that is not ours.
		rest := name[len(base):]
		for _, f := range []Flags{0, flags, flags ^ Seen, Draft | Trashed | 1 | 1<<25} {
			next := Respell(rest, f)
			b, got, ok := Split(base + next)
			if !ok || b != base || got != f || foreign(next) != foreign(rest) && foreign(rest) != "" {
				t.Fatalf("%q with %b is %q: %q %b", rest, f, next, b, got)
			}
			if again := Respell(next, f); again != next {
				t.Fatalf("%q is not stable: %q", next, again)
			}
		}
		_ = ID(base)
	})
}

// foreign is what is not ours behind a base name.
func foreign(rest string) string {
	i := strings.LastIndex(rest, ":2,")
	if i < 0 || strings.Contains(rest[i+1:], ":") {
		return ""
	}
	letters, more, found := strings.Cut(rest[i+3:], ",")
	kept := rest[:i]
	for k := range len(letters) {
		if c := letters[k]; (c < 'a' || c > 'z') && !strings.Contains("DFPRST", string(rune(c))) {
			kept += letters[k : k+1]
		}
	}
	if found {
		kept += "," + more
	}
	return kept
}

func FuzzFolderName(f *testing.F) {
	f.Add(".Entw&APw-rfe.x")
	f.Add("a/b")
	f.Fuzz(func(t *testing.T, s string) {
		if name, ok := FolderName(s, '/'); ok {
			if back, err := FolderDir(name, '/'); err != nil || back != s {
				t.Fatalf("%q is %q, back %q %v", s, name, back, err)
			}
		}
		if dir, err := FolderDir(s, '/'); err == nil && dir != "" {
			if back, ok := FolderName(dir, '/'); !ok || back != Canonical(s, '/') {
				t.Fatalf("%q is %q, back %q %v", s, dir, back, ok)
			}
			if strings.ContainsAny(dir, "/\x00") {
				t.Fatalf("%q is no file name", dir)
			}
		}
		if dir, err := NewFolderDir(s, '/'); err == nil && strings.ContainsAny(dir, "/\x00\n\uFFFD") {
			t.Fatalf("%q would be made as %q", s, dir)
		}
	})
}

func FuzzSmallFiles(f *testing.F) {
	f.Add([]byte(dovecotKeywords))
	f.Add([]byte(dovecotSubscriptions))
	f.Add([]byte(dovecotDirSize))
	f.Fuzz(func(t *testing.T, data []byte) {
		k := ParseKeywords(data)
		if again := ParseKeywords(AppendKeywords(nil, k)); !reflect.DeepEqual(again, k) {
			t.Fatalf("keywords %q %q", k, again)
		}
		s := ParseSubscriptions(data, '/')
		if again := ParseSubscriptions(AppendSubscriptions(nil, s, '/'), '/'); !reflect.DeepEqual(again, s) {
			t.Fatalf("subscriptions %q %q", s, again)
		}
		if d, ok := ParseDirSize(data); ok {
			if again, ok := ParseDirSize(d.Append(nil)); !ok || again != d {
				t.Fatalf("maildirsize %+v %+v", d, again)
			}
		}
	})
}
