package cleanup

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
	"toastmaster/internal/header"
)

// TestAuthorFieldsAreSeenWhole: no length of a line hides who a message is from.
func TestAuthorFieldsAreSeenWhole(t *testing.T) {
	t.Parallel()
	const bob, alice = "bob@example.test", "alice@example.test"
	for _, blanks := range []int{1000, maxAuthorField - 30, maxAuthorField - 5, maxAuthorField, maxAuthorField + 1, 2 * maxAuthorField} {
		gap := strings.Repeat(" ", blanks)
		for _, header := range []string{
			"From: " + alice + "," + gap + bob, "From: " + alice + ",\n " + gap + bob, "From" + gap + ": " + bob, "X: " + gap + "y\nFrom" + gap + ":" + bob,
		} {
			fields, err := authorsOf(t, envelope.Memory(header+"\n\ntext\n"))
			whole := len(fields) == 1 && fields[0].name == "from" && strings.HasSuffix(fields[0].value, bob)
			if !whole && !errors.Is(err, errAuthorTooLong) {
				t.Errorf("%d blanks: %d fields, %v", blanks, len(fields), err)
			}
		}
	}
	fields, err := authorsOf(t, envelope.Memory("X: "+strings.Repeat("y", 3*maxAuthorField)+"\nFrom: a@b.test\n\n"))
	if err != nil || len(fields) != 1 {
		t.Error(fields, err)
	}
}

// TestWordsAreReadAsForgivingReadersDo: an address in an encoded word that RFC
// 2047 does not allow is one that people see.
func TestWordsAreReadAsForgivingReadersDo(t *testing.T) {
	t.Parallel()
	for _, word := range []string{
		"=?utf-8?b?Ym9iQGV4YW1wbGUudGVzdA==?=",
		"=?utf-8?b?Ym9iQGV4YW1wbGUudGVzdA?=",
		"=?utf-8?B?Ym9iQGV4YW1w bGUudGVzdA=?=",
		"=?utf-8?b?Ym9i*QGV4YW1wbGUudGVzdA==?=",
		"=?utf-8?b?Ym9iQGV4YW1wbGUudGVzdAX?=", // one octet too many: ignored or a garbled end
		"=?utf-8?b?Ym9iQGV4?= \t=?UTF-8?q?ample=2Etest?=",
		"=?utf-8*en?q?bob=40example.test?=",
		"=?us-ascii?q?=zz_bob=40example.test?=",
		"(=?utf-8?q?bob@example.test?=)",
		"x =?utf-7?q?bob+AEA-example.test?=",
		"=?unicode-1-1-utf-7?q?bob+AEA-example+AC4-test?=",
		"=?utf-16be?b?AGIAbwBiAEAAZQB4AGEAbQBwAGwAZQAuAHQAZQBzAHQ=?=",
		"=?utf-32be?b?AAAAYgAAAG8AAABiAAAAQAAAAGUAAAB4AAAAYQAAAG0AAABwAAAAbAAAAGUAAAAuAAAAdAAAAGUAAABzAAAAdA==?=",
		"=?utf-8?b?Ym9i77yg?= =?utf-8?b?ZXhhbXBsZS50ZXN0?=",
		"=?utf-8?b?Ym9i77w=?= =?utf-8?b?oGV4YW1wbGUudGVzdA==?=", // a character in two words
	} {
		found := shownAddresses(word + " <alice@example.test>")
		ok := false
		for _, a := range found {
			ok = ok || a.Local == "bob" && strings.HasPrefix(a.Domain, "example.test")
		}
		if !ok {
			t.Errorf("%s: %v", word, found)
		}
	}
	if text := decodeWords("a =?utf-8?q?b?= =?iso-8859-1?q?=E4?= c =?x?q?d?=e+f =?utf-7?q?1+-2?="); text != "a bä c de+f 1+2" {
		t.Errorf("%q", text)
	}
	if got := shownAddresses("Alice =?utf-8?q?A=2E?= <alice@example.test>"); !slices.ContainsFunc(got, func(a addr.Address) bool { return a.String() == "alice@example.test" }) {
		t.Error(got)
	}
}

// authorsOf are the author fields of a content, in memory and in a file.
func authorsOf(t testing.TB, content envelope.Memory) ([]authorField, error) {
	t.Helper()
	var f [2]authorFields
	for i, c := range []envelope.Content{content, onFile{content}} {
		scanner := header.NewScanner(c)
		for {
			var l header.Line
			if err := scanner.Next(&l); err != nil {
				t.Fatal(err)
			}
			if l.Kind == header.End {
				break
			}
			f[i].line(&l)
		}
	}
	if f[0].err != f[1].err || f[0].err == nil && !slices.Equal(f[0].found, f[1].found) {
		t.Errorf("in memory %.300v, in a file %.300v", f[0], f[1])
	}
	return f[0].found, f[0].err
}

// TestAuthorsBehindABareCROfALongLine: what is far down a line of a large message
// is seen, too.
func TestAuthorsBehindABareCROfALongLine(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 16<<10 - 20, 16<<10 - 3, 16 << 10, 100_000} {
		x := strings.Repeat("x", n)
		got, err := authorsOf(t, envelope.Memory("Subject: "+x+"\rFrom: a@b.test\r c@d.test\rX: "+x+"\rSender: e@f.test\n\n"))
		if err != nil || len(got) != 2 || got[0].value != " a@b.test c@d.test" || got[1].name != "sender" {
			t.Errorf("%d octets: %v %v", n, got, err)
		}
	}
}

// FuzzAuthorFields: nothing in a header makes the search fail, or find what is
// behind its end.
func FuzzAuthorFields(f *testing.F) {
	for _, s := range []string{"From: a@b\n c\n\nFrom: d", "fr\x00om:\r\n\n", "From:\r\rSender: <x>\n", " From: x\n", "From"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if strings.Contains(header, "\n\n") || strings.HasPrefix(header, "\n") {
			return
		}
		before, err := authorsOf(t, envelope.Memory(header))
		after, err2 := authorsOf(t, envelope.Memory(strings.TrimSuffix(header, "\n")+"\n\nFrom: body@example.test\n"))
		if (err == nil) != (err2 == nil) || len(before) != len(after) {
			t.Errorf("%q: %v %v, %v %v", header, before, err, after, err2)
		}
		for _, field := range before {
			shownAddresses(field.value)
		}
	})
}
