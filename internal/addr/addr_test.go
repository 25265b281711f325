package addr

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]Address{
		"alice@example.test":           {"alice", "example.test"},
		"Alice@EXAMPLE.test.":          {"Alice", "example.test"},
		`"a b"@example.test`:           {"a b", "example.test"},
		`"a\"b"@example.test`:          {`a"b`, "example.test"},
		`"a@b"@example.test`:           {"a@b", "example.test"},
		"postmaster":                   {"postmaster", ""},
		"cafe\u0301.日本@b":              {"cafe\u0301.日本", "b"},
		"jürgen@bücher.example":        {"jürgen", "xn--bcher-kva.example"},
		"x@[192.0.2.1]":                {"x", "[192.0.2.1]"},
		"x@[ipv6:2001:DB8::1]":         {"x", "[IPv6:2001:db8::1]"},
		"a_b@_spf.example":             {"a_b", "_spf.example"},
		"o'neil+x=y@example.test":      {"o'neil+x=y", "example.test"},
		`"simple"@example.test`:        {"simple", "example.test"},
		strings.Repeat("a", 64) + "@b": {strings.Repeat("a", 64), "b"},
	} {
		got, err := Parse(in)
		if err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v", in, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{
		"", "@example.test", "a..b@example.test", ".a@example.test", "a.@b", "a b@c", "a@", "a@b..c",
		"a@-b", "a@b@c", `"a@b`, `"a"x@b`, "a@[1.2.3]", "a@[IPv6:1.2.3.4]", "a@[fe80::1]", "a\x00@b", "\"a\r\"@b",
		strings.Repeat("a", 65) + "@b", "a@" + strings.Repeat("b", 64), "a\xff@b", "a@b\xff", "<a@b>", "a@b c",
		// Byte order mark, zero width joiner, soft hyphen, C1 control, no-break
		// space, line separator, Hangul filler, variation selector, private use,
		// unassigned.
		"\ufeffa@b", "a\u200db@c", "a\u00adb@c", "a\u0085@b", "\"a\u00a0b\"@c", "a\u2028@b", "\u3164@b", "a\ufe0f@b", "\ue000@b", "\u0378@b", "\ufeffpostmaster",
	} {
		if got, err := Parse(in); err == nil {
			t.Errorf("Parse(%q) = %+v", in, got)
		}
	}
}

func TestParsePath(t *testing.T) {
	for _, c := range []struct {
		in   string
		lax  bool
		want Address
		rest string
	}{
		{"<>", false, Address{}, ""},
		{"<> BODY=8BITMIME", false, Address{}, "BODY=8BITMIME"},
		{"<a@b> SIZE=1", false, Address{"a", "b"}, "SIZE=1"},
		{"<@x,@y:a@b>", false, Address{"a", "b"}, ""},
		{`<"a>b"@c> X`, false, Address{"a>b", "c"}, "X"},
		{"<Postmaster>", false, Address{"Postmaster", ""}, ""},
		{"a@b SIZE=1", true, Address{"a", "b"}, "SIZE=1"},
	} {
		got, rest, err := ParsePath(c.in, c.lax)
		if err != nil || got != c.want || rest != c.rest {
			t.Errorf("ParsePath(%q) = %+v %q %v", c.in, got, rest, err)
		}
	}
	for _, in := range []string{"", "a@b", "<a@b", "<a@b>x", "<@x>", "< >", "<a@b >"} {
		if got, _, err := ParsePath(in, false); err == nil {
			t.Errorf("ParsePath(%q) = %+v", in, got)
		}
	}
}

func TestSplitExtension(t *testing.T) {
	for in, want := range map[string][2]string{
		"user+ext":      {"user", "ext"},
		"user+a+b":      {"user", "a+b"},
		"user":          {"user", ""},
		"+ext":          {"+ext", ""},
		"user+":         {"user", ""},
		"MAILER-DAEMON": {"MAILER-DAEMON", ""},
	} {
		base, ext := Address{Local: in, Domain: "d"}.SplitExtension("+-")
		if base.Local != want[0] || ext != want[1] || base.Domain != "d" {
			t.Errorf("%q: %q %q", in, base.Local, ext)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a@b", `"a b"@c`, "jürgen@bücher.example", "x@[IPv6:::1]", "postmaster"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(a.String())
		if err != nil || again != a {
			t.Fatalf("%q -> %+v -> %q -> %+v %v", s, a, a.String(), again, err)
		}
	})
}
