package configs

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

const twoTransports = "[[transport]]\nname = \"bulk\"\ndomains = [\"example.org\", \".example.org\"]\nnexthop = \"[relay.test]:587\"\n" +
	"helo_name = \"bulk.test\"\nprocess_limit = 3\n[[transport]]\nname = \"virtual\"\nagent = \"virtual\"\nprocess_limit = 7\n"

func TestTransports(t *testing.T) {
	t.Parallel()
	c, err := Parse("f.toml", []byte("[smtp]\nrelayhost = \"other.test\"\ntls_level = \"encrypt\"\n"+twoTransports))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tr := range c.Transports() {
		names = append(names, tr.Name)
		s := c.SMTPOf(tr)
		switch tr.Name {
		case "bulk":
			if tr.Agent != "smtp" || s.Relayhost != "[relay.test]:587" || s.HeloName != "bulk.test" || s.TLSLevel != TLSEncrypt || tr.ProcessLimit != 3 {
				t.Errorf("%+v %+v", tr, s)
			}
		case "smtp":
			if s.Relayhost != "other.test" || s.HeloName != "" {
				t.Errorf("%+v", s)
			}
		case "virtual":
			if tr.ProcessLimit != 7 {
				t.Errorf("%+v", tr)
			}
		}
	}
	if got := strings.Join(names, " "); got != "smtp lmtp error retry discard bulk virtual" {
		t.Errorf("transports %s", got)
	}
	if got := Default().Transports(); len(got) != 6 {
		t.Errorf("without a table: %+v", got)
	}
}

// TestTransportMistakes have file, line and parameter, as all others.
func TestTransportMistakes(t *testing.T) {
	t.Parallel()
	const named = "[[transport]]\nname = \"a\"\ndomains = [\"a.test\"]\n"
	for text, want := range map[string]string{
		"[[transport]]\nhelo_nam = \"x\"\nname = \"a\"\n":                       "f.toml:2: transport.helo_nam: unknown parameter, did you mean transport.helo_name?",
		"[[transport]]\nnonsense = 1\nname = \"a\"\n":                           "f.toml:2: transport.nonsense: unknown parameter (`toastmaster config explain transport` has the ",
		"[main]\n\n[[transport]]\ndomains = [\"a.test\"]\n":                     "f.toml:3: transport.name: a table [[transport]] needs a name",
		"[[transport]]\nname = \"a b\"\n":                                       "f.toml:2: transport.name: \"a b\" is no name",
		named + "name = \"b\"\n":                                                "f.toml:4: transport.name: set again (first on line 2)",
		named + named:                                                           "f.toml:4: transport.a: is there again (first on line 1)",
		named + "process_limit = -1\n":                                          "f.toml:4: transport.process_limit: -1 is not a number from 0 to 10000",
		named + "agent = \"nobody\"\n":                                          "f.toml:4: transport.agent: nobody is not one of " + strings.Join(Agents(), ", "),
		named + "bind_address = \"::1\"\n":                                      "f.toml:4: transport.bind_address: ::1 is of the other family",
		named + "tls_level = \"always\"\n":                                      "f.toml:4: transport.tls_level: always is not one of none, may, encrypt, fingerprint, verify, secure, or empty",
		"[transport]\nname = \"a\"\n":                                           "f.toml:1: [transport]: may stand there several times: write [[transport]]",
		"[[smtp]]\nport = 25\n":                                                 "f.toml:1: [[smtp]]: unknown list of tables",
		"[[transport]]\nname = \"a\"\n":                                         "f.toml:1: transport.a.domains: no mail would go to a: name domains",
		"[[transport]]\nname = \"virtual\"\n":                                   "f.toml:1: transport.virtual.agent: the transport virtual has the agent virtual",
		named + "agent = \"discard\"\nhelo_name = \"x.test\"\n":                 "f.toml:5: transport.a.helo_name: is for the agent smtp and lmtp, and this one has discard",
		named + "agent = \"virtual\"\n":                                         "f.toml:3: transport.a.domains: the agent virtual takes no mail of domains that are not hosted here (" + inWords(routedAgents()) + " do)",
		named + "agent = \"error\"\nnexthop = \"4.1.1 x\"\n":                    "f.toml:5: transport.a.nexthop: 4.1.1 is no status of class 5, which this agent gives (error 5, retry 4, discard 2)",
		named + "agent = \"retry\"\nnexthop = \"a\\nb\"\n":                      "f.toml:5: transport.a.nexthop: \"a\\nb\" is no line of text",
		named + "agent = \"retry\"\nprocess_limit = 1\nhelo_name = \"x\"\n":     "f.toml:6: transport.a.helo_name: is for the agent smtp and lmtp, and this one has retry",
		named + "agent = \"smtp\"\nnexthop = \"5.1.1 x\"\n":                     "f.toml:5: transport.a.nexthop: ",
		"[[transport]]\nname = \"error\"\nagent = \"error\"\nnexthop = \"x\"\n": "f.toml:4: transport.error.nexthop: is for mail of domains, and this transport names none",
		named + "[[transport]]\nname = \"b\"\ndomains = [\"A.test\"]\n":         "f.toml:6: transport.b.domains: \"A.test\" is a domain of a already",
	} {
		_, err := Parse("f.toml", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q:\n%v, want\n%s...", text, err, want)
		}
	}
}

// TestParametersOfAnAgent: what one agent has alone is a mistake with another, and what it
// cannot do without is one when it is missing.
func TestParametersOfAnAgent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ agent, folder, want string }{
		{"spool", "out", ""},
		{"spool", "", "transport.a.folder is not there, and the agent spool needs it"},
		{"smtp", "", ""},
		{"smtp", "out", "transport.a.folder is for the agent spool and tape, and this one has smtp"},
	} {
		var folder, other string
		p := String("transport.a.folder", &folder, "", "a folder", nil, "Where it writes.").of("spool", "tape").must()
		of := []Param{p, String("transport.ab.folder", &other, "", "a folder", nil, "Another table's.").of("tape")}
		folder, other = c.folder, "x"
		got := ""
		ownMistakes(of, "transport.a", c.agent, func(param, format string, args ...any) { got = param + " " + fmt.Sprintf(format, args...) })
		if got != c.want {
			t.Errorf("%s, %q: %q, want %q", c.agent, c.folder, got, c.want)
		}
		if p.Text != "Where it writes. For the agent spool and tape. It must be given." {
			t.Error(p.Text)
		}
	}
}

// TestChangedTransports: a reload says what waits for a restart, also when there are more
// tables or fewer.
func TestChangedTransports(t *testing.T) {
	t.Parallel()
	parse := func(text string) *Config {
		t.Helper()
		c, err := Parse("f.toml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, c := range []struct{ before, after, want string }{
		{twoTransports, twoTransports, ""},
		{"", twoTransports, "transport.bulk transport.virtual"},
		{twoTransports, "", "transport.bulk transport.virtual"},
		{twoTransports, strings.Replace(twoTransports, "bulk.test", "b.test", 1), "transport.bulk.helo_name"},
		{twoTransports, "[main]\nhostname = \"x.test\"\n" + strings.Replace(twoTransports, "\"bulk\"", "\"mass\"", 1), "main.hostname transport.bulk transport.mass"},
	} {
		if got := strings.Join(parse(c.before).Changed(parse(c.after)), " "); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestSetBesideTables: a section is changed and not the table behind it, and what is in a
// table is not set by name.
func TestSetBesideTables(t *testing.T) {
	t.Parallel()
	text := "[smtp]\nport = 26\n\n[[transport]]\nname = \"a\"\ndomains = [\"a.test\"]\n"
	for name, want := range map[string]string{
		"smtp.helo_name": "[smtp]\nport = 26\nhelo_name = \"x.test\"\n\n[[transport]]\n",
		"main.hostname":  "domains = [\"a.test\"]\n\n[main]\nhostname = \"x.test\"\n",
	} {
		out, c, err := Set("f.toml", []byte(text), name, []string{"x.test"})
		if err != nil || !bytes.Contains(out, []byte(want)) || len(c.Tables) != 1 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	for _, name := range []string{"transport.nexthop", "transport.a.nexthop"} {
		if _, _, err := Set("f.toml", []byte(text), name, []string{"x.test"}); err == nil || !strings.Contains(err.Error(), "[[transport]]") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
