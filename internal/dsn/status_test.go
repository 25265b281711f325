package dsn

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

// TestEveryStatusThereAndBack: text and number of each status, and its class.
func TestEveryStatusThereAndBack(t *testing.T) {
	t.Parallel()
	for _, class := range []int{2, 4, 5} {
		for _, subject := range []int{0, 1, 7, 999} {
			for _, detail := range []int{0, 1, 10, 26, 999} {
				s := Make(class, subject, detail)
				if s.Class() != class || s.Subject() != subject || s.Detail() != detail || s.Triple() != [3]int{class, subject, detail} {
					t.Errorf("%d.%d.%d is %v", class, subject, detail, s.Triple())
				}
				if got, rest, ok := Parse(s.String() + " text"); !ok || got != s || rest != "text" {
					t.Errorf("%s: %v %q %v", s, got, rest, ok)
				}
				if s.Temporary() != (class == 4) {
					t.Errorf("%s: temporary %v", s, s.Temporary())
				}
			}
		}
	}
	for _, bad := range []string{"5.1.1.1 x", "5.1.-1 x", "5.1.+1 x", "05.1.1 x", "5.01234.1 x", "1.1.1", "5,1,1", "5.1.1x", ". .", "5..1"} {
		if s, rest, ok := Parse(bad); ok || s != 0 || rest != bad {
			t.Errorf("%q: %v %q", bad, s, rest)
		}
	}
	if s, rest, ok := Parse("2.0.0"); !ok || s != OK || rest != "" {
		t.Errorf("without a text: %v %q %v", s, rest, ok)
	}
}

// TestReplyFitsTheStatus: the first digit of the derived code is the class, whatever
// the status (RFC 2034 section 4): a client that knows one of both must not be misled.
func TestReplyFitsTheStatus(t *testing.T) {
	t.Parallel()
	for _, s := range []Status{
		BadDestMailbox, BadDestSystem, BadDestSyntax, MailboxMoved, BadSenderSyntax, NullMX, MailboxDisabled, MailboxFull, MailboxFullNow, MessageTooLong,
		MailSystem, SystemFull, ShuttingDown, Misconfigured, NoAnswer, BadConnection, RoutingFailed, Unroutable, Expired, LoopDetected, InvalidCommand,
		SyntaxError, TooManyRecipients, InvalidArguments, BadContent, NonASCIIAddress, Policy, PolicyLater, AuthRequired, AuthFailed, AuthUnavailable,
		EncryptionNeeded, Make(4, 1, 8), Make(5, 9, 9), Make(4, 9, 9),
	} {
		code := New(s, "x").Reply()
		if code/100 != s.Class() || code < 400 || code > 599 {
			t.Errorf("%s is answered with %d", s, code)
		}
		if wrapped := From(fmt.Errorf("a: %w", Wrap(s, "x", io.EOF))); wrapped.Reply() != code || wrapped.Temporary() != s.Temporary() {
			t.Errorf("%s wrapped: %d", s, wrapped.Reply())
		}
	}
}

// TestErrorsKeepTheirCause: the cause is for the log and for errors.Is, the text for
// the peer is without it; a copy with another code changes nothing of the first.
func TestErrorsKeepTheirCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("/var/lib/secret")
	e := Wrap(MailSystem, "Try again", fmt.Errorf("open: %w", cause))
	if e.Text != "Try again" || !errors.Is(e, cause) || e.Error() != "4.3.0 Try again: open: /var/lib/secret" {
		t.Errorf("%q %q", e.Text, e.Error())
	}
	with := e.WithCode(450)
	if with.Reply() != 450 || e.Reply() != 451 || with.Status != e.Status || !errors.Is(with, cause) {
		t.Errorf("%d %d", with.Reply(), e.Reply())
	}
	if got := Newf(Policy, "%d of %s", 1, "two").Error(); got != "5.7.1 1 of two" {
		t.Error(got)
	}
	// The first of ours counts, the ones below are its cause.
	outer := Wrap(LoopDetected, "loop", New(MailSystem, "inner"))
	if got := From(fmt.Errorf("x: %w", outer)); got != outer {
		t.Errorf("%v", got)
	}
	joined := errors.Join(cause, New(MailboxFull, "full"))
	if got := From(joined); got.Status != MailboxFull {
		t.Errorf("of joined errors: %v", got)
	}
}
