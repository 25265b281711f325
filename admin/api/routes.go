package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"toastmaster/admin/authz"
	"toastmaster/admin/model"
)

// body is an operation's result with a body.
type body[T any] struct{ Body T }

// nothing is a result without one.
type nothing struct{}

// Paging is what every listing takes. It and the other inputs that are embedded
// are exported because huma sees no other embedded fields.
type Paging struct {
	After string `query:"after" doc:"Where to go on: next of the page before" maxLength:"1000"`
	Limit int    `query:"limit" doc:"The most entries" minimum:"1" maximum:"1000"`
}

// switchParam is a boolean that may be absent.
type switchParam string

func (s switchParam) value() *bool {
	if s == "" {
		return nil
	}
	on := s == "true"
	return &on
}

// bodyTimeout is huma's deadline for a request's body; http.Server has one
// for the whole request, so this only must not be shorter.
const bodyTimeout = -1 * time.Second

// route registers an operation, with the right that it takes: the action, and by
// its input the target. There is no other way to register one, and the handler hears who
// calls after the right was checked.
func route[I, O any](h *handlers, a huma.API, op huma.Operation, action authz.Action, target func(*I) (authz.Target, error), f func(context.Context, caller, *I) (*O, error)) {
	op.MaxBodyBytes, op.BodyReadTimeout = h.o.Params.BodyLimit, bodyTimeout
	huma.Register(a, op, func(ctx context.Context, in *I) (*O, error) {
		about, err := target(in)
		var by caller
		if err == nil {
			by, err = callerOf(ctx, action, about)
		}
		var out *O
		if err == nil {
			out, err = f(ctx, by, in)
		}
		if err != nil {
			h.logFailure(ctx, err)
			return nil, problem(ctx, err)
		}
		return out, nil
	})
}

// add is route for an operation without anything of its own.
func add[I, O any](h *handlers, a huma.API, method, path, id, tag, summary string, action authz.Action, target func(*I) (authz.Target, error), f func(context.Context, caller, *I) (*O, error)) {
	op := huma.Operation{
		Method: method, Path: path, OperationID: id, Tags: []string{tag}, Summary: summary,
		Errors: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable, http.StatusInternalServerError},
	}
	if strings.HasPrefix(id, "add-") {
		op.DefaultStatus = http.StatusCreated
	}
	route(h, a, op, action, target, f)
}

// register is the table of the operations.
func (s *Server) register(a huma.API) {
	const get, post, patch, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	h := s.h
	add(h, a, get, "/domains", "list-domains", "domains", "List domains by name", authz.List, (*listDomainsInput).target, h.listDomains)
	add(h, a, post, "/domains", "add-domain", "domains", "Add a domain", authz.Write, onAllDomains, h.addDomain)
	add(h, a, get, "/domains/{name}", "show-domain", "domains", "Show a domain", authz.Read, (*DomainInput).target, h.showDomain)
	add(h, a, patch, "/domains/{name}", "set-domain", "domains", "Change a domain", authz.Write, (*setDomainInput).target, h.setDomain)
	add(h, a, del, "/domains/{name}", "remove-domain", "domains", "Remove a domain", authz.Write, (*removeDomainInput).target, h.removeDomain)

	add(h, a, get, "/mailboxes", "list-mailboxes", "mailboxes", "List mailboxes by address", authz.List, (*listMailboxesInput).target, h.listMailboxes)
	add(h, a, post, "/mailboxes", "add-mailbox", "mailboxes", "Add a mailbox", authz.Write, onNewMailbox, h.addMailbox)
	s.registerBulk(a)
	add(h, a, get, "/mailboxes/{address}", "show-mailbox", "mailboxes", "Show a mailbox", authz.Read, (*AddressInput).target, h.showMailbox)
	add(h, a, patch, "/mailboxes/{address}", "set-mailbox", "mailboxes", "Change a mailbox", authz.Write, (*setMailboxInput).target, h.setMailbox)
	add(h, a, del, "/mailboxes/{address}", "remove-mailbox", "mailboxes", "Remove a mailbox", authz.Write, (*removeMailboxInput).target, h.removeMailbox)

	add(h, a, get, "/aliases", "list-aliases", "aliases", "List aliases by address", authz.List, (*listAliasesInput).target, h.listAliases)
	add(h, a, post, "/aliases", "add-alias", "aliases", "Add an alias", authz.Write, onNew(func(in *body[model.NewAlias]) string { return in.Body.Address }), h.addAlias)
	add(h, a, get, "/aliases/{address}", "show-alias", "aliases", "Show an alias", authz.Read, (*AddressInput).target, h.showAlias)
	add(h, a, patch, "/aliases/{address}", "set-alias", "aliases", "Replace the targets of an alias", authz.Write, (*setAliasInput).target, h.setAlias)
	add(h, a, del, "/aliases/{address}", "remove-alias", "aliases", "Remove an alias", authz.Write, (*AddressInput).target, h.removeAlias)

	add(h, a, get, "/relocated", "list-relocated", "relocated", "List relocated addresses", authz.List, (*ListAddressesInput).target, h.listRelocated)
	add(h, a, post, "/relocated", "add-relocated", "relocated", "Add a relocated address", authz.Write, onNew(func(in *body[model.NewRelocated]) string { return in.Body.Address }), h.addRelocated)
	add(h, a, get, "/relocated/{address}", "show-relocated", "relocated", "Show a relocated address", authz.Read, (*AddressInput).target, h.showRelocated)
	add(h, a, patch, "/relocated/{address}", "set-relocated", "relocated", "Change where it moved to", authz.Write, (*setRelocatedInput).target, h.setRelocated)
	add(h, a, del, "/relocated/{address}", "remove-relocated", "relocated", "Remove a relocated address", authz.Write, (*AddressInput).target, h.removeRelocated)

	add(h, a, post, "/mailboxes/purge", "purge-mailboxes", "mailboxes", "Remove mailboxes with all their mail, in the background", authz.Write, onSystem, h.purgeMailboxes)
	add(h, a, get, "/mailboxes/{address}/status", "mailbox-status", "mailboxes", "What a mailbox holds, and who uses it", authz.Read, (*AddressInput).target, h.mailboxStatus)
	if h.o.Mail != nil {
		add(h, a, get, "/mailboxes/{address}/folders", "list-mail-folders", "mail", "List the folders of a mailbox", authz.Read, (*AddressInput).target, h.mailFolders)
		add(h, a, post, "/mailboxes/{address}/folders", "make-mail-folder", "mail", "Make a folder, if it is missing", authz.Write, (*makeFolderInput).target, h.makeFolder)
		// Who reads mail has as good as all rights to it.
		add(h, a, get, "/mailboxes/{address}/messages", "list-mail", "mail", "List the messages of a folder by UID", authz.Write, (*listMailInput).target, h.listMail)
		add(h, a, post, "/mailboxes/{address}/export", "export-mail", "mail", "Messages in a tar archive", authz.Write, (*exportMailInput).target, h.exportMail)
		add(h, a, get, "/mailboxes/{address}/imported", "list-imported-mail", "mail", "The IDs of imported messages of a folder, of those that have left, too", authz.Read, (*importedInput).target, h.importedMail)
		add(h, a, post, "/mailboxes/{address}/import", "import-mail", "mail", "Store the messages of a tar archive", authz.Write, (*importMailInput).target, h.importMail)
	}
	if h.o.Decide != nil {
		add(h, a, get, "/addresses/{address}", "check-address", "addresses", "What would happen to mail for an address", authz.Read, (*AddressInput).askedTarget, h.checkAddress)
	}
	if h.o.Sessions != nil {
		add(h, a, get, "/sessions", "list-sessions", "sessions", "List the sessions that are logged in", authz.Read, onSystem, h.listSessions)
		add(h, a, post, "/sessions/kick", "kick-sessions", "sessions", "End sessions; they may log in again", authz.Write, onSystem, h.kick)
	}
	add(h, a, get, "/jobs", "list-jobs", "jobs", "List jobs, newest first", authz.Read, onSystem, h.listJobs)
	add(h, a, get, "/jobs/{id}", "show-job", "jobs", "How far a job is", authz.Read, onSystem, h.showJob)
	add(h, a, post, "/jobs/{id}/cancel", "cancel-job", "jobs", "End a job; what it has done stays done", authz.Write, onSystem, h.cancelJob)
	add(h, a, get, "/status", "status", "system", "State of the services and counts", authz.Read, onSystem, h.status)
	if h.o.Reload != nil {
		add(h, a, post, "/reload", "reload", "system", "Read certificates, log file and configuration again, as SIGHUP does", authz.Write, onSystem, h.reload)
	}
	add(h, a, get, "/tokens", "list-tokens", "system", "List tokens", authz.Read, onSystem, h.listTokens)
	add(h, a, post, "/tokens", "add-token", "system", "Make a token; its secret is shown this once", authz.Write, onSystem, h.addToken)
	add(h, a, del, "/tokens/{name}", "remove-token", "system", "Revoke a token", authz.Write, onSystem, h.removeToken)
	add(h, a, get, "/audit", "list-audit", "system", "List changes, newest first", authz.Read, onSystem, h.listAudit)

	if h.o.Queue == nil {
		return
	}
	add(h, a, get, "/queue", "list-queue", "queue", "List queued messages by ID", authz.Read, onSystem, h.listQueue)
	add(h, a, post, "/queue/flush", "flush-queue", "queue", "Make deferred messages due now", authz.Write, onSystem, h.flushQueue)
	add(h, a, get, "/queue/remains", "queue-remains", "queue", "Files of damaged parts of the queue that belong to no message", authz.Read, onSystem, h.queueRemains)
	add(h, a, post, "/queue/actions", "act-on-queue", "queue", "Hold, release, requeue, expire or delete all messages that a filter selects, in the background", authz.Write, onSystem, h.actOnQueue)
	add(h, a, get, "/queue/ids", "queue-ids", "queue", "The IDs of all messages", authz.Read, onSystem, h.queueIDs)
	add(h, a, post, "/queue/export", "export-queue", "queue", "Messages as files of the queue, in a tar archive", authz.Write, onSystem, h.exportQueue)
	add(h, a, get, "/queue/{id}", "show-queued", "queue", "Show a queued message", authz.Read, onSystem, h.showQueued)
	add(h, a, get, "/queue/{id}/content", "queued-content", "queue", "The message itself", authz.Read, onSystem, h.queuedContent)
	add(h, a, post, "/queue/{id}/hold", "hold-queued", "queue", "Take it out of delivery", authz.Write, onSystem, h.queueAction("hold", h.o.Queue.Hold))
	add(h, a, post, "/queue/{id}/release", "release-queued", "queue", "End a hold", authz.Write, onSystem, h.queueAction("release", h.o.Queue.Release))
	add(h, a, post, "/queue/{id}/requeue", "requeue-queued", "queue", "Make it due at once", authz.Write, onSystem, h.queueAction("requeue", h.o.Queue.Requeue))
	add(h, a, post, "/queue/{id}/expire", "expire-queued", "queue", "Return it to its sender at its next attempt", authz.Write, onSystem, h.queueAction("expire", h.o.Queue.Expire))
	add(h, a, del, "/queue/{id}", "delete-queued", "queue", "Delete it without a report", authz.Write, onSystem, h.queueAction("delete", h.o.Queue.Delete))
}

func (h *handlers) limit(p Paging) int {
	if p.Limit == 0 {
		return h.o.Params.PageSize
	}
	return p.Limit
}
