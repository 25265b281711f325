// Package api is the administration over HTTP: /api/v1 and the panel.
//
// # What it does
//
// [New] builds the service from the store (admin/store), the queue and the
// state of the instance; Run serves it on every listener it was given.
//
//	GET    /api/v1/domains                  list; after, limit, contains, alias_of, enabled
//	POST   /api/v1/domains                  add
//	GET    /api/v1/domains/{name}           show
//	PATCH  /api/v1/domains/{name}           change
//	DELETE /api/v1/domains/{name}           remove; all=true with its addresses; purge=true with their mail: 202, a job
//	       /api/v1/mailboxes/{address}      the same; POST .../bulk adds many
//	       /api/v1/aliases/{address}        the same; "@domain" is a catch-all
//	       /api/v1/relocated/{address}      the same
//	GET    /api/v1/addresses/{address}      what would happen to mail for it
//	GET    /api/v1/queue                    list; after, limit, place, sender, recipient
//	GET    /api/v1/queue/remains            damaged files that belong to no message
//	GET    /api/v1/queue/ids                the IDs of all messages
//	POST   /api/v1/queue/export             messages as files of a queue, in a tar archive: for a backup
//	GET    /api/v1/queue/{id}[/content]     show
//	POST   /api/v1/queue/{id}/{hold,release,requeue,expire}
//	DELETE /api/v1/queue/{id}
//	POST   /api/v1/queue/flush
//	POST   /api/v1/queue/actions            hold, release, requeue, expire, delete all that a filter selects: 202, a job
//	POST   /api/v1/mailboxes/purge          remove many with their mail: 202, a job
//	POST   /api/v1/{domains,mailboxes,aliases,relocated}/bulk   add many; dry_run=true
//	GET    /api/v1/mailboxes/{address}/status   usage, last log-ins, sessions
//	GET    /api/v1/mailboxes/{address}/folders  the folders of its mail; POST makes one
//	GET    /api/v1/mailboxes/{address}/messages   messages of a folder; folder, after, limit
//	POST   /api/v1/mailboxes/{address}/export   messages, in a tar archive
//	GET    /api/v1/mailboxes/{address}/imported   the IDs of imported messages; folder
//	POST   /api/v1/mailboxes/{address}/import   store the messages of a tar archive; folder, over_quota
//	GET    /api/v1/sessions                 who is logged in; POST /api/v1/sessions/kick ends them
//	GET    /api/v1/jobs[/{id}]              list, show; POST /api/v1/jobs/{id}/cancel
//	GET    /api/v1/status                   services, queue, counts
//	       /api/v1/tokens[/{name}]          list, add, revoke
//	GET    /api/v1/audit                    who changed what, and who did or read what in the queue
//	GET    /api/v1/openapi.json             this, as OpenAPI 3.1; needs no token
//	GET    /metrics                         for trusted networks, or with a token
//	GET    /healthz                         for everybody: 200 while all services run and nothing is missing (what is degraded, the log or a full disk, is named), else 503
//	GET    /                                the panel (package web)
//
// # Who may
//
// On the unix socket the peer's user id counts (SO_PEERCRED): root and the
// user that the service runs as, or main.user, are superadmin. Everybody else sends
// "Authorization: Bearer TOKEN". What a role may do says admin/authz. There are
// no cookies, so a foreign page has nothing to ride on.
//
// An operation is registered with its right (route): the action, and by its input
// what it is done to. There is no other way, so none can be without. Who may see
// some domains gets listings of those; that is a condition of the query.
//
// HTTP without TLS is served to clients on this machine; others are sent to
// HTTPS.
//
// # What it does not do
//
// It imports no daemon: the queue is behind [Queue], mail is removed by a
// function, the state of the services is a function, all given by cmd.
//
// # Parameters
//
// Section [admin]. The audit is trimmed at the start and each hour by
// admin.audit_keep and admin.audit_rows.
//
// # Results
//
// Errors are application/problem+json (RFC 9457) with a type
// "urn:toastmaster:KIND" for each model.Kind: invalid 422, not-found 404,
// exists, in-use and over-limit 409, unauthenticated 401, forbidden 403,
// unavailable 503, blocked 429 (too many wrong tokens from this client), internal 500. Mistakes name the field. Causes are in the log
// only.
//
// # Standards
//
// RFC 9110, RFC 9457, RFC 6750 (bearer tokens), OpenAPI 3.1.
package api
