package api

import (
	"context"

	"toastmaster/admin/authz"
	"toastmaster/admin/model"
)

type listAliasesInput struct {
	ListAddressesInput
	Target string `query:"target" doc:"Only those with this target"`
}

func (h *handlers) listAliases(ctx context.Context, in *listAliasesInput) (*body[model.Page[model.Alias]], error) {
	f, err := in.filter(ctx)
	if err != nil {
		return nil, err
	}
	f.Target = in.Target
	page, err := h.o.Store.Aliases(ctx, f, in.After, h.limit(in.Paging))
	return &body[model.Page[model.Alias]]{page}, err
}

func (h *handlers) addAlias(ctx context.Context, in *body[model.NewAlias]) (*body[model.Alias], error) {
	actor, err := mayAdd(ctx, in.Body.Address)
	if err != nil {
		return nil, err
	}
	a, err := h.o.Store.AddAlias(ctx, actor, in.Body)
	return &body[model.Alias]{a}, err
}

func (h *handlers) showAlias(ctx context.Context, in *AddressInput) (*body[model.Alias], error) {
	address, _, err := in.address(ctx, authz.Read)
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

func (h *handlers) setAlias(ctx context.Context, in *setAliasInput) (*body[model.Alias], error) {
	address, actor, err := in.address(ctx, authz.Write)
	if err != nil {
		return nil, err
	}
	a, err := h.o.Store.SetAlias(ctx, actor, address, in.Body)
	return &body[model.Alias]{a}, err
}

func (h *handlers) removeAlias(ctx context.Context, in *AddressInput) (*nothing, error) {
	address, actor, err := in.address(ctx, authz.Write)
	if err != nil {
		return nil, err
	}
	return &nothing{}, h.o.Store.RemoveAlias(ctx, actor, address)
}
