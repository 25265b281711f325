package directory

import (
	"errors"
	"testing"

	"toastmaster/internal/dsn"
)

func TestDestination(t *testing.T) {
	t.Parallel()
	box := func(enabled bool) Recipient {
		return Recipient{Kind: KindMailbox, Mailbox: Mailbox{Home: "d/u", Enabled: enabled}}
	}
	for _, c := range []struct {
		name  string
		found Recipient
		err   error
		want  dsn.Status
		text  string
	}{
		{"mailbox", box(true), nil, 0, ""},
		{"disabled", box(false), nil, dsn.MailboxDisabled, "Mailbox is disabled"},
		{"alias", Recipient{Kind: KindAlias}, nil, dsn.BadDestMailbox, "User unknown: the address is an alias and has no mailbox"},
		{"alias beside a mailbox", Recipient{Kind: KindAlias, Mailbox: box(true).Mailbox}, nil, 0, ""},
		{"moved", Recipient{Kind: KindRelocated, MovedTo: "new@d.test"}, nil, dsn.MailboxMoved, "User has moved; please try <new@d.test>"},
		{"moved to a text", Recipient{Kind: KindRelocated, MovedTo: "ask Bob"}, nil, dsn.MailboxMoved, "User has moved; please try ask Bob"},
		{"nobody", Recipient{}, Missing("t", "k"), dsn.BadDestMailbox, "User unknown"},
		{"unavailable", Recipient{}, &Error{Outcome: Unavailable}, dsn.MailSystem, "Temporary lookup failure"},
		{"misconfigured", Recipient{}, &Error{Outcome: Misconfigured}, dsn.Misconfigured, "Server configuration error"},
		{"an error of nobody's", box(true), errors.New("disk"), dsn.MailSystem, "Temporary lookup failure"},
	} {
		m, failed := Destination(c.found, c.err)
		if failed == nil {
			if c.want != 0 || m.Home != "d/u" {
				t.Errorf("%s: %+v without an error", c.name, m)
			}
			continue
		}
		if failed.Status != c.want || failed.Text != c.text || m != (Mailbox{}) {
			t.Errorf("%s: %v, %+v", c.name, failed, m)
		}
		if c.err != nil && !errors.Is(failed, c.err) {
			t.Errorf("%s: the cause is lost", c.name)
		}
	}
}
