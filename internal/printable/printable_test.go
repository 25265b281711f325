package printable

import (
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for _, c := range []struct{ in, utf8, ascii string }{
		{"", "", ""},
		{"plain <text> 100%~", "plain <text> 100%~", "plain <text> 100%~"},
		{"Grüße 邮件", "Grüße 邮件", "Gr??e ??"},
		{"a\r\nb\tc\x00d\x7f", "a??b?c?d?", "a??b?c?d?"},
		{"\x1b[31mred\u009b0m", "?[31mred?0m", "?[31mred?0m"},
		{"\u202egnp.exe\u200d\ufeff", "?gnp.exe??", "?gnp.exe??"},
		{"no \xff UTF-8 \xc3", "no ? UTF-8 ?", "no ? UTF-8 ?"},
		{"\ufffd", "?", "?"},
	} {
		if got := UTF8(c.in); got != c.utf8 {
			t.Errorf("UTF8(%q) = %q, want %q", c.in, got, c.utf8)
		}
		if got := ASCII(c.in); got != c.ascii {
			t.Errorf("ASCII(%q) = %q, want %q", c.in, got, c.ascii)
		}
	}
	if got := ASCII("a\nb\r", '\n'); got != "a\nb?" {
		t.Errorf("a kept rune: %q", got)
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\r\n\x1b\xff\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		u, a := UTF8(s), ASCII(s)
		if !utf8.ValidString(u) || utf8.RuneCountInString(u) != utf8.RuneCountInString(s) || len([]rune(a)) != len(a) || UTF8(u) != u || ASCII(a) != a {
			t.Fatalf("%q is %q and %q", s, u, a)
		}
	})
}
