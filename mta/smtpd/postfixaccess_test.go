package smtpd

import (
	"fmt"
	"strings"
)

// accessTable is what Postfix and we are asked about access tables: what becomes of each action
// of access(5), and which keys are looked up in which order.
func accessTable() []asked {
	plain := func(items ...string) asked {
		return asked{list: items, client: "127.66.0.1", helo: "helo.test", from: "x@good.test", to: "alice"}
	}
	var all []asked
	// Each action, about a sender.
	for _, action := range []string{
		"OK", "ok some text", "RELAY", "1234567890", "550", "DUNNO", "dunno whatever", "REJECT", "reject", "Reject no thanks", "REJECT 5.1.1 no such", "REJECT 5.1.2 x",
		"REJECT 5.1.3 x", "REJECT 5.1.4 x", "REJECT 5.1.5 x", "REJECT 5.1.6 x", "REJECT 5.1.7 x", "REJECT 5.1.8 x", "REJECT 5.1.9 x", "REJECT 5.1.0 x",
		"REJECT 4.7.2 class", "REJECT 2.0.0 class", "REJECT 5.7.1", "REJECT 5.7 x", "DEFER", "DEFER later", "DEFER 5.2.2 later", "DEFER_IF_PERMIT", "DEFER_IF_PERMIT 4.2.0 perhaps", "defer_if_reject",
		"DEFER_IF_REJECT 4.2.1 perhaps", "450 later", "550 no", "550 5.1.1 no", "554 4.7.1 no", "499 4.9.9 odd", "599 odd", "450 5.1.8 x", "WARN", "WARN text", "INFO text", "HOLD", "HOLD why",
		"DISCARD", "DISCARD why", "FILTER scan:[127.0.0.1]:1", "REDIRECT else@good.test", "BCC else@good.test", "PREPEND X-Seen: yes", "permit", "PERMIT",
		"reject_unknown_sender_domain", "defer", "defer_if_permit permit", "myclass", "myclass2", "myclass2, reject", "myclass reject", "permit_mynetworks reject", "reject_rbl_client rbl.test",
		"warn_if_reject reject", "warn_if_reject reject, permit", "reject_rbl_client none.test reject", "reject_unknown_client_hostname", "reject_invalid_helo_hostname reject_non_fqdn_helo_hostname",
		"sleep 0", "reject_unauth_pipelining", "reject_multi_recipient_bounce",
	} {
		table := "inline:{ {x@good.test = " + action + "} }"
		all = append(all, plain("check_sender_access "+table), plain("check_sender_access "+table, "reject"), plain("warn_if_reject check_sender_access "+table, "defer_if_reject"))
	}
	// The same words about others: the name in the reply, and the status.
	for _, action := range []string{"REJECT", "REJECT 5.1.1 x", "550 5.1.2 x", "REJECT 5.1.7 x", "DEFER", "DEFER_IF_PERMIT x", "reject", "myclass2, reject", "defer", "defer_if_permit", "defer_if_permit permit", "OK"} {
		for _, restriction := range []string{"check_client_access", "check_helo_access", "check_recipient_access", "check_reverse_client_hostname_access",
			"check_sender_mx_access", "check_helo_mx_access", "check_recipient_ns_access", "check_client_mx_access", "check_client_a_access", "check_reverse_client_hostname_ns_access"} {
			all = append(all, plain(restriction+" static:{"+action+"}", "reject_unlisted_sender"))
		}
	}
	// Tables without an answer.
	for _, restriction := range []string{"check_client_access", "check_sender_access", "check_recipient_access", "check_helo_access", "check_helo_a_access", "check_sasl_access"} {
		all = append(all, plain(restriction+" fail:1"), plain(restriction+" fail:1", "reject"), plain("warn_if_reject "+restriction+" fail:1"))
	}
	all = append(all, plain("myself"), plain("check_sender_access inline:{ {x@good.test = no_such_restriction} }"),
		plain("check_sender_access inline:{ {x@good.test = hash:x} }"))
	// Which key wins: all of them, then all but the first, and so on.
	walk := func(restriction string, set func(*asked), keys ...string) {
		for i := range keys {
			var entries []string
			for _, k := range keys[i:] {
				entries = append(entries, "{"+k+" = REJECT key "+strings.ReplaceAll(k, "@", " at ")+"}")
			}
			a := plain(restriction + " inline:{ " + strings.Join(entries, ", ") + " }")
			set(&a)
			all = append(all, a)
		}
	}
	none := func(*asked) {}
	walk("check_client_access", none, "a.client.test", "client.test", "test", "127.66.0.1", "127.66.0", "127.66", "127", ".client.test", "other")
	walk("check_client_access", func(a *asked) { a.client = "127.66.0.3" }, "unknown", "forged.test", "127.66.0.3", "127.66.0", "127")
	walk("check_reverse_client_hostname_access", func(a *asked) { a.client = "127.66.0.3" }, "unknown", "forged.test", "test", "127.66.0.3", "127.66", "127")
	walk("check_helo_access", func(a *asked) { a.helo = "A.B.Good.Test" }, "a.b.good.test", "b.good.test", "good.test", "test", ".test")
	walk("check_helo_access", func(a *asked) { a.helo = "192.0.2.1" }, "192.0.2.1", "0.2.1", "2.1", "1", "192.0.2")
	walk("check_helo_access", func(a *asked) { a.helo = "[192.0.2.1]" }, "[192.0.2.1]", "192.0.2.1]", "192.0.2.1")
	walk("check_helo_access", func(a *asked) { a.helo = "a.test." }, "a.test.", "a.test", "test.", "test")
	walk("check_sender_access", func(a *asked) { a.from = "Joe+Ext@sub.good.test" }, "joe+ext@sub.good.test", "joe@sub.good.test", "sub.good.test", "good.test", "test", "joe+ext@", "joe@", "@good.test", ".good.test")
	walk("check_sender_access", func(a *asked) { a.from = "joe@[192.0.2.1]" }, "joe@[192.0.2.1]", "[192.0.2.1]", "192.0.2.1", "joe@")
	walk("check_sender_access", func(a *asked) { a.from = "" }, "<>", "@", "x")
	walk("check_recipient_access", none, fmt.Sprintf("c%d@example.test", 0), "example.test", "test", "@example.test")
	// Whole keys only.
	for _, table := range []string{"cidr:{ {127.66.0.0/16 REJECT network}, {0.0.0.0/0 OK} }", "regexp:{ {/^127/ REJECT an address}, {/^client/ REJECT a part}, {/^a[.]client/ REJECT a name} }",
		"regexp:{ {/^127.66.0$/ REJECT a part} }", "pcre:{ {/^127\\.(\\d+)\\.0\\.1/ REJECT number $1} }"} {
		all = append(all, plain("check_client_access "+table))
	}
	for _, table := range []string{"regexp:{ {/^good/ REJECT a part}, {/^x@$/ REJECT a part}, {/^x@good[.]test$/ REJECT whole} }", "regexp:{ {/^good/ REJECT a part}, {/^x@$/ REJECT a part} }"} {
		all = append(all, plain("check_sender_access "+table))
	}
	// Servers: names and parents, addresses, literals, null MX, none, no answer.
	servers := "inline:{ {mx.good.test = REJECT mx name}, {192.0.2.1 = REJECT mx address}, {192.0.2.2 = REJECT a address}, {198.51.100.7 = REJECT literal}, {ns1.dns.test = REJECT ns name}, {192.0.2.53 = REJECT ns address}, {addr.test = REJECT own name}, {parentns.test = REJECT in a domain} }"
	addresses := "inline:{ {192.0.2 = REJECT a network}, {198.51.100.7 = REJECT literal} }"
	for _, table := range []string{servers, addresses} {
		for _, domain := range []string{"good.test", "addr.test", "empty.test", "nowhere.test", "null.test", "halfnull.test", "servfail.test", "mxfail.test", "dangling.test", "alias.test",
			"[198.51.100.7]", "sub.delegated.test", "delegated.test", "deep.parent.delegated.test", "nons.test"} {
			for _, kind := range []string{"mx", "ns", "a"} {
				sender, helo := plain("check_sender_"+kind+"_access "+table), plain("check_helo_"+kind+"_access "+table)
				sender.from, helo.helo = "x@"+domain, domain
				all = append(all, sender, helo)
			}
		}
	}
	return all
}
