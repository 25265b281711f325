package addrfield

import (
	"slices"
	"strings"
	"testing"
)

const many = 10240

func TestFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, addresses, field string }{
		{" a@b, c@d", "a@b c@d", "To: a@b, c@d\n"},
		{" John Doe", "John Doe", "To: John, Doe\n"},
		{` "Doe, J." <j@example.org> (home), team: a@b, c;`, "j@example.org a@b c", "To: \"Doe, J.\" <j@example.org>(home), team: a@b, c;\n"},
		{" undisclosed-recipients:;", "", "To: undisclosed-recipients: ;\n"},
		{" <>", "", "To: <>\n"},
		{" J. Doe <a @ b . c>\n (x) , (y) d@[1.2.3.4]", "a@b.c d@[1.2.3.4]", "To: J.Doe <a@b.c>(x), d@[1.2.3.4] (y)\n"},
		{` "a b"@c, a\ b@c`, `"a b"@c "a b"@c`, "To: \"a b\"@c, \"a b\"@c\n"},
		{" <@r.test:a@b>", "@r.test:a@b", "To: <@r.test:a@b>\n"},
		{" a@b <", "a@b<", ""}, {" \"open", `"open"`, ""}, {" (open", "", ""}, {" a;b", "a b", ""}, {" a>b", "a b", ""},
		{" " + strings.Repeat("x", 64) + "@b.test, " + strings.Repeat("y", 20) + "@b.test", strings.Repeat("x", 64) + "@b.test " + strings.Repeat("y", 20) + "@b.test",
			"To: " + strings.Repeat("x", 64) + "@b.test,\n\t" + strings.Repeat("y", 20) + "@b.test\n"},
	} {
		l, ok := Parse(c.text, many)
		if !ok {
			t.Fatal(c.text)
		}
		if got := strings.Join(l.Addresses(), " "); got != c.addresses {
			t.Errorf("%q has %q, want %q", c.text, got, c.addresses)
		}
		if got := string(l.Field("To")); c.field != "" && got != c.field {
			t.Errorf("%q is written %q, want %q", c.text, got, c.field)
		}
	}
	if _, ok := Parse("a b c", 2); ok {
		t.Error("more tokens than the limit")
	}
}

func TestStandard(t *testing.T) {
	t.Parallel()
	whole := Form{Origin: "mail.example.test", Domain: "example.test", SwapBangpath: true, PercentHack: true}
	plain := Form{Origin: "mail.example.test"}
	for _, c := range []struct {
		form     Form
		in, want string
	}{
		{whole, "bob", "bob@mail.example.test"}, {whole, "bob@host", "bob@host.example.test"}, {whole, "bob@host.", "bob@host"}, {whole, "bob@a.b.", "bob@a.b"},
		{whole, "host!bob", "bob@host.example.test"}, {whole, "a.b!c!bob", "c!bob@a.b"}, {whole, "bob%host", "bob@host.example.test"},
		{whole, "bob%a.b@c.d", "bob%a.b@c.d"}, {whole, "a!b@c.d", "a!b@c.d"}, {whole, "@x.y:bob@a.b", "bob@a.b"}, {whole, "@x.y,@z.q:bob", "bob@mail.example.test"},
		{whole, "bob@", "bob@"}, {whole, "@", `""`}, {whole, `"x"@a.b`, "x@a.b"}, {whole, ".a@b.c", `".a"@b.c`}, {whole, `"a"."b"`, "a.b@mail.example.test"}, {whole, "bob@[192.0.2.1]", "bob@[192.0.2.1]"}, {whole, `"a b"`, `"a b"@mail.example.test`},
		{plain, "bob@host", "bob@host"}, {plain, "host!bob", "host!bob@mail.example.test"}, {plain, "bob%host", "bob%host@mail.example.test"}, {Form{}, "bob", "bob"}, {Form{}, "", ""},
	} {
		if got := c.form.Standard(c.in); got != c.want {
			t.Errorf("%q is %q, want %q", c.in, got, c.want)
		}
	}
}

// FuzzField: what was written is read as the same addresses, and nothing of a word is lost.
func FuzzField(f *testing.F) {
	for _, s := range []string{" a@b, c", ` "x, y" <a@b> (c), g: d;`, "<@a:b@c>", "a\\", "((", "[", ">;:<", "a:b;c", "é@ü"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, "\x00") {
			return
		}
		l, ok := Parse(text, many)
		if !ok {
			return
		}
		words := l.Addresses()
		field := string(l.Field("To"))
		if !strings.HasSuffix(field, "\n") {
			t.Fatalf("%q", field)
		}
		for i, line := range strings.Split(strings.TrimSuffix(field, "\n"), "\n") {
			if i > 0 && (line == "" || line[0] != ' ' && line[0] != '\t') {
				t.Fatalf("%q is no field: %q", text, field)
			}
		}
		if strings.ContainsAny(text, "([\\\"<>;:") {
			return // what is not closed is closed by other words
		}
		again, ok := Parse(strings.TrimPrefix(field, "To:"), 2*many)
		if !ok || !slices.Equal(again.Addresses(), words) {
			t.Fatalf("%q: %q, then %q", text, words, again.Addresses())
		}
		l.Rewrite(Form{Origin: "o.test", Domain: "d.test", SwapBangpath: true, PercentHack: true}.Standard)
	})
}
