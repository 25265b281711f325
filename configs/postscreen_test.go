package configs

import (
	"net/netip"
	"os"
	"strings"
	"testing"
)

func TestParseDNSBLSite(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"a.test": 1, "a.test*3": 3, "a.test*-2": -2, "a.test=127.0.0.[2;4..11]*3": 3, "a.test=127.0.0.2": 1, "a.test*0": 0} {
		site, err := ParseDNSBLSite(text)
		if err != nil || site.Weight != want || site.List.Domain != "a.test" {
			t.Errorf("%s: %+v %v", text, site, err)
		}
	}
	for _, text := range []string{"", "a.test*", "a.test*x", "a.test*1001", "a.test*-1001", "a.test*2=127.0.0.2", "a.test=1.2.3*4", "a b"} {
		if site, err := ParseDNSBLSite(text); err == nil {
			t.Errorf("%q: %+v", text, site)
		}
	}
}

func TestParseInterface(t *testing.T) {
	t.Parallel()
	has, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for text, want := range map[string][3]bool{ // not, has one, has another
		"static:all": {false, true, true}, "!static:all": {true, true, true}, "192.0.2.1": {false, true, false}, "!192.0.2.0/24": {true, true, false},
		"2001:db8::/32": {false, false, true}, "::ffff:192.0.2.1": {false, true, false},
	} {
		i, err := ParseInterface(text)
		if got := [3]bool{i.Not, i.Has(has), i.Has(other)}; err != nil || got != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "!", "x", "static:", "192.0.2.0/33", "fe80::1%eth0", "!!192.0.2.1"} {
		if i, err := ParseInterface(text); err == nil {
			t.Errorf("%q: %+v", text, i)
		}
	}
}

// TestPostscreenParametersOfPostfix: every parameter that `postconf -d` of Postfix 3.7 lists for postscreen(8)
// is one of ours, or docs/postfix-differences.md says why not.
func TestPostscreenParametersOfPostfix(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/postfix-differences.md")
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]bool{}
	for _, p := range declared() {
		ours[p.Name] = true
	}
	for name := range strings.FieldsSeq(`access_list allowlist_interfaces bare_newline_action bare_newline_enable bare_newline_ttl cache_cleanup_interval cache_map
		cache_retention_time client_connection_count_limit command_count_limit command_filter command_time_limit denylist_action disable_vrfy_command
		discard_ehlo_keyword_address_maps discard_ehlo_keywords dnsbl_action dnsbl_allowlist_threshold dnsbl_max_ttl dnsbl_min_ttl dnsbl_reply_map dnsbl_sites
		dnsbl_threshold dnsbl_timeout enforce_tls expansion_filter forbidden_commands greet_action greet_banner greet_ttl greet_wait helo_required
		non_smtp_command_action non_smtp_command_enable non_smtp_command_ttl pipelining_action pipelining_enable pipelining_ttl post_queue_limit pre_queue_limit
		reject_footer reject_footer_maps tls_security_level upstream_proxy_protocol upstream_proxy_timeout use_tls watchdog_timeout`) {
		said := strings.Contains(string(text), "`postscreen_"+name+"`")
		if ours["postscreen."+name] == said {
			t.Errorf("postscreen_%s: ours %v, among the differences %v", name, ours["postscreen."+name], said)
		}
	}
}
