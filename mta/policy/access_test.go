package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/clock"
	"toastmaster/internal/dns"
	"toastmaster/internal/dsn"
	"toastmaster/internal/testkit/dnstest"
)

// TestResults are the actions of access(5).
func TestResults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"OK": "PERMIT 0 0 []", "ok  whatever": "PERMIT 0 0 []", "relay": "PERMIT 0 0 []", "20260101": "PERMIT 0 0 []", "550": "PERMIT 0 0 []",
		"DUNNO": "DUNNO 0 0 []", "Dunno 12": "DUNNO 0 0 []",
		"REJECT": "REJECT 0 0 []", "reject\tNo  more": "REJECT 0 0 No  more []", "REJECT 5.7.25 x": "REJECT 0 5.7.25 x []", "REJECT 4.7.25": "REJECT 0 5.7.25 []",
		"DEFER 5.1.1 x": "DEFER 0 4.1.1 x []", "DEFER_IF_PERMIT x": "DEFER_IF_PERMIT 0 0 x []", "defer_if_reject 4.2.0 x": "DEFER_IF_REJECT 0 4.2.0 x []",
		"450 4.2.1 x": "DEFER 450 4.2.1 x []", "554 x": "REJECT 554 0 x []", "421 bye": "DEFER 421 0 bye []", "521 5.7.1 bye": "REJECT 521 5.7.1 bye []",
		"HOLD": "HOLD 0 0 []", "HOLD why": "HOLD 0 0 why []", "DISCARD": "DISCARD 0 0 []", "FILTER scan:[127.0.0.1]:10025": "FILTER 0 0 scan:[127.0.0.1]:10025 []",
		"REDIRECT a@b.test": "REDIRECT 0 0 a@b.test []", "BCC a@b.test": "BCC 0 0 a@b.test []", "PREPEND X-A:  b c": "PREPEND 0 0 X-A:  b c []",
		"WARN w": "WARN 0 0 w []", "INFO i": "INFO 0 0 i []",
		"permit": "DUNNO 0 0 [permit]", "a, b,c\td": "DUNNO 0 0 [a b c d]", "reject_rbl_client zen.test, reject": "DUNNO 0 0 [reject_rbl_client zen.test reject]",
		"OKAY": "DUNNO 0 0 [OKAY]", "650 x": "DUNNO 0 0 [650 x]", "4500 x": "DUNNO 0 0 [4500 x]", " OK": "DUNNO 0 0 [OK]",
	} {
		r, err := ParseResult(text)
		if got := strings.Join(strings.Fields(fmt.Sprintf("%s %d %s %s %v", r.Action, r.Code, statusText(r.Status), r.Text, r.List)), " "); err != nil || got != strings.Join(strings.Fields(want), " ") {
			t.Errorf("%q: %s, %v, want %s", text, got, err, want)
		}
	}
	for _, bad := range []string{"", " ", ",", "check_client_access hash:x", "hash:x", "check_policy_service unix:private/x"} {
		if r, err := ParseResult(bad); err == nil {
			t.Errorf("%q: %+v", bad, r)
		}
	}
}

func statusText(s dsn.Status) string {
	if s == 0 {
		return "0"
	}
	return s.String()
}

// FuzzParseResult: a reply has a code and status of one class, what ends a list ends it, and a list
// has words.
func FuzzParseResult(f *testing.F) {
	for _, s := range []string{"OK", "REJECT 5.7.1 x", "450 4.2.0 x", "FILTER a:b", "permit, reject", "DEFER_IF_PERMIT", "12", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseResult(s)
		if err != nil {
			return
		}
		if r.Code != 0 && (r.Code < 400 || r.Code > 599 || r.Text == "" && r.Status == 0 || r.Status != 0 && r.Status.Class() != r.Code/100) {
			t.Fatalf("%q: %+v", s, r)
		}
		if r.Status != 0 && r.Status.Class() != 4 && r.Status.Class() != 5 || r.List != nil && r.Action != Dunno {
			t.Fatalf("%q: %+v", s, r)
		}
		for _, w := range r.List {
			if w == "" || strings.ContainsAny(w, ":, \t\n") {
				t.Fatalf("%q: %q", s, r.List)
			}
		}
	})
}

// accessEnv is an environment with tables.
func accessEnv(t *testing.T) *Env {
	t.Helper()
	e := environment(t)
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	t.Cleanup(func() { set.Close() })
	e.Tables, e.Keys, e.NullSender = set, keys.Options{Delimiters: "+", ParentMatches: true}, "<>"
	return e
}

func at5(stage Stage) func(*Transaction) { return func(tx *Transaction) { tx.Stage = stage } }

// TestAccess: what TestRepliesArePostfixs of mta/smtpd does not have, because Postfix does
// otherwise or a client cannot bring it about.
func TestAccess(t *testing.T) {
	t.Parallel()
	const broken = "DEFER 451 4.3.5 Server configuration error"
	rcpt := at5(Rcpt)
	for _, c := range []struct {
		items []string
		set   func(*Transaction)
		want  string
	}{
		{[]string{"check_sender_access inline:{ {<> = REJECT report} }"}, func(tx *Transaction) { tx.Stage = Rcpt; tx.SetSender(address(t, ""), address(t, "")) }, "REJECT 554 5.7.1 <>: Sender address rejected: report"},
		{[]string{"check_sasl_access static:{REJECT 5.1.1 x}"}, rcpt, "DUNNO"},
		{[]string{"check_sasl_access inline:{ {alice@example.test = REJECT 5.1.1 x} }"}, user("alice@example.test"), "REJECT 554 5.0.0 <alice@example.test>: SASL login name rejected: x"},
		{[]string{"check_sasl_access inline:{ {alice@example.test = classy} }"}, user("alice@example.test"), "REJECT 554 5.7.1 <alice@example.test>: SASL login name rejected: Access denied"},
		{[]string{"check_etrn_access static:{REJECT}"}, rcpt, "not here"},
		{[]string{"check_client_access fail:1", "permit"}, rcpt, "DEFER 451 4.3.5 <unknown[192.0.2.1]>: Client host rejected: Server configuration error"},
		{[]string{"check_client_access inline:{ {192.0.2.1 = permit_everybody} }", "permit"}, rcpt, broken},
		{[]string{"warn_if_reject check_client_access inline:{ {192.0.2.1 = permit_everybody} }"}, rcpt, broken},
		{[]string{"check_client_access inline:{ {192.0.2.1 = check_client_access} }"}, rcpt, broken},
		{[]string{"check_client_access inline:{ {192.0.2.1 = round} }"}, rcpt, broken},
		{[]string{"check_helo_a_access static:OK"}, rcpt, broken},
		{[]string{"check_helo_a_access static:{DISCARD}", "reject"}, rcpt, "PERMIT"},
		{[]string{"check_reverse_client_hostname_access static:OK"}, rcpt, broken},
		{[]string{"check_reverse_client_hostname_access static:{REJECT}"}, rcpt, "REJECT 554 5.7.1 <unknown>: Unverified Client host rejected: Access denied"},
		{[]string{"check_client_access static:{DISCARD spam}", "reject"}, rcpt, "PERMIT"},
		{[]string{"check_client_access static:{HOLD}", "reject"}, rcpt, "REJECT 554 5.7.1 <a@example.test>: Recipient address rejected: Access denied"},
		{[]string{"check_recipient_access static:OK"}, func(tx *Transaction) { tx.Stage = Data }, "PERMIT"},
	} {
		e := accessEnv(t)
		e.DNS = dns.New(dns.Options{Servers: []string{dnstest.StartForSystem(t, map[string]dnstest.Name{"client.test": {Addrs: []string{"192.0.2.7"}}}).Addr}, Clock: clock.System{}})
		e.Classes = map[string][]string{"classy": {"reject"}, "round": {"check_client_access inline:{ {192.0.2.1 = round} }"}}
		if c.want == "not here" {
			if _, err := Compile(Rcpt, c.items, e); err == nil {
				t.Errorf("%q may stand there", c.items)
			}
			continue
		}
		if got := asked(t, e, c.items, "a@example.test", c.set); got != c.want {
			t.Errorf("%q: %s, want %s", c.items, got, c.want)
		}
	}
}

// TestEtrnAccess: the row is there before the verb.
func TestEtrnAccess(t *testing.T) {
	t.Parallel()
	l, err := Compile(Etrn, []string{"check_etrn_access inline:{ {example.test = REJECT not yours} }"}, accessEnv(t))
	if err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]string{"": "DUNNO", "a.example.test": "REJECT 554 5.7.1 <a.example.test>: Etrn command rejected: not yours", "else.test": "DUNNO"} {
		if got := text(l.Decide(t.Context(), &Transaction{Stage: Etrn, Etrn: domain})); got != want {
			t.Errorf("%q: %s, want %s", domain, got, want)
		}
	}
}

// TestTablesOfRestrictionsAreOpened when the list is compiled: a mistake has its place.
func TestTablesOfRestrictionsAreOpened(t *testing.T) {
	t.Parallel()
	e := accessEnv(t)
	for item, words := range map[string]string{
		"check_client_access":                     "wants an argument",
		"check_client_access hash":                "expected type:argument",
		"check_client_access nosuch:x":            "nosuch",
		"check_client_access texthash:/no/where":  "/no/where",
		"check_sender_access cidr:{ {1.2.3 OK} }": "1.2.3",
	} {
		_, err := Compile(Rcpt, []string{"permit_mynetworks", item}, e)
		var m *Mistake
		if !errors.As(err, &m) || m.Item != 1 || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v", item, err)
		}
	}
	if _, err := Compile(Rcpt, []string{"check_client_access static:OK"}, environment(t)); err == nil {
		t.Error("a table is opened by nobody")
	}
}

// TestNobodyIsAskedTwice: with DUNNO no other key of the table is looked up.
func TestNobodyIsAskedTwice(t *testing.T) {
	t.Parallel()
	e := accessEnv(t)
	asked := 0
	e.Tables = opener(func(string) (tables.Table, error) {
		return lookup(func(string) (string, error) { asked++; return "DUNNO", nil }), nil
	})
	l, err := Compile(Rcpt, []string{"check_sender_access static:x"}, e)
	if err != nil {
		t.Fatal(err)
	}
	tx := &Transaction{Stage: Rcpt, Sender: address(t, "a+b@c.d.test")}
	if got := text(l.Decide(t.Context(), tx)); got != "DUNNO" || asked != 1 {
		t.Errorf("%s, %d lookups", got, asked)
	}
}

type opener func(name string) (tables.Table, error)

func (o opener) Open(_ context.Context, name string) (tables.Table, error) { return o(name) }

type lookup func(key string) (string, error)

func (l lookup) Lookup(_ context.Context, key string) (string, error) { return l(key) }
