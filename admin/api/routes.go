package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
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

// add registers one operation.
func add[I, O any](h *handlers, a huma.API, method, path, id, tag, summary string, f func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		Method: method, Path: path, OperationID: id, Tags: []string{tag}, Summary: summary,
		MaxBodyBytes: h.o.Params.BodyLimit, BodyReadTimeout: bodyTimeout,
		Errors: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable, http.StatusInternalServerError},
	}
	if strings.HasPrefix(id, "add-") {
		op.DefaultStatus = http.StatusCreated
	}
	huma.Register(a, op, answering(h, f))
}

// register is the table of the operations.
func (s *Server) register(a huma.API) {
	const get, post, patch, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	h := s.h
	add(h, a, get, "/domains", "list-domains", "domains", "List domains by name", h.listDomains)
	add(h, a, post, "/domains", "add-domain", "domains", "Add a domain", h.addDomain)
	add(h, a, get, "/domains/{name}", "show-domain", "domains", "Show a domain", h.showDomain)
	add(h, a, patch, "/domains/{name}", "set-domain", "domains", "Change a domain", h.setDomain)
	add(h, a, del, "/domains/{name}", "remove-domain", "domains", "Remove a domain", h.removeDomain)

	add(h, a, get, "/mailboxes", "list-mailboxes", "mailboxes", "List mailboxes by address", h.listMailboxes)
	add(h, a, post, "/mailboxes", "add-mailbox", "mailboxes", "Add a mailbox", h.addMailbox)
	s.registerBulk(a)
	add(h, a, get, "/mailboxes/{address}", "show-mailbox", "mailboxes", "Show a mailbox", h.showMailbox)
	add(h, a, patch, "/mailboxes/{address}", "set-mailbox", "mailboxes", "Change a mailbox", h.setMailbox)
	add(h, a, del, "/mailboxes/{address}", "remove-mailbox", "mailboxes", "Remove a mailbox", h.removeMailbox)

	add(h, a, get, "/aliases", "list-aliases", "aliases", "List aliases by address", h.listAliases)
	add(h, a, post, "/aliases", "add-alias", "aliases", "Add an alias", h.addAlias)
	add(h, a, get, "/aliases/{address}", "show-alias", "aliases", "Show an alias", h.showAlias)
	add(h, a, patch, "/aliases/{address}", "set-alias", "aliases", "Replace the targets of an alias", h.setAlias)
	add(h, a, del, "/aliases/{address}", "remove-alias", "aliases", "Remove an alias", h.removeAlias)

	add(h, a, get, "/relocated", "list-relocated", "relocated", "List relocated addresses", h.listRelocated)
	add(h, a, post, "/relocated", "add-relocated", "relocated", "Add a relocated address", h.addRelocated)
	add(h, a, get, "/relocated/{address}", "show-relocated", "relocated", "Show a relocated address", h.showRelocated)
	add(h, a, patch, "/relocated/{address}", "set-relocated", "relocated", "Change where it moved to", h.setRelocated)
	add(h, a, del, "/relocated/{address}", "remove-relocated", "relocated", "Remove a relocated address", h.removeRelocated)

	add(h, a, post, "/mailboxes/purge", "purge-mailboxes", "mailboxes", "Remove mailboxes with all their mail, in the background", h.purgeMailboxes)
	add(h, a, get, "/mailboxes/{address}/status", "mailbox-status", "mailboxes", "What a mailbox holds, and who uses it", h.mailboxStatus)
	if h.o.Sessions != nil {
		add(h, a, get, "/sessions", "list-sessions", "sessions", "List the sessions that are logged in", h.listSessions)
		add(h, a, post, "/sessions/kick", "kick-sessions", "sessions", "End sessions; they may log in again", h.kick)
	}
	add(h, a, get, "/jobs", "list-jobs", "jobs", "List jobs, newest first", h.listJobs)
	add(h, a, get, "/jobs/{id}", "show-job", "jobs", "How far a job is", h.showJob)
	add(h, a, post, "/jobs/{id}/cancel", "cancel-job", "jobs", "End a job; what it has done stays done", h.cancelJob)
	add(h, a, get, "/status", "status", "system", "State of the services and counts", h.status)
	if h.o.Reload != nil {
		add(h, a, post, "/reload", "reload", "system", "Read certificates, log file and configuration again, as SIGHUP does", h.reload)
	}
	add(h, a, get, "/tokens", "list-tokens", "system", "List tokens", h.listTokens)
	add(h, a, post, "/tokens", "add-token", "system", "Make a token; its secret is shown this once", h.addToken)
	add(h, a, del, "/tokens/{name}", "remove-token", "system", "Revoke a token", h.removeToken)
	add(h, a, get, "/audit", "list-audit", "system", "List changes, newest first", h.listAudit)

	if h.o.Queue == nil {
		return
	}
	add(h, a, get, "/queue", "list-queue", "queue", "List queued messages by ID", h.listQueue)
	add(h, a, post, "/queue/flush", "flush-queue", "queue", "Make deferred messages due now", h.flushQueue)
	add(h, a, get, "/queue/remains", "queue-remains", "queue", "Files of damaged parts of the queue that belong to no message", h.queueRemains)
	add(h, a, post, "/queue/actions", "act-on-queue", "queue", "Hold, release, requeue or delete all messages that a filter selects, in the background", h.actOnQueue)
	add(h, a, get, "/queue/ids", "queue-ids", "queue", "The IDs of all messages", h.queueIDs)
	add(h, a, post, "/queue/export", "export-queue", "queue", "Messages as files of the queue, in a tar archive", h.exportQueue)
	add(h, a, get, "/queue/{id}", "show-queued", "queue", "Show a queued message", h.showQueued)
	add(h, a, get, "/queue/{id}/content", "queued-content", "queue", "The message itself", h.queuedContent)
	add(h, a, post, "/queue/{id}/hold", "hold-queued", "queue", "Take it out of delivery", h.queueAction(h.o.Queue.Hold))
	add(h, a, post, "/queue/{id}/release", "release-queued", "queue", "End a hold", h.queueAction(h.o.Queue.Release))
	add(h, a, post, "/queue/{id}/requeue", "requeue-queued", "queue", "Make it due at once", h.queueAction(h.o.Queue.Requeue))
	add(h, a, del, "/queue/{id}", "delete-queued", "queue", "Delete it without a report", h.queueAction(h.o.Queue.Delete))
}

func (h *handlers) limit(p Paging) int {
	if p.Limit == 0 {
		return h.o.Params.PageSize
	}
	return p.Limit
}
