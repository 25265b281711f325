package configs

import (
	"strings"
	"testing"
)

// TestProxiesAreNamed: a port behind a proxy that nobody may be is a mistake, and so is one that there is not.
func TestProxiesAreNamed(t *testing.T) {
	t.Parallel()
	const named = "[main]\nhaproxy_trusted_networks = [\"192.0.2.1/32\"]\n"
	for text, want := range map[string]string{
		"[smtpd]\nupstream_proxy_protocol = \"haproxy\"\n":                       "smtpd.upstream_proxy_protocol: the ports where a proxy speaks first would serve nobody",
		"[postscreen]\nupstream_proxy_protocol = \"haproxy\"\n":                  "postscreen.upstream_proxy_protocol: the ports",
		"[imapd]\nhaproxy = [\":993\"]\n":                                        "imapd.haproxy: the ports",
		named + "[imapd]\nhaproxy = [\":993\"]\n[pop3d]\nhaproxy = [\":110\"]\n": "",
		named + "[imapd]\nhaproxy = [\":994\"]\n":                                "imapd.haproxy: \":994\" is no address that imapd listens on",
		named + "[lmtpd]\nhaproxy = [\":24\"]\n":                                 "lmtpd.haproxy: \":24\" is no address",
		named + "[smtpd]\nupstream_proxy_protocol = \"nginx\"\n":                 "no such protocol",
		"[main]\nhaproxy_trusted_networks = [\"0.0.0.0/0\"]\n":                   "main.haproxy_trusted_networks: 0.0.0.0/0 is everybody",
	} {
		_, err := Parse("x.toml", []byte(text))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
