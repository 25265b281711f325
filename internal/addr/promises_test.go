package addr

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestQuoting: each local part that there can be has one text, which is read back; a
// text without need of quotes has none.
func TestQuoting(t *testing.T) {
	t.Parallel()
	for c := byte(' '); c < 0x7f; c++ {
		for _, local := range []string{string(c), "a" + string(c) + "b", string(c) + "a", "a" + string(c)} {
			a := Address{Local: local, Domain: "example.test"}
			text := a.String()
			got, err := Parse(text)
			if err != nil || got != a {
				t.Errorf("%q is written %s and read %+v, %v", local, text, got, err)
			}
			path, rest, err := ParsePath(a.Path()+" SIZE=1", false)
			if err != nil || path != a || rest != "SIZE=1" {
				t.Errorf("%s: %+v %q %v", a.Path(), path, rest, err)
			}
			if quoted := text[0] == '"'; quoted == isDotString(local) {
				t.Errorf("%q is written %s", local, text)
			}
		}
	}
	for _, dots := range []string{"a.b", "a.b.c"} {
		if got := (Address{Local: dots, Domain: "d"}).String(); got != dots+"@d" {
			t.Error(got)
		}
	}
	for _, dots := range []string{".a", "a.", "a..b", "."} {
		if got := (Address{Local: dots, Domain: "d"}).String(); got != `"`+dots+`"@d` {
			t.Error(got)
		}
	}
}

// TestLimits: 64 octets of local part, 255 of domain, 256 of path, and of octets, not
// of characters.
func TestLimits(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("d", 63)
	long := label + "." + label + "." + label // 191
	for in, ok := range map[string]bool{
		strings.Repeat("a", 64) + "@" + long:                   true,
		strings.Repeat("a", 64) + "@" + long + ".x":            false, // 258 in all
		strings.Repeat("a", 65) + "@d":                         false,
		strings.Repeat("ä", 32) + "@d":                         true,
		strings.Repeat("ä", 33) + "@d":                         false,
		"a@" + label + "." + label + "." + label + "." + label: false,
		"a@" + label + "d":                                     false,
		`"` + strings.Repeat("a", 64) + `"@d`:                  true,
	} {
		if _, err := Parse(in); (err == nil) != ok {
			t.Errorf("%d octets: %v", len(in), err)
		}
	}
}

// TestFolding: case of ASCII and of others, in one step, and nothing but case.
func TestFolding(t *testing.T) {
	t.Parallel()
	for _, same := range [][2]string{{"Alice@example.test", "aLICE@EXAMPLE.TEST."}, {"ÄÖ@b.test", "äö@B.test"}, {`"A b"@c.test`, `"a B"@C.test`}, {"ÉCOLE@d.test", "école@d.test"}} {
		a, err := Parse(same[0])
		b, err2 := Parse(same[1])
		if err != nil || err2 != nil || !a.Equal(b) || a.Key() != b.Key() {
			t.Errorf("%q and %q: %v %v", same[0], same[1], a.Key(), b.Key())
		}
		if a.Fold() != a.Fold().Fold() {
			t.Errorf("%q folds twice to %+v", same[0], a.Fold().Fold())
		}
		if a.Local == a.Fold().Local {
			t.Errorf("%q has lost its case already", same[0])
		}
	}
	for _, other := range [][2]string{{"a.b@c.test", "ab@c.test"}, {"a+b@c.test", "a@c.test"}, {"a@c.test", "a@d.test"}, {"e@c.test", "é@c.test"}} {
		a, _ := Parse(other[0])
		b, _ := Parse(other[1])
		if a.Equal(b) {
			t.Errorf("%q equals %q", other[0], other[1])
		}
	}
	if !(Address{}).IsNull() || (Address{Local: "x"}).IsNull() || (Address{}).Path() != "<>" || (Address{}).Key() != "" {
		t.Error("the null sender")
	}
	if a := (Address{Local: "x", Domain: "old.test"}).WithDomain("new.test"); a.String() != "x@new.test" {
		t.Error(a)
	}
}

// TestASCII says which addresses need SMTPUTF8: those whose local part does.
func TestASCII(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{"a@b.test": true, "a@bücher.test": true, "ä@b.test": false, `"a b"@c.test`: true} {
		a, err := Parse(in)
		if err != nil || a.IsASCII() != want {
			t.Errorf("%s: %v %v", in, a.IsASCII(), err)
		}
		if want && strings.IndexFunc(a.String(), func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
			t.Errorf("%s is written %s", in, a)
		}
	}
}

// TestDomains: A-labels from U-labels, one final dot, literals in one form.
func TestDomains(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Example.TEST": "example.test", "example.test.": "example.test", "BÜCHER.example": "xn--bcher-kva.example", "xn--bcher-kva.EXAMPLE": "xn--bcher-kva.example",
		"[192.0.2.1]": "[192.0.2.1]", "[IPV6:2001:DB8:0:0::1]": "[IPv6:2001:db8::1]", "a": "a", "1.2.3": "1.2.3", "日本.example": "xn--wgv71a.example",
	} {
		got, err := ParseDomain(in)
		if err != nil || got != want {
			t.Errorf("%q: %q %v", in, got, err)
		}
		if again, err := ParseDomain(got); err != nil || again != got {
			t.Errorf("%q: twice %q %v", in, again, err)
		}
	}
	for _, bad := range []string{
		"", ".", "a..b", "-a", "a-", ".a", "a b", "a\x00b", "[192.0.2.1", "192.0.2.1]", "[]", "[IPv6:]", "[IPv6:::1%eth0]", "[2001:db8::1]", "a/b", "a@b", "a..", "[192.0.2.256]", "[0192.0.2.1]",
	} {
		if got, err := ParseDomain(bad); err == nil {
			t.Errorf("%q is %q", bad, got)
		}
	}
}

// TestExtensions: each delimiter, the first of them, never at the start, and never of
// the names that the system has for itself.
func TestExtensions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ local, delimiters, base, extension string }{
		{"u+e", "+", "u", "e"}, {"u-e", "+", "u-e", ""}, {"u-e+f", "+-", "u", "e+f"}, {"u+e-f", "+-", "u", "e-f"}, {"u+", "+", "u", ""}, {"+", "+", "+", ""},
		{"Postmaster", "m", "Postmaster", ""}, {"double-bounce", "-", "double-bounce", ""}, {"double-bouncer", "-", "double", "bouncer"}, {"u+e", "", "u+e", ""}, {"ü+ö", "+", "ü", "ö"},
	} {
		a := Address{Local: c.local, Domain: "d.test"}
		base, extension := a.SplitExtension(c.delimiters)
		if base.Local != c.base || extension != c.extension || base.Domain != "d.test" {
			t.Errorf("%q at %q: %q %q", c.local, c.delimiters, base.Local, extension)
		}
	}
}

// TestPaths: what may stand behind the brackets, and what clients write that are lax.
func TestPaths(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"<a@b>": "a@b", "<@r.test:a@b>": "a@b", `<"a b"@c> X=1`: `"a b"@c`, "<>": "", `<"<>"@c>`: `"<>"@c`,
	} {
		for _, lax := range []bool{false, true} {
			if got, _, err := ParsePath(in, lax); err != nil || got.String() != want {
				t.Errorf("%s lax %v: %s %v", in, lax, got, err)
			}
		}
	}
	for in, want := range map[string]string{"a@b": "a@b", "a@b X=1": "a@b", "postmaster": "postmaster"} {
		if _, _, err := ParsePath(in, false); err == nil {
			t.Errorf("%q without brackets is taken", in)
		}
		if got, _, err := ParsePath(in, true); err != nil || got.String() != want {
			t.Errorf("%q lax: %s %v", in, got, err)
		}
	}
	for _, bad := range []string{"<a@b>>", "<<a@b>", "<a@b", "a@b>", "<a b@c>", "<a@b>SIZE=1", "<a@b\x00>", "<@a@b>", `<"a@b>`} {
		for _, lax := range []bool{false, true} {
			if got, rest, err := ParsePath(bad, lax); err == nil {
				t.Errorf("%q lax %v is %s and %q", bad, lax, got, rest)
			}
		}
	}
}
