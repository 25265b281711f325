package run

import (
	"context"
	"net/netip"

	"toastmaster/internal/addr"
	"toastmaster/mta/policy"
	"toastmaster/mta/verify"
)

// verified is what a restriction hears of an address.
func (p *pipeline) verified(ctx context.Context, a addr.Address, client netip.Addr) policy.Verified {
	answer := p.verify.Verify(ctx, a, client)
	return policy.Verified{
		Known:       answer.State == verify.Deliverable || answer.State == verify.Undeliverable,
		Deliverable: answer.State == verify.Deliverable, Text: answer.Text,
	}
}
