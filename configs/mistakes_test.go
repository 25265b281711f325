package configs

import (
	"strings"
	"testing"
)

// TestMistakesSayWhatToWrite: what people write who come from Postfix, and what they are
// told. No error speaks of Go.
func TestMistakesSayWhatToWrite(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		// Names of others, with and without our section in front.
		"[smtpd]\nsmtpd_client_restrictions = []\n": "smtpd.smtpd_client_restrictions: unknown parameter, see smtpd.client_restrictions: `toastmaster config explain smtpd_client_restrictions`",
		"[main]\nmynetworks = []\n":                 "main.mynetworks: unknown parameter, see main.trusted_networks: `toastmaster config explain mynetworks`",
		"[smtpd]\nhard_error_limit = 5\n":           "unknown parameter, see smtpd.error_limit: `toastmaster config explain smtpd_hard_error_limit`",
		"virtual_mailbox_domains = []\n":            "unknown parameter, see directory.path: `toastmaster config explain virtual_mailbox_domains`",
		"mynetworks = []\n":                         "unknown parameter, see main.trusted_networks: ",
		// The right key at the wrong place, and half a name.
		"[main]\nmessage_size_limit = 10\n": "unknown parameter, did you mean smtpd.message_size_limit or lmtpd.message_size_limit?",
		"hostname = \"x\"\n":                "unknown parameter, did you mean main.hostname?",
		"[tls]\ncert = []\n":                "unknown parameter, did you mean tls.certificates?",
		"[smtpd]\nnonsense = 1\n":           "unknown parameter (`toastmaster config explain smtpd` has the ",
		// Networks.
		`main.trusted_networks = ["10.0.0.0/33"]`:       `"10.0.0.0/33": an address of this kind has 32 bits, no more can count (allowed: networks in CIDR form)`,
		`main.trusted_networks = ["2001:db8::/129"]`:    `has 128 bits, no more can count`,
		`main.trusted_networks = ["10.0.0.5"]`:          `"10.0.0.5" is an address: as a network it is 10.0.0.5/32`,
		`main.trusted_networks = ["10.0.0.300"]`:        `"10.0.0.300" is no network: one is written 192.0.2.0/24`,
		`lmtpd.trusted_networks = ["host.test"]`:        `"host.test" is no network: one is written 192.0.2.0/24`,
		`smtp.private_networks = ["[::1]/128"]`:         `"[::1]/128": write ::1/128`,
		`main.trusted_networks = ["10.0.0.0/x"]`:        `"10.0.0.0/x": behind the / stands how many bits of the address count, 0 to 32`,
		`main.trusted_networks = ["10.0.0.0/08"]`:       `"10.0.0.0/08": write 10.0.0.0/8`,
		`smtpd.client_event_limit_exceptions = [""]`:    `"" is no network`,
		`main.trusted_networks = "10.0.0.0/8, ::1/128"`: `"10.0.0.0/8, ::1/128" is no list: write ["10.0.0.0/8", "::1/128"] (allowed: networks in CIDR form)`,
		`main.trusted_networks = 10`:                    `10 is not a list: networks in CIDR form`,
		// Addresses and ports.
		`pop3d.listen = ["25"]`:                    `"25" is a port alone: on all addresses it is ":25"`,
		`pop3d.listen = ["192.0.2.1"]`:             `"192.0.2.1" has no port: with one it is "192.0.2.1:25"`,
		`pop3d.listen = ["2001:db8::1"]`:           `"2001:db8::1" has no port: with one it is "[2001:db8::1]:25"`,
		`pop3d.listen = [""]`:                      `"": is empty: a list without addresses is [] (allowed: `,
		`pop3d.listen = ["localhost"]`:             `"localhost": missing port in address (allowed: `,
		`pop3d.listen = [":smtp"]`:                 `bad port "smtp", it is a number from 1 to 65535 (allowed: `,
		`smtp.relayhost = "relay.test:submission"`: `bad port "submission", it is a number from 1 to 65535 (allowed: `,
		`smtp.relayhost = "smtp:[relay.test]:587"`: `"smtp:[relay.test]:587" begins with the name of a transport: write "[relay.test]:587" (allowed: `,
		// Sizes, times and switches.
		`smtpd.message_size_limit = "lots"`:                    `lots is not a size from 1 KiB to 4 GiB, such as "50 MiB"`,
		`smtpd.message_size_limit = "50 PB"`:                   `50 PB is not a size from`,
		`smtpd.message_size_limit = "-1M"`:                     `-1M is not a size from`,
		`qmgr.queue_lifetime = "5 days"`:                       `5 days is not a time from 0s to 100d, such as "90s", "5m", "4h" or "5d"`,
		`qmgr.queue_lifetime = 5`:                              `5 is not a time from 0s to 100d, such as "90s", "5m", "4h" or "5d"`,
		`smtpd.delay_reject = "yes"`:                           `yes is not true or false, which stand without quotes`,
		"smtpd.delay_reject = yes":                             `at start of value: a text, a size and a time stand in quotes, and a switch is true or false, without them`,
		"[[transport]]\nname = \"q\"\ndomains = [\"@a.test\"]": `"@a.test": malformed address: bad domain (allowed: domains, `,
		`main.hostname = "bad..x"`:                             `"bad..x": malformed address: bad domain (allowed: a host name)`,
	} {
		_, err := Parse("f.toml", []byte(text))
		if err == nil {
			t.Errorf("%s: no mistake", text)
			continue
		}
		first, _, _ := strings.Cut(err.Error(), "\n")
		if !strings.Contains(first, want) || strings.Contains(first, "netip") || strings.Contains(first, "strconv") {
			t.Errorf("%s:\n%s, want\n%s", text, first, want)
		}
	}
}

// TestSizesAsPeopleWriteThem: a file takes what the command line takes for a quota.
func TestSizesAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		`"50 MiB"`: 50 << 20, `"50MiB"`: 50 << 20, `"50M"`: 50 << 20, `"50 MB"`: 50 << 20, `"50m"`: 50 << 20, `"2g"`: 2 << 30,
		`"2048 k"`: 2 << 20, `52428800`: 50 << 20, `"52428800"`: 50 << 20, `"52428800 B"`: 50 << 20,
	} {
		c, err := Parse("f.toml", []byte("smtpd.message_size_limit = "+text))
		if err != nil || c.SMTPD.MessageSizeLimit != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"", "M", "1.5G", "5 M B", "x5", "9999999T", "0x10"} {
		if n, err := ParseSize(text); err == nil {
			t.Errorf("%q is %d", text, n)
		}
	}
}

// TestNetworksWithBitsOfAHost are taken, as before, and named: Postfix refuses them.
func TestNetworksWithBitsOfAHost(t *testing.T) {
	t.Parallel()
	c, err := Parse("f.toml", []byte("[main]\ntrusted_networks = [\"127.0.0.0/8\",\n\"10.1.2.3/16\"]\n[smtpd]\npostmaster = \"p@a.test\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := c.Warnings()
	want := "f.toml:3: main.trusted_networks: 10.1.2.3/16 has bits of one host in it, and counts as the whole network 10.1.0.0/16: write that, or 10.1.2.3/32 for the host alone"
	if len(got) != 1 || got[0].Error() != want {
		t.Errorf("%v", got)
	}
}

// TestFindBeginsWithTheNameItself: who asks by a key gets the parameter that has it before
// those that mention it.
func TestFindBeginsWithTheNameItself(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"message_size_limit": "smtpd.message_size_limit", "queue_minfree": "queue.min_free", "smtpd_timeout": "smtpd.timeout", "quota_grace": "store.quota_grace",
		"auth_cache_size": "directory.cache_entries",
	} {
		if found := Find([]string{name}); len(found) == 0 || found[0].Name != want {
			t.Errorf("%s: %v", name, found)
		}
	}
}

// TestSetOfSwitchesAndNumbers: what is neither is said so, and is no mistake of TOML.
func TestSetOfSwitchesAndNumbers(t *testing.T) {
	t.Parallel()
	for _, one := range []struct{ name, value, want string }{
		{"smtpd.delay_reject", "no", "[smtpd]\ndelay_reject = false\n"},
		{"smtpd.delay_reject", "On", "[smtpd]\ndelay_reject = true\n"},
		{"smtpd.delay_reject", "maybe", "maybe is not true or false"},
		{"smtpd.recipient_limit", "ten", "ten is not a number from"},
		{"smtpd.message_size_limit", "20M", "[smtpd]\nmessage_size_limit = \"20M\"\n"},
	} {
		out, _, err := Set("f.toml", nil, one.name, []string{one.value})
		if got := string(out); got != one.want && (err == nil || !strings.Contains(err.Error(), one.want)) {
			t.Errorf("%s %s: %q, %v", one.name, one.value, got, err)
		}
	}
}
