package api

import (
	"context"

	"toastmaster/admin/model"
)

func (h *handlers) listRelocated(ctx context.Context, by caller, in *ListAddressesInput) (*body[model.Page[model.Relocated]], error) {
	f := in.filter(by)
	page, err := h.o.Store.RelocatedList(ctx, f, in.After, h.limit(in.Paging))
	return &body[model.Page[model.Relocated]]{page}, err
}

func (h *handlers) addRelocated(ctx context.Context, by caller, in *body[model.NewRelocated]) (*body[model.Relocated], error) {
	r, err := h.o.Store.AddRelocated(ctx, by.name, in.Body)
	return &body[model.Relocated]{r}, err
}

func (h *handlers) showRelocated(ctx context.Context, _ caller, in *AddressInput) (*body[model.Relocated], error) {
	address, err := in.folded()
	if err != nil {
		return nil, err
	}
	r, err := h.o.Store.Relocated(ctx, address)
	return &body[model.Relocated]{r}, err
}

type setRelocatedInput struct {
	AddressInput
	Body model.RelocatedChange
}

func (h *handlers) setRelocated(ctx context.Context, by caller, in *setRelocatedInput) (*body[model.Relocated], error) {
	address, err := in.folded()
	if err != nil {
		return nil, err
	}
	r, err := h.o.Store.SetRelocated(ctx, by.name, address, in.Body)
	return &body[model.Relocated]{r}, err
}

func (h *handlers) removeRelocated(ctx context.Context, by caller, in *AddressInput) (*nothing, error) {
	address, err := in.folded()
	if err != nil {
		return nil, err
	}
	return &nothing{}, h.o.Store.RemoveRelocated(ctx, by.name, address)
}
