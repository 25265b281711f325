package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/addr"
)

// TestNormalizingTwiceChangesNothing: what was checked is checked again when it comes
// back out of a job or a backup, and is the same.
func TestNormalizingTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []normalizer{
		&NewDomain{Name: "BÜCHER.Example.", AliasOf: "Other.TEST."},
		&NewDomain{Name: "a.test", DomainChange: DomainChange{Enabled: ptr(false), MaxAliases: ptr(int64(0)), DefaultQuotaBytes: ptr(int64(1) << 62)}},
		&NewMailbox{Address: `"A b"@Example.TEST`, MailboxChange: MailboxChange{Password: ptr(" with blanks ä "), QuotaBytes: ptr(int64(0))}},
		&NewMailbox{Address: "Ä@b.test", MailboxChange: MailboxChange{PasswordHash: ptr("")}},
		&NewAlias{"Sales@Example.TEST", AliasChange{[]string{"Bob@EXAMPLE.test", `"x y"@z.test`, "ö@bücher.example"}}},
		&NewAlias{"@Example.TEST", AliasChange{[]string{"a@b.test"}}},
		&NewRelocated{"Moved@A.test", RelocatedChange{"  New.One@B.test "}},
		&NewToken{Name: "  monitoring ä  "},
	} {
		if err := c.Normalize(); err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		once, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Normalize(); err != nil {
			t.Errorf("twice: %+v: %v", c, err)
		}
		if twice, _ := json.Marshal(c); string(twice) != string(once) {
			t.Errorf("%s\n%s", once, twice)
		}
	}
}

// TestAddressesOfAllForms: what can be hosted, and what cannot.
func TestAddressesOfAllForms(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Alice@B.test": "alice@b.test", "a+b@c.test": "a+b@c.test", "ÄRGER@bücher.example": "ärger@xn--bcher-kva.example", "postmaster@b.test": "postmaster@b.test",
		"@b.test": "", "alice": "", "": "", "a@": "", "a@[192.0.2.1]": "", "a@[IPv6:::1]": "", "a b@c.test": "", "a@b.test\n": "", "<a@b.test>": "", "a@b@c.test": "",
		strings.Repeat("x", 65) + "@b.test": "", " a@b.test": "",
	} {
		for _, n := range []struct {
			normalizer
			address *string
		}{one(&NewMailbox{Address: in}), one(&NewRelocated{Address: in, RelocatedChange: RelocatedChange{"x"}})} {
			err := n.Normalize()
			if (err == nil) != (want != "") || err == nil && *n.address != want {
				t.Errorf("%T %q: %q, %v", n.normalizer, in, *n.address, err)
			}
		}
		alias := NewAlias{in, AliasChange{[]string{"x@y.test"}}}
		err := alias.Normalize()
		if catchAll := in == "@b.test"; (err == nil) != (want != "" || catchAll) {
			t.Errorf("alias %q: %v", in, err)
		}
	}
	if a, err := ParseAddress("@B.test", true); err != nil || a != (addr.Address{Domain: "b.test"}) {
		t.Errorf("a catch-all: %+v, %v", a, err)
	}
	if _, err := ParseAddress("@B.test", false); err == nil {
		t.Error("a catch-all where none can be")
	}
}

func one(n normalizer) struct {
	normalizer
	address *string
} {
	v := reflect.ValueOf(n).Elem().FieldByName("Address").Addr().Interface().(*string)
	return struct {
		normalizer
		address *string
	}{n, v}
}

// TestTargets keep the case of their local part, which another system may care for, and
// are told by their place when one is wrong.
func TestTargets(t *testing.T) {
	t.Parallel()
	c := AliasChange{[]string{"Bob@Elsewhere.TEST", "x@[192.0.2.1]", `"odd one"@a.test`}}
	if err := c.Normalize(); err != nil || !slices.Equal(c.Targets, []string{"Bob@elsewhere.test", "x@[192.0.2.1]", `"odd one"@a.test`}) {
		t.Errorf("%q %v", c.Targets, err)
	}
	for i, bad := range []string{"@catch.test", "", "local", "a@b@c", "|program", "/file", ":include:/x", "a@b.test,c@d.test", "a@b.test\r\nRCPT TO:<x>"} {
		c := AliasChange{slices.Insert([]string{"x@a.test", "y@a.test"}, i%3, bad)}
		var e *Error
		if err := c.Normalize(); !errors.As(err, &e) || len(e.Fields) != 1 || e.Fields[0].Field != fmt.Sprintf("targets[%d]", i%3) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	most := AliasChange{}
	for i := range MaxTargets {
		most.Targets = append(most.Targets, fmt.Sprintf("u%d@a.test", i))
	}
	if err := most.Normalize(); err != nil {
		t.Errorf("%d targets: %v", MaxTargets, err)
	}
}

// TestRelocatedIsOneLine: it goes into the reply of an SMTP server.
func TestRelocatedIsOneLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		" new@b.test ": "new@b.test", "no forwarding address": "no forwarding address", "Müller geht zu ö@b.test": "Müller geht zu ö@b.test",
		"": "", "   ": "", "a\nb": "", "a\rb": "", "a\x00b": "", "a\x7fb": "", "a\tb": "", strings.Repeat("x", maxMovedTo+1): "", "\xff": "",
	} {
		c := RelocatedChange{in}
		if err := c.Normalize(); (err == nil) != (want != "") || err == nil && c.MovedTo != want {
			t.Errorf("%q: %q, %v", in, c.MovedTo, err)
		}
	}
}

// TestPasswordsThatEveryProtocolCarries: blanks and any visible text, at the limit of
// octets and not of characters; nothing that ends a line.
func TestPasswordsThatEveryProtocolCarries(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"x": true, " ": true, " a b ": true, "äöü€😀": true, strings.Repeat("x", maxPassword): true, strings.Repeat("ä", maxPassword/2): true, `"\'`: true,
		"": false, strings.Repeat("x", maxPassword+1): false, strings.Repeat("ä", maxPassword/2+1): false, "a\rb": false, "a\nb": false, "a\x00b": false, "\x1b[0m": false, "a\tb": false, "\xc3": false,
	} {
		c := MailboxChange{Password: &in}
		if err := c.Normalize(); (err == nil) != want {
			t.Errorf("%.20q: %v", in, err)
		}
	}
	// A mistake does not tell the password.
	secret := "hunter2\n"
	if err := (&MailboxChange{Password: &secret}).Normalize(); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
	hash := "{SSHA}" + strings.Repeat("x", maxPassword)
	if err := (&MailboxChange{PasswordHash: &hash}).Normalize(); err == nil || strings.Contains(err.Error(), "xxx") {
		t.Errorf("%v", err)
	}
}

// TestErrorsSayWhatWhichAndWhy: the text of an error with all its parts, and the kind
// through wrapping.
func TestErrorsSayWhatWhichAndWhy(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk on fire")
	for want, e := range map[string]*Error{
		"taken":                               Fail(Exists, "taken"),
		"invalid input: a: one; b: two":       {Kind: Invalid, Text: "invalid input", Fields: []FieldError{{"a", "one"}, {"b", "two"}}},
		"invalid input: all of it":            {Kind: Invalid, Text: "invalid input", Fields: []FieldError{{"", "all of it"}}},
		"a: one":                              {Kind: Invalid, Fields: []FieldError{{"a", "one"}}},
		"failed: look at /x: disk on fire":    {Kind: Internal, Text: "failed", Staff: "look at /x", Cause: cause},
		"no: a: one: for staff: disk on fire": {Kind: Invalid, Text: "no", Fields: []FieldError{{"a", "one"}}, Staff: "for staff", Cause: cause},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		wrapped := fmt.Errorf("outside: %w", e)
		if KindOf(wrapped) != e.Kind || e.Cause != nil && !errors.Is(wrapped, cause) {
			t.Errorf("%v is of kind %d", wrapped, KindOf(wrapped))
		}
	}
	if KindOf(nil) != Internal || KindOf(cause) != Internal {
		t.Error("what is none of ours has a kind")
	}
}

// TestEveryKindHasAStatus of its own meaning, and the client of the API finds the kind
// again; a status that two kinds share says neither.
func TestEveryKindHasAStatus(t *testing.T) {
	t.Parallel()
	types := map[string]Kind{}
	for k := Internal; k <= Blocked; k++ {
		uri, status := k.Problem()
		if other, twice := types[uri]; twice || !strings.HasPrefix(uri, "urn:toastmaster:") || strings.HasSuffix(uri, ":") {
			t.Errorf("kind %d: %q, as %d", k, uri, other)
		}
		types[uri] = k
		if http.StatusText(status) == "" || status < 400 {
			t.Errorf("kind %d: status %d", k, status)
		}
		if KindOfProblem(uri, http.StatusTeapot) != k {
			t.Errorf("kind %d is not found by %s", k, uri)
		}
		// A kind that is nobody's mistake is a 5xx, or a client would not try again.
		if server := k == Internal || k == Unavailable; (status >= 500) != server {
			t.Errorf("kind %d: status %d", k, status)
		}
	}
	if len(types) != int(Blocked)+1 {
		t.Errorf("%d kinds", len(types))
	}
	for _, unknown := range []int{0, 200, 400, 409, 418, 502} {
		if k := KindOfProblem("", unknown); k != Internal {
			t.Errorf("status %d is kind %d", unknown, k)
		}
	}
}

// TestTheAnswersAreWhole: an empty list is [], not null, and no answer has a secret that
// goes in only.
func TestTheAnswersAreWhole(t *testing.T) {
	t.Parallel()
	for _, v := range []any{
		Page[Mailbox]{Items: []Mailbox{}}, BulkResponse{Results: []BulkResult{}}, TokenList{Items: []Token{}}, SessionList{Items: []Session{}}, QueueRemains{Items: []QueueFiles{}},
	} {
		text, err := json.Marshal(v)
		if err != nil || strings.Contains(string(text), "null") {
			t.Errorf("%s %v", text, err)
		}
	}
	for _, v := range []any{Mailbox{}, Domain{}, Alias{}, Token{}, Relocated{}, Session{}, QueuedMessage{}} {
		kind := reflect.TypeOf(v)
		for i := range kind.NumField() {
			if name := strings.ToLower(kind.Field(i).Name); (strings.Contains(name, "password") || strings.Contains(name, "hash") || strings.Contains(name, "secret")) && kind.Field(i).Type.Kind() != reflect.Bool {
				t.Errorf("%s has the field %s", kind, kind.Field(i).Name)
			}
		}
	}
	for state, over := range map[JobState]bool{JobWaiting: false, JobRunning: false, JobCancelling: false, JobDone: true, JobFailed: true, JobCancelled: true, "": false} {
		if state.Over() != over {
			t.Errorf("%q: over %v", state, !over)
		}
	}
}

// TestHomesLeadNowhereElse: a template of an operator, with any address, gives a folder
// in the store, or an error that says what is wrong.
func TestHomesLeadNowhereElse(t *testing.T) {
	t.Parallel()
	locals := []string{"alice", "..", ".", "a/b", "/etc/passwd", "%d", "%", "\\", "-", "~", "a\x00b", strings.Repeat("x", 64), "ä", "A"}
	templates := []string{"", "%d/%n", "%u", "%n", "x%n", "%d/%n/Maildir", "%%%n", "/var/vmail/%d/%n", "%d/%d/%n"}
	for _, template := range templates {
		seen := map[string]string{}
		for _, local := range locals {
			home, err := ExpandHome(template, "/var/vmail", addr.Address{Local: local, Domain: "example.test"})
			if err != nil {
				t.Errorf("%q of %q: %v", template, local, err)
				continue
			}
			if other, twice := seen[home]; twice {
				t.Errorf("%q: %q and %q share %q", template, local, other, home)
			}
			seen[home] = local
			for _, part := range strings.Split(home, "/") {
				if part == "" || part[0] == '.' || strings.ContainsAny(part, "\x00\\") {
					t.Errorf("%q of %q is %q", template, local, home)
				}
			}
		}
	}
	long := strings.Repeat("x", maxHomePart+1)
	for template, says := range map[string]string{
		"%d/%q": "%q is unknown", "%d/%": "ends with %", "/etc/%n": "not inside", long: "longer", strings.Repeat("d/", maxHome/2) + "%n": "longer", "../%n": "dot", "%d//%n": "plain path", "%d/.%n": "dot",
		"/var/vmail": "itself", ".": "itself", "%d/\x01": "control",
	} {
		if _, err := ExpandHome(template, "/var/vmail", addr.Address{Local: "a", Domain: "example.test"}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.30q: %v", template, err)
		}
	}
}
