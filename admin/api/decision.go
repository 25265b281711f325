package api

import (
	"context"
	"fmt"

	"toastmaster/admin/authz"
	"toastmaster/admin/model"
	"toastmaster/directory"
	"toastmaster/internal/addr"
)

// checkAddress answers what the mail services would decide.
func (h *handlers) checkAddress(ctx context.Context, _ caller, in *AddressInput) (*body[model.Decision], error) {
	a, err := addr.Parse(in.Address)
	if err != nil {
		return nil, &model.Error{Kind: model.Invalid, Text: "invalid input", Fields: []model.FieldError{{Field: "address", Message: err.Error()}}}
	}
	a = a.Fold()
	d := h.o.Decide(ctx, a)
	out := described(a, d)
	if d.Verdict == directory.Foreign && d.Err == nil && h.o.Route != nil {
		out.Transport, out.Nexthop = h.o.Route(ctx, a)
	}
	return &body[model.Decision]{out}, nil
}

// askedTarget is the address as a client of SMTP may write it: one without a domain is
// this host's, which is nobody's domain.
func (in *AddressInput) askedTarget() (authz.Target, error) {
	if a, err := addr.Parse(in.Address); err == nil && a.Domain == "" && !a.IsNull() {
		return authz.Target{Object: authz.Address}, nil
	}
	return in.target()
}

func described(a addr.Address, d directory.Decision) model.Decision {
	out := model.Decision{Address: a.String(), Verdict: d.Verdict.String(), Taken: d.Taken() && d.Err == nil, Extension: d.Found.Extension}
	if d.Err != nil {
		out.Reply = fmt.Sprintf("%d %s %s", d.Err.Reply(), d.Err.Status, d.Err.Text)
	}
	if d.Found.Kind != 0 {
		out.Matched = d.Found.Matched.String()
		if d.Found.Matched.Local == "" {
			out.Matched = "@" + d.Found.Matched.Domain
		}
	}
	if d.Found.Mailbox.Home != "" {
		out.Mailbox = d.Found.Mailbox.Address.String()
	}
	for _, to := range d.Addresses {
		out.Addresses = append(out.Addresses, to.String())
	}
	return out
}
