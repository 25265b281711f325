package configs

import (
	"strings"
	"testing"
)

func TestLoadSetsAndKeepsDefaults(t *testing.T) {
	c, err := Parse("x/toastmaster.toml", []byte("[main]\nhostname = \"mail.example.test\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Main.Hostname != "mail.example.test" || c.Main.RecipientDelimiter != "+" {
		t.Errorf("%+v", c.Main)
	}
}

func TestMistakesNameFileLineAndParameter(t *testing.T) {
	for text, want := range map[string]string{
		"[main]\nhostnam = \"x\"\n":                      "f.toml:2: main.hostnam: unknown parameter, did you mean main.hostname?",
		"[main]\n\nhostname = 5\n":                       "f.toml:3: main.hostname: 5 is not a host name",
		"[main]\ntrusted_networks = [\"10.0.0.0/99\"]\n": "f.toml:2: main.trusted_networks: ",
		"[nonsense]\nx = 1\n":                            "f.toml:1: [nonsense]: unknown section (allowed: [main], [",
		"[main.hostname]\n":                              "f.toml:1: [main.hostname]: unknown section",
		"[queue]\nnonsense = 1\n":                        "f.toml:2: queue.nonsense: unknown parameter (allowed in [queue]: memory_limit, ",
		"nonsense = 1\n":                                 "f.toml:1: nonsense: unknown parameter (allowed: [main], [",
		"[main]\nhostname = \"a\"\nhostname = \"b\"\n":   "f.toml:3: main.hostname: set again (first on line 2)",
		"[main]\nhostname = \n":                          "f.toml:2: ",
	} {
		_, err := Parse("f.toml", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %s...", text, err, want)
		}
	}
}

// TestParametersThatDoNotAgree: each value is allowed by itself.
func TestParametersThatDoNotAgree(t *testing.T) {
	for text, want := range map[string]string{
		"[qmgr]\nminimal_backoff_time = \"2h\"\nmaximal_backoff_time = \"1h\"\n": "f.toml:2: qmgr.minimal_backoff_time: 2h is longer than",
		"[store]\nexpunge_memory = \"5d\"\n":                                     "f.toml:2: store.expunge_memory: 5d is not longer than",
		"[qmgr]\nbounce_queue_lifetime = \"7d\"\n":                               "f.toml: store.expunge_memory: 7d is not longer than",
		"[queue]\nsegment_size = \"1 MiB\"\nmemory_limit = \"512 KiB\"\n":        "f.toml:2: queue.segment_size: 1 MiB is less than 4 times queue.memory_limit, 512 KiB",
		"[queue]\nmemory_limit = \"4 MiB\"\nsegment_size = \"15 MiB\"\n":         "f.toml:3: queue.segment_size: 15 MiB is less than",
		"[imapd]\nlisten_tls = [\":25\"]\n":                                      "f.toml:2: imapd.listen_tls: \":25\" is an address of smtpd.listen already",
	} {
		if _, err := Parse("f.toml", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s...", text, err, want)
		}
	}
}

func TestDefaultsAreAllowed(t *testing.T) {
	var b strings.Builder
	for _, p := range Default().Bound() {
		if p.Text == "" {
			t.Errorf("%s has no text", p.Name)
		}
		b.WriteString(p.Name + " = " + p.Default + "\n")
	}
	if _, err := Parse("f.toml", []byte(b.String())); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("[main]\nhostname = \"x\"\n"))
	f.Add([]byte("main.trusted_networks = [1, \"::/0\"]"))
	f.Fuzz(func(t *testing.T, text []byte) { Parse("f.toml", text) })
}

func TestChanged(t *testing.T) {
	t.Parallel()
	parse := func(text string) *Config {
		c, err := Parse("f.toml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := parse("[smtpd]\ntimeout = \"5m\"\n[imapd]\nlisten = [\":143\"]\n")
	// A default that is written down is no change.
	if got := before.Changed(parse("[smtpd]\ntimeout = \"300s\"\n")); len(got) != 0 {
		t.Errorf("changed %v", got)
	}
	got := before.Changed(parse("[imapd]\nlisten = [\":143\", \":1143\"]\n[smtpd]\ntimeout = \"6m\"\n"))
	if strings.Join(got, " ") != "smtpd.timeout imapd.listen" {
		t.Errorf("changed %v", got)
	}
}
