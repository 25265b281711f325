package policy

import (
	"strings"
	"testing"

	"toastmaster/internal/addr"
)

// TestNamesOfClients: Postfix 3.7 was asked about each of these.
func TestNamesOfClients(t *testing.T) {
	t.Parallel()
	const name, full, literal = "501 5.5.2 *: Helo command rejected: Invalid name",
		"504 5.5.2 *: Helo command rejected: need fully-qualified hostname", "501 5.5.2 *: Helo command rejected: invalid ip address"
	for helo, want := range map[string][2]string{
		"": {}, "a.test": {}, "a.test.": {}, "a_b.test": {}, "A_B.Test": {}, "xn--mlaut-jva.test": {}, "1.2.3.test": {},
		"localhost": {"", full}, "localhost.": {"", full},
		"a..test": {name, full}, "a.test..": {name, full}, ".": {name, full}, "-a.test": {name, full}, "a-.test": {name, full},
		"a b.test": {name, full}, "*.a.test": {name, full}, "a@b.test": {name, full}, "<a.test>": {name, full},
		"ümlaut.test": {name, full}, "ümlaut": {name, full}, "\xff.test": {name, full}, strings.Repeat("a", 64) + ".test": {name, full},
		"192.0.2.1": {"", full}, "2001:db8::1": {"", full}, "fe80::1%eth0": {name, full}, "12": {name, full}, "1.2": {name, full}, "192.0.2.400": {name, full},
		"[192.0.2.1]": {}, "[IPv6:2001:db8::1]": {}, "[ipv6:::1]": {},
		"[192.0.2.1": {literal, literal}, "[192.0.2.400]": {literal, literal}, "[]": {literal, literal}, "[::1]": {literal, literal},
		"[IPv6:192.0.2.1]": {literal, literal}, "[a.test]": {literal, literal},
	} {
		for i, restriction := range []string{"reject_invalid_helo_hostname", "reject_non_fqdn_helo_hostname"} {
			said := "DUNNO"
			if want[i] != "" {
				said = "REJECT " + strings.Replace(want[i], "*", "<"+helo+">", 1)
			}
			for _, s := range []Stage{Helo, Rcpt} {
				if got := text(decide(t, s, restriction, &Transaction{Helo: helo})); got != said {
					t.Errorf("%s, %q: %s, want %s", restriction, helo, got, said)
				}
			}
		}
	}
}

// TestAddressesWithoutDomain: what the client wrote counts, not what it stands for. Postfix
// 3.7 was asked about each; it names the domain as it was written, we in lower case.
func TestAddressesWithoutDomain(t *testing.T) {
	t.Parallel()
	for a, sender := range map[string]string{
		"x@a.test": "", "x@a.test.": "", "x@[192.0.2.1]": "", "x@xn--mlaut-jva.test": "", "x@ümlaut.test": "",
		"x": "<x>", "Root": "<Root>", "x@localhost": "<x@localhost>", "x@localhost.": "<x@localhost>", "x@ümlaut": "<x@xn--mlaut-jva>",
		"x@192.0.2.1": "<x@192.0.2.1>", `"x y"@local`: `<"x y"@local>`, "postmaster@local": "<postmaster@local>", "postmaster": "<postmaster>",
	} {
		given := address(t, a)
		qualified := given
		if given.Domain == "" {
			qualified = given.WithDomain("mx.test")
		}
		recipient := sender
		if a == "postmaster" {
			recipient = ""
		}
		said := func(named, role string) string {
			if named == "" {
				return "DUNNO"
			}
			return "REJECT 504 5.5.2 " + named + ": " + role + " address rejected: need fully-qualified address"
		}
		tx := &Transaction{}
		tx.SetSender(given, qualified)
		tx.SetRecipient(given, qualified)
		for _, s := range []Stage{Mail, Rcpt, Data} {
			if got, want := text(decide(t, s, "reject_non_fqdn_sender", tx)), said(sender, "Sender"); got != want {
				t.Errorf("%s: %s, want %s", a, got, want)
			}
		}
		if got, want := text(decide(t, Rcpt, "reject_non_fqdn_recipient", tx)), said(recipient, "Recipient"); got != want {
			t.Errorf("%s: %s, want %s", a, got, want)
		}
	}
	tx := &Transaction{}
	if tx.SetSender(addr.Address{}, addr.Address{}); text(decide(t, Mail, "reject_non_fqdn_sender", tx)) != "DUNNO" {
		t.Error("the null sender is refused")
	}
}

func decide(t testing.TB, s Stage, restriction string, tx *Transaction) Decision {
	t.Helper()
	l, err := Compile(s, []string{restriction}, &Env{})
	if err != nil {
		t.Fatal(err)
	}
	return l.Decide(t.Context(), tx)
}
