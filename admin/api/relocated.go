package api

import (
	"context"

	"toastmaster/admin/authz"
	"toastmaster/admin/model"
)

func (h *handlers) listRelocated(ctx context.Context, in *ListAddressesInput) (*body[model.Page[model.Relocated]], error) {
	f, err := in.filter(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.o.Store.RelocatedList(ctx, f, in.After, h.limit(in.Paging))
	return &body[model.Page[model.Relocated]]{page}, err
}

func (h *handlers) addRelocated(ctx context.Context, in *body[model.NewRelocated]) (*body[model.Relocated], error) {
	actor, err := mayAdd(ctx, in.Body.Address)
	if err != nil {
		return nil, err
	}
	r, err := h.o.Store.AddRelocated(ctx, actor, in.Body)
	return &body[model.Relocated]{r}, err
}

func (h *handlers) showRelocated(ctx context.Context, in *AddressInput) (*body[model.Relocated], error) {
	address, _, err := in.address(ctx, authz.Read)
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

func (h *handlers) setRelocated(ctx context.Context, in *setRelocatedInput) (*body[model.Relocated], error) {
	address, actor, err := in.address(ctx, authz.Write)
	if err != nil {
		return nil, err
	}
	r, err := h.o.Store.SetRelocated(ctx, actor, address, in.Body)
	return &body[model.Relocated]{r}, err
}

func (h *handlers) removeRelocated(ctx context.Context, in *AddressInput) (*nothing, error) {
	address, actor, err := in.address(ctx, authz.Write)
	if err != nil {
		return nil, err
	}
	return &nothing{}, h.o.Store.RemoveRelocated(ctx, actor, address)
}
