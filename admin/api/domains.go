package api

import (
	"context"
	"net/http"

	"toastmaster/admin/authz"
	"toastmaster/admin/model"
	"toastmaster/internal/addr"
)

type listDomainsInput struct {
	Paging
	Contains string      `query:"contains" doc:"A part of the name"`
	AliasOf  string      `query:"alias_of" doc:"Only those that stand for this domain"`
	Enabled  switchParam `query:"enabled" enum:"true,false"`
}

// target is the domain that the others stand for, or all that the caller may see.
func (in *listDomainsInput) target() (authz.Target, error) {
	return authz.Target{Object: authz.Domain, Domain: fold(in.AliasOf)}, nil
}

func (h *handlers) listDomains(ctx context.Context, by caller, in *listDomainsInput) (*body[model.Page[model.Domain]], error) {
	f := model.Filter{Domain: in.AliasOf, Contains: fold(in.Contains), Enabled: in.Enabled.value(), Scope: by.scope()}
	page, err := h.o.Store.Domains(ctx, f, in.After, h.limit(in.Paging))
	return &body[model.Page[model.Domain]]{page}, err
}

// fold is the form in which names and addresses are stored; parts of them
// cannot be parsed.
func fold(s string) string { return addr.Address{Local: s}.Fold().Local }

func (h *handlers) addDomain(ctx context.Context, by caller, in *body[model.NewDomain]) (*body[model.Domain], error) {
	d, err := h.o.Store.AddDomain(ctx, by.name, in.Body)
	return &body[model.Domain]{d}, err
}

// DomainInput is the path of an operation on one domain.
type DomainInput struct {
	Name string `path:"name" maxLength:"255"`
}

// name is the domain's name as it is stored.
func (in *DomainInput) name() (string, error) {
	name, err := addr.ParseDomain(in.Name)
	if err != nil {
		return "", model.Fail(model.NotFound, "no such domain")
	}
	return name, nil
}

// target is the domain.
func (in *DomainInput) target() (authz.Target, error) {
	name, err := in.name()
	return authz.Target{Object: authz.Domain, Domain: name}, err
}

func (h *handlers) showDomain(ctx context.Context, _ caller, in *DomainInput) (*body[model.Domain], error) {
	name, err := in.name()
	if err != nil {
		return nil, err
	}
	d, err := h.o.Store.Domain(ctx, name)
	return &body[model.Domain]{d}, err
}

type setDomainInput struct {
	DomainInput
	Body model.DomainChange
}

func (h *handlers) setDomain(ctx context.Context, by caller, in *setDomainInput) (*body[model.Domain], error) {
	name, err := in.name()
	if err != nil {
		return nil, err
	}
	d, err := h.o.Store.SetDomain(ctx, by.name, name, in.Body)
	return &body[model.Domain]{d}, err
}

type removeDomainInput struct {
	DomainInput
	All   bool `query:"all" doc:"With all its addresses"`
	Purge bool `query:"purge" doc:"With all their mail; needs all"`
}

// removeDomain answers 204 when the domain has gone, and with purge 202 and the job
// that removes it: mail of many mailboxes takes longer than a request may.
func (h *handlers) removeDomain(ctx context.Context, by caller, in *removeDomainInput) (*removed, error) {
	name, err := in.name()
	if err != nil {
		return nil, err
	}
	if !in.Purge {
		return &removed{Status: http.StatusNoContent}, h.o.Store.RemoveDomain(ctx, by.name, name, in.All)
	}
	if !in.All {
		return nil, model.Fail(model.Invalid, "purge needs all")
	}
	if h.o.Purge == nil {
		return nil, model.Fail(model.Unavailable, "this server cannot remove mail")
	}
	if err := h.o.Store.MayRemoveDomain(ctx, name, true); err != nil {
		return nil, err
	}
	job, err := h.addJob(ctx, by.name, jobPurgeDomain, name, model.Purge{Domain: name})
	if err != nil {
		return nil, err
	}
	return &removed{Status: job.Status, Location: job.Location, Body: &job.Body}, nil
}

// removed is what became of a removal.
type removed struct {
	Status   int
	Location string `header:"Location"`
	Body     *model.Job
}
