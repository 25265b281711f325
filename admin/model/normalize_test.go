package model

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/addr"
)

func ptr[T any](v T) *T { return &v }

type normalizer interface{ Normalize() error }

func TestMistakesNameTheField(t *testing.T) {
	t.Parallel()
	box := func(change MailboxChange) *NewMailbox { return &NewMailbox{Address: "a@b.test", MailboxChange: change} }
	for name, c := range map[string]struct {
		in     normalizer
		fields []string
	}{
		"domain":            {&NewDomain{Name: "a..b"}, []string{"name"}},
		"domain literal":    {&NewDomain{Name: "[192.0.2.1]"}, []string{"name"}},
		"own alias":         {&NewDomain{Name: "a.test", AliasOf: "A.test"}, []string{"alias_of"}},
		"negative":          {&DomainChange{MaxAliases: ptr(int64(-1)), DefaultQuotaBytes: ptr(int64(-1))}, []string{"max_aliases", "default_quota_bytes"}},
		"no domain":         {&NewMailbox{Address: "alice"}, []string{"address"}},
		"catch-all mailbox": {&NewMailbox{Address: "@a.test"}, []string{"address"}},
		"literal mailbox":   {&NewMailbox{Address: "a@[192.0.2.1]"}, []string{"address"}},
		"empty password":    {box(MailboxChange{Password: ptr("")}), []string{"password"}},
		"long password":     {box(MailboxChange{Password: ptr(strings.Repeat("x", 1025))}), []string{"password"}},
		"line in password":  {&MailboxChange{Password: ptr("a\nb")}, []string{"password"}},
		"latin password":    {&MailboxChange{Password: ptr("\xe4")}, []string{"password"}},
		"both":              {box(MailboxChange{Password: ptr("x"), PasswordHash: ptr("{PLAIN}x")}), []string{"password_hash"}},
		"quota":             {box(MailboxChange{QuotaBytes: ptr(int64(-1)), QuotaMessages: ptr(int64(-5))}), []string{"quota_bytes", "quota_messages"}},
		"no targets":        {&NewAlias{Address: "a@b.test"}, []string{"targets"}},
		"bad targets": {&NewAlias{"a@b.test", AliasChange{[]string{"x@y.test", "local", "a b", "X@y.test"}}},
			[]string{"targets[1]", "targets[2]", "targets[3]"}},
		"too many":        {&AliasChange{slices.Repeat([]string{"x@y.test"}, MaxTargets+1)}, nil},
		"relocated":       {&NewRelocated{Address: "@b.test"}, []string{"address", "moved_to"}},
		"relocated lines": {&RelocatedChange{"a\r\n250 ok"}, []string{"moved_to"}},
		"token":           {&NewToken{Name: " "}, []string{"name"}},
		"token lines":     {&NewToken{Name: "a\nb"}, []string{"name"}},
	} {
		err := c.in.Normalize()
		var e *Error
		if !errors.As(err, &e) || e.Kind != Invalid {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var fields []string
		for _, f := range e.Fields {
			fields = append(fields, f.Field)
		}
		if c.fields != nil && !slices.Equal(fields, c.fields) {
			t.Errorf("%s: fields %v, want %v", name, fields, c.fields)
		}
	}
}

func TestNormalizeFolds(t *testing.T) {
	t.Parallel()
	d := NewDomain{Name: "BÜCHER.Example.", AliasOf: "Other.TEST"}
	m := NewMailbox{Address: `"A.B"@Example.TEST`}
	a := NewAlias{"@Example.test", AliasChange{[]string{"Bob@EXAMPLE.test"}}}
	for _, n := range []normalizer{&d, &m, &a} {
		if err := n.Normalize(); err != nil {
			t.Fatal(err)
		}
	}
	if d.Name != "xn--bcher-kva.example" || d.AliasOf != "other.test" {
		t.Errorf("%+v", d)
	}
	if m.Address != "a.b@example.test" || a.Address != "@example.test" || a.Targets[0] != "Bob@example.test" {
		t.Errorf("%+v %+v", m, a)
	}
}

func TestHome(t *testing.T) {
	t.Parallel()
	for local, want := range map[string]string{
		"alice": "e.test/alice", "a.b+c=d_e-f": "e.test/a.b+c=d_e-f", "..": "e.test/%2E.", ".": "e.test/%2E",
		"a/b": "e.test/a%2Fb", "a b": "e.test/a%20b", "jü": "e.test/j%C3%BC", "%": "e.test/%25", "a%2fb": "e.test/a%252fb", "~root": "e.test/%7Eroot",
	} {
		if got := Home(addr.Address{Local: local, Domain: "e.test"}); got != want {
			t.Errorf("%q: %q, want %q", local, got, want)
		}
	}
}

// FuzzHome: no two addresses share a folder, and no folder leads elsewhere.
func FuzzHome(f *testing.F) {
	f.Add("a/b", "a%2fb")
	f.Add("..", ".%2E")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := Home(addr.Address{Local: a, Domain: "d"}), Home(addr.Address{Local: b, Domain: "d"})
		if a != b && x == y {
			t.Errorf("%q and %q share %q", a, b, x)
		}
		if strings.Count(x, "/") != 1 || strings.Contains(x, "/.") || strings.ContainsAny(x, "\x00\\") {
			t.Errorf("%q became %q", a, x)
		}
	})
}
