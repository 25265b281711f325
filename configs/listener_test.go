package configs

import (
	"slices"
	"strings"
	"testing"
)

const listenerText = `[[listener]]
name = "back"
listen = ["127.0.0.1:10026"]
recipient_restrictions = ["permit_mynetworks",
  "reject"]
error_limit = 7

[smtpd]
error_limit = 9
junk_limit = 8
milters = ["inet:127.0.0.1:11332"]

[[listener]]
name = "users"
listen_tls = ["127.0.0.1:10465"]
submission = true
mua_client_restrictions = ["permit"]
trusted_networks = []
milters = []
syslog_name = "postfix/users"

[main]
trusted_networks = ["192.0.2.0/24"]
`

// TestAListenerIsSmtpdWithItsOwn: what a table does not set is as [smtpd] and [main] have it, wherever in the file they stand, and
// what it sets is its own, to an empty list, too.
func TestAListenerIsSmtpdWithItsOwn(t *testing.T) {
	t.Parallel()
	c, err := Parse("x.toml", []byte(listenerText))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.SMTPDListeners) != 2 {
		t.Fatalf("%d listeners", len(c.SMTPDListeners))
	}
	back, users := c.SMTPDListeners[0], c.SMTPDListeners[1]
	p := back.Params
	if p.ErrorLimit != 7 || p.JunkLimit != 8 || !slices.Equal(p.Restrictions.Recipient, []string{"permit_mynetworks", "reject"}) ||
		!slices.Equal(p.Milters, c.SMTPD.Milters) || !slices.Equal(back.TrustedNetworks, c.Main.TrustedNetworks) || !slices.Equal(p.Restrictions.Relay, c.SMTPD.Restrictions.Relay) {
		t.Errorf("%+v, trusted %q", p, back.TrustedNetworks)
	}
	if u := users.Params; len(u.Milters) != 0 || u.ErrorLimit != 9 || !slices.Equal(u.MUARestrictions.Client, []string{"permit"}) || len(users.TrustedNetworks) != 0 || !users.Submission {
		t.Errorf("%+v, trusted %q", u, users.TrustedNetworks)
	}
	if len(p.Listen)+len(p.SubmissionListen)+len(p.SubmissionsListen) > 0 {
		t.Error("it has the ports of [smtpd]")
	}
	if c.SMTPD.ErrorLimit != 9 || len(c.SMTPD.Milters) != 1 || len(c.SMTPD.MUARestrictions.Client) != 0 {
		t.Errorf("[smtpd] has what is a listener's: %+v", c.SMTPD)
	}
	for address, param := range map[string]string{"127.0.0.1:10026": "listener.back.listen", "127.0.0.1:10465": "listener.users.listen_tls"} {
		if got := c.ListenParam(address); got != param || !slices.Contains(c.Listeners(), address) {
			t.Errorf("%s is of %q", address, got)
		}
	}
	if back.LogService() != "smtpd" || users.LogService() != "users/smtpd" {
		t.Errorf("in the log: %q, %q", back.LogService(), users.LogService())
	}
	var shown []string
	for _, p := range c.Bound() {
		if strings.HasPrefix(p.Name, "listener.") && !p.IsDefault() {
			shown = append(shown, strings.TrimPrefix(p.Name, "listener."))
		}
	}
	if want := []string{"back.name", "back.listen", "back.error_limit", "back.recipient_restrictions", "users.name", "users.listen_tls", "users.submission",
		"users.trusted_networks", "users.syslog_name", "users.milters", "users.mua_client_restrictions"}; !slices.Equal(shown, want) {
		t.Errorf("not at their default: %q", shown)
	}
	if got := c.TableLists(); !slices.Contains(tableParams(got), "listener.back.milter_maps") {
		t.Error("its tables are opened by nobody")
	}
}

func tableParams(lists map[string][]string) (out []string) {
	for name := range lists {
		out = append(out, name)
	}
	return out
}

// TestMistakesOfListeners: file, line and parameter, by the name of the table.
func TestMistakesOfListeners(t *testing.T) {
	t.Parallel()
	const table = "[[listener]]\nname = \"a\"\nlisten = [\"127.0.0.1:2525\"]\n"
	for text, want := range map[string]string{
		"[[listener]]\nlisten = [\"127.0.0.1:2525\"]\n":                 "x.toml:1: listener.name: a table [[listener]] needs a name",
		"[[listener]]\nname = \"a b\"\nlisten = []\n":                   `x.toml:2: listener.name: "a b" is no name`,
		"[[listener]]\nname = \"a\"\n":                                  "x.toml:1: listener.a.listen: it has no address",
		table + "error_limit = 0\n":                                     "x.toml:4: listener.error_limit: 0 is not",
		table + "postmaster = \"a@b.test\"\n":                           "x.toml:4: listener.postmaster: unknown parameter, did you mean smtpd.postmaster?",
		table + "recipient_restrictons = []\n":                          "did you mean listener.recipient_restrictions?",
		table + "nothing_like_it_at_all = 1\n":                          "the names of [smtpd] but listen",
		table + "trusted_networks = [\"0.0.0.0/0\"]\n":                  "x.toml:4: listener.a.trusted_networks: 0.0.0.0/0 is everybody",
		table + "syslog_name = \"a: b\"\n":                              "x.toml:4: listener.syslog_name:",
		table + "upstream_proxy_protocol = \"haproxy\"\n":               "x.toml:4: listener.a.upstream_proxy_protocol: the ports where a proxy speaks first",
		table + "[smtpd]\nlisten = [\"127.0.0.1:2525\"]\n":              `"127.0.0.1:2525" is an address of smtpd.listen already`,
		table + "[[listener]]\nname = \"a\"\nlisten = [\":2526\"]\n":    "x.toml:4: listener.a: is there again (first on line 1)",
		table + "error_limit = 3\nerror_limit = 4\n":                    "x.toml:5: listener.error_limit: set again (first on line 4)",
		"[smtpd]\ncontent_filter = \"scan:[127.0.0.1]:10025\"\n":        `x.toml:2: smtpd.content_filter: there is no transport "scan"`,
		table + "content_filter = \"smtp:[127.0.0.1]:x\"\n":             "x.toml:4: listener.a.content_filter: bad port",
		table + "receive_override_options = [\"no_milter\"]\n":          "x.toml:4: listener.receive_override_options: no_milter is not one of",
		"[listener]\nname = \"a\"\n":                                    "write [[listener]]",
		table + "client_restrictions = \"permit_mynetworks, reject\"\n": "is no list: write",
	} {
		_, err := Parse("x.toml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v\ndoes not say %q", text, err, want)
		}
	}
}

// TestExplainOfListeners: a parameter that a listener has from [smtpd] is explained by its name there, and stands in no list of all.
func TestExplainOfListeners(t *testing.T) {
	t.Parallel()
	if found := Find([]string{"listener.recipient_restrictions"}); len(found) != 1 || found[0].Name != "listener.recipient_restrictions" || found[0].heading() != "[[listener]]" {
		t.Errorf("%+v", found)
	}
	if found := Find([]string{"smtpd_recipient_restrictions"}); len(found) != 1 || found[0].Name != "smtpd.recipient_restrictions" {
		t.Errorf("%d", len(found))
	}
	if found := Find([]string{"listener"}); len(found) != len((&Listener{}).own()) {
		t.Errorf("%d in the section", len(found))
	}
}

// TestChangedListeners: what a reload names is what the file says of a listener, and not what it has from [smtpd].
func TestChangedListeners(t *testing.T) {
	t.Parallel()
	parse := func(text string) *Config {
		t.Helper()
		c, err := Parse("x.toml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	was := parse(listenerText)
	for change, want := range map[string][]string{
		"junk_limit = 8|junk_limit = 80":  {"smtpd.junk_limit"},
		"error_limit = 7|error_limit = 6": {"listener.back.error_limit"},
		`name = "back"|name = "b"`:        {"listener.b", "listener.back"},
	} {
		old, now, _ := strings.Cut(change, "|")
		got := parse(strings.Replace(listenerText, old, now, 1)).Changed(was)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", change, got, want)
		}
	}
}
