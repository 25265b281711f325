package binary

import "testing"

func TestWithParam(t *testing.T) {
	const text = "# head\n[main]\nhostname = \"a\"\nother = 1\n\n[smtpd]\nother = 2\n"
	for _, c := range []struct{ section, key, value, want string }{
		{"main", "hostname", `"b"`, "# head\n[main]\nhostname = \"b\"\nother = 1\n\n[smtpd]\nother = 2\n"},
		{"smtpd", "new", "3", "# head\n[main]\nhostname = \"a\"\nother = 1\n\n[smtpd]\nnew = 3\nother = 2\n"},
		{"queue", "size", "4", text + "[queue]\nsize = 4\n"},
	} {
		if got := withParam(text, c.section, c.key, c.value); got != c.want {
			t.Errorf("%s.%s:\n%s\nwant\n%s", c.section, c.key, got, c.want)
		}
	}
}
