package dsn

import (
	"errors"
	"fmt"
	"testing"
)

func TestClassIsComputed(t *testing.T) {
	for _, c := range []struct {
		s         Status
		text      string
		temporary bool
	}{
		{BadDestMailbox, "5.1.1", false},
		{SystemFull, "4.3.1", true},
		{Make(5, 7, 26), "5.7.26", false},
		{0, "0.0.0", true},
		{OK, "2.0.0", false},
	} {
		if got := c.s.String(); got != c.text {
			t.Errorf("String() = %q, want %q", got, c.text)
		}
		if got := c.s.Temporary(); got != c.temporary {
			t.Errorf("%s: Temporary() = %v", c.text, got)
		}
	}
}

func TestFrom(t *testing.T) {
	if From(nil) != nil {
		t.Error("From(nil) is an error")
	}
	plain := errors.New("disk on fire")
	e := From(plain)
	if e.Status != MailSystem || !e.Temporary() || !errors.Is(e, plain) {
		t.Errorf("unknown error became %v", e)
	}
	wrapped := fmt.Errorf("while delivering: %w", New(BadDestMailbox, "No such user"))
	if e := From(wrapped); e.Status != BadDestMailbox || e.Temporary() {
		t.Errorf("our own error became %v", e)
	}
}

func TestReply(t *testing.T) {
	for s, code := range map[Status]int{
		BadDestMailbox: 550, MailboxMoved: 551, MailboxFull: 552, SystemFull: 452,
		MailSystem: 451, AuthFailed: 535, Policy: 554, BadDestSyntax: 501,
	} {
		if got := New(s, "x").Reply(); got != code {
			t.Errorf("%s: %d, want %d", s, got, code)
		}
	}
	if got := New(Policy, "x").WithCode(550).Reply(); got != 550 {
		t.Errorf("WithCode: %d", got)
	}
}

func TestParse(t *testing.T) {
	s, rest, ok := Parse("5.1.1 <x@y>: unknown")
	if !ok || s != BadDestMailbox || rest != "<x@y>: unknown" {
		t.Errorf("got %v %q %v", s, rest, ok)
	}
	for _, bad := range []string{"", "5.1", "3.1.1 x", "5.1000.1 x", "5.-1.1", "hello world", "5.1.0001 x"} {
		if _, rest, ok := Parse(bad); ok || rest != bad {
			t.Errorf("%q accepted", bad)
		}
	}
}
