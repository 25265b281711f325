package api

import (
	"context"

	"toastmaster/admin/model"
)

type listAliasesInput struct {
	ListAddressesInput
	Target string `query:"target" doc:"Only those with this target"`
}

func (h *handlers) listAliases(ctx context.Context, by caller, in *listAliasesInput) (*body[model.Page[model.Alias]], error) {
	f := in.filter(by)
	f.Target = in.Target
	page, err := h.o.Store.Aliases(ctx, f, in.After, h.limit(in.Paging))
	return &body[model.Page[model.Alias]]{page}, err
}

func (h *handlers) addAlias(ctx context.Context, by caller, in *body[model.NewAlias]) (*body[model.Alias], error) {
	a, err := h.o.Store.AddAlias(ctx, by.name, in.Body)
	return &body[model.Alias]{a}, err
}

func (h *handlers) showAlias(ctx context.Context, _ caller, in *AddressInput) (*body[model.Alias], error) {
	address, err := in.folded()
	if err != nil {
		return nil, err
	}
	a, err := h.o.Store.Alias(ctx, address)
	return &body[model.Alias]{a}, err
}

type setAliasInput struct {
	AddressInput
	Body model.AliasChange
}

func (h *handlers) setAlias(ctx context.Context, by caller, in *setAliasInput) (*body[model.Alias], error) {
	address, err := in.folded()
	if err != nil {
		return nil, err
	}
	a, err := h.o.Store.SetAlias(ctx, by.name, address, in.Body)
	return &body[model.Alias]{a}, err
}

func (h *handlers) removeAlias(ctx context.Context, by caller, in *AddressInput) (*nothing, error) {
	address, err := in.folded()
	if err != nil {
		return nil, err
	}
	return &nothing{}, h.o.Store.RemoveAlias(ctx, by.name, address)
}
