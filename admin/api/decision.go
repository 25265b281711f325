package api

import (
	"context"
	"fmt"

	"toastmaster/admin/model"
	"toastmaster/directory"
	"toastmaster/internal/addr"
)

// checkAddress answers what the mail services would decide.
func (h *handlers) checkAddress(ctx context.Context, _ caller, in *AddressInput) (*body[model.Decision], error) {
	a, err := model.ParseAddress(in.Address, false)
	if err != nil {
		return nil, &model.Error{Kind: model.Invalid, Text: "invalid input", Fields: []model.FieldError{{Field: "address", Message: err.Error()}}}
	}
	return &body[model.Decision]{described(a, h.o.Decide(ctx, a))}, nil
}

func described(a addr.Address, d directory.Decision) model.Decision {
	out := model.Decision{Address: a.String(), Verdict: d.Verdict.String(), Taken: d.Taken(), Extension: d.Found.Extension}
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
