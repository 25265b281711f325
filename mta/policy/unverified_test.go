package policy

import (
	"context"
	"net/netip"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/addr"
)

// TestUnverified: the reply for each thing that a probe can have found, with the parameters
// that change it.
func TestUnverified(t *testing.T) {
	t.Parallel()
	p := configs.Default().SMTPD
	p.UnverifiedRecipient.Tempfail = configs.TempfailIfPermit
	immediate, permanent, reason := p.UnverifiedRecipient, p.UnverifiedRecipient, p.UnverifiedRecipient
	immediate.Tempfail, immediate.DeferCode = configs.TempfailDefer, 451
	permanent.RejectCode, permanent.DeferCode = 550, 550
	reason.Reason = "not verified"
	no, wait := Verified{Known: true, Text: "no such user"}, Verified{Text: "Address verification in progress"}
	for _, c := range []struct {
		found  *Verified
		params configs.Unverified
		want   string
	}{
		{&Verified{Known: true, Deliverable: true}, p.UnverifiedRecipient, "DUNNO"},
		{&no, p.UnverifiedRecipient, "DEFER 450 4.1.1 <x@far.test>: Recipient address rejected: undeliverable address: no such user"},
		{&no, permanent, "REJECT 550 5.1.1 <x@far.test>: Recipient address rejected: undeliverable address: no such user"},
		{&no, reason, "DEFER 450 4.1.1 <x@far.test>: Recipient address rejected: undeliverable address: not verified"},
		{&wait, p.UnverifiedRecipient, "DEFER_IF_PERMIT 450 4.1.1 <x@far.test>: Recipient address rejected: unverified address: Address verification in progress"},
		{&wait, immediate, "DEFER 451 4.1.1 <x@far.test>: Recipient address rejected: unverified address: Address verification in progress"},
		{&wait, permanent, "REJECT 550 5.1.1 <x@far.test>: Recipient address rejected: unverified address: Address verification in progress"},
		{nil, immediate, "DEFER 451 4.1.1 <x@far.test>: Recipient address rejected: unverified address: Address verification problem"},
	} {
		e := environment(t)
		e.UnverifiedRecipient = c.params
		if c.found != nil {
			e.Verify = func(_ context.Context, a addr.Address, _ netip.Addr) Verified {
				if a.String() != "x@far.test" {
					t.Errorf("asked about %s", a)
				}
				return *c.found
			}
		}
		tr := &Transaction{Stage: Rcpt}
		to := addr.Address{Local: "x", Domain: "far.test"}
		tr.SetRecipient(to, to)
		d := rejectUnverifiedRecipient(Rcpt, e).Check(t.Context(), tr)
		if got := text(d); got != c.want {
			t.Errorf("%+v: %s, want %s", c.found, got, c.want)
		}
	}
}
