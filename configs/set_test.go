package configs

import (
	"strings"
	"testing"
)

// TestSet: the value changes at its place, and nothing else does.
func TestSet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text, param string
		values            []string
		want              string
	}{
		{"a value with a comment behind it", "# top\n[smtpd]\ntimeout = \"5m\" # why\nlisten = []\n", "smtpd.timeout", []string{"6m"},
			"# top\n[smtpd]\ntimeout = \"6m\" # why\nlisten = []\n"},
		{"a list over several lines", "[main]\ntrusted_networks = [\n  \"10.0.0.0/8\", # ] office\n  '::1/128',\n]\nhostname = \"x\"\n", "main.trusted_networks", []string{"127.0.0.0/8", "::1/128"},
			"[main]\ntrusted_networks = [\"127.0.0.0/8\", \"::1/128\"]\nhostname = \"x\"\n"},
		{"a list in TOML", "[main]\ntrusted_networks = []\n", "main.trusted_networks", []string{`["127.0.0.0/8"]`}, "[main]\ntrusted_networks = [\"127.0.0.0/8\"]\n"},
		{"a new one in its section", "[smtpd]\nlisten = []\n\n[imapd]\nlisten = []\n", "smtpd.error_limit", []string{"7"},
			"[smtpd]\nlisten = []\nerror_limit = 7\n\n[imapd]\nlisten = []\n"},
		{"a new one in an empty section", "[smtpd]\n[imapd]\n", "smtpd.error_limit", []string{"7"}, "[smtpd]\nerror_limit = 7\n[imapd]\n"},
		{"a new section", "[smtpd]\nlisten = []\n", "log.level", []string{"debug"}, "[smtpd]\nlisten = []\n\n[log]\nlevel = \"debug\"\n"},
		{"an empty file", "", "log.level", []string{"debug"}, "[log]\nlevel = \"debug\"\n"},
		{"no line end", "[log]\nformat = \"json\"", "log.level", []string{"debug"}, "[log]\nformat = \"json\"\nlevel = \"debug\"\n"},
		{"behind its comment", "[log]\n# lowest level\n#level = \"info\"\n\n#file = \"x\"\n[tls]\n", "log.level", []string{"debug"},
			"[log]\n# lowest level\n#level = \"info\"\nlevel = \"debug\"\n\n#file = \"x\"\n[tls]\n"},
		{"a dotted key", "log.level = \"info\"\nlog.format = 'text'\n", "log.level", []string{"debug"}, "log.level = \"debug\"\nlog.format = 'text'\n"},
		{"a size as a number", "[queue]\nmin_free = \"1 MiB\"\n", "queue.min_free", []string{"0"}, "[queue]\nmin_free = 0\n"},
		{"a size with its unit", "[queue]\nmin_free = 0 # none\n", "queue.min_free", []string{"2 MiB"}, "[queue]\nmin_free = \"2 MiB\" # none\n"},
		{"a boolean", "[auth]\nrehash=true\n", "auth.rehash", []string{"false"}, "[auth]\nrehash=false\n"},
		{"quotes in a text", "[log]\nfile = \"a\\\"]#\"\n", "log.file", []string{`b"\c`}, "[log]\nfile = \"b\\\"\\\\c\"\n"},
		{"removed", "[log]\nlevel = \"debug\" # x\nformat = \"json\"\n", "log.level", nil, "[log]\nformat = \"json\"\n"},
		{"removed, not there", "[log]\n", "log.level", nil, "[log]\n"},
		{"CRLF", "[log]\r\nlevel = \"debug\"\r\nformat = \"json\"\r\n", "log.level", []string{"info"}, "[log]\r\nlevel = \"info\"\r\nformat = \"json\"\r\n"},
	} {
		got, _, err := Set("f.toml", []byte(c.text), c.param, c.values)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.name, err, got, c.want)
		}
	}
	for _, c := range []struct {
		param, want string
		values      []string
	}{
		{"smtpd.tiemout", "did you mean smtpd.timeout", []string{"5m"}},
		{"smtpd.timeout", "5 is not a time", []string{"5"}},
		{"smtpd.timeout", "2 values for a time", []string{"5m", "6m"}},
		{"smtpd.error_limit", "f.toml", []string{"x"}},
		{"main.trusted_networks", "open relay", []string{"0.0.0.0/0"}},
		{"qmgr.minimal_backoff_time", "longer than qmgr.maximal_backoff_time", []string{"1d"}},
	} {
		if _, _, err := Set("f.toml", []byte("[main]\n"), c.param, c.values); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %v: %v", c.param, c.values, err)
		}
	}
}

// TestSetEveryParameter puts each one into the sample at its default, where it
// stands as a comment: the file then says so, and is parsed as before.
func TestSetEveryParameter(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := WriteSample(&b); err != nil {
		t.Fatal(err)
	}
	text := []byte(b.String())
	for _, p := range Default().Bound() {
		values := []string{strings.Trim(p.Default, `"`)}
		if p.Kind == "list" || values[0] == "" {
			values[0] = p.Default
		}
		after, c, err := Set("f.toml", text, p.Name, values)
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		if changed := Default().Changed(c); len(changed) > 0 {
			t.Errorf("%s: %v changed", p.Name, changed)
		}
		_, key, _ := strings.Cut(p.Name, ".")
		if !strings.Contains(string(after), "\n#"+key+" = "+p.Default+"\n"+key+" = ") {
			t.Errorf("%s is not behind its comment", p.Name)
		}
		text = after
	}
}

func FuzzSet(f *testing.F) {
	f.Add("[log]\nlevel = \"info\" # x\n", "debug")
	f.Add("log.level = '''info'''\n[main]\n", "warn")
	f.Fuzz(func(t *testing.T, text, value string) {
		before, err := Parse("f.toml", []byte(text))
		if err != nil {
			return
		}
		_, c, err := Set("f.toml", []byte(text), "log.level", []string{value})
		if err != nil {
			return
		}
		if changed := strings.Join(before.Changed(c), " "); changed != "" && changed != "log.level" {
			t.Errorf("%q: changed %s", text, changed)
		}
	})
}
