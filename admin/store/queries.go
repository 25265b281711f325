package store

import (
	"embed"

	"toastmaster/internal/db"
)

// queryFiles are all SQL of the administration.
//
//go:embed queries*.sql
var queryFiles embed.FS

// The names of the queries, in the order of queries.sql.
const (
	selectDomain          db.Query = "domain-by-name"
	listDomains           db.Query = "list-domains"
	listDomainsOf         db.Query = "list-domains-standing-for"
	listDomainsInScope    db.Query = "list-domains-in-scope"
	insertDomain          db.Query = "insert-domain"
	updateDomain          db.Query = "update-domain"
	deleteDomain          db.Query = "delete-domain"
	countAliasesOf        db.Query = "count-standing-for"
	countAddresses        db.Query = "count-addresses"
	countOfKind           db.Query = "count-of-kind"
	hostedCounts          db.Query = "hosted-counts"
	selectKinds           db.Query = "kinds-of-address"
	selectEntry           db.Query = "entry-of-address"
	insertAddress         db.Query = "insert-address"
	touchAddress          db.Query = "touch-address"
	deleteAddress         db.Query = "delete-address"
	selectMailbox         db.Query = "mailbox-by-address"
	listMailboxes         db.Query = "list-mailboxes"
	listMailboxesOf       db.Query = "list-mailboxes-of-domain"
	listMailboxesInScope  db.Query = "list-mailboxes-in-scope"
	listMailboxesDisabled db.Query = "list-mailboxes-disabled"
	selectHome            db.Query = "mailbox-at-home"
	selectHomesIn         db.Query = "mailbox-at-home-between"
	insertMailbox         db.Query = "insert-mailbox"
	updateMailbox         db.Query = "update-mailbox"
	replaceHash           db.Query = "replace-hash"
	selectAlias           db.Query = "alias-by-address"
	listAliases           db.Query = "list-aliases"
	listAliasesOf         db.Query = "list-aliases-of-domain"
	listAliasesInScope    db.Query = "list-aliases-in-scope"
	listAliasesWithTarget db.Query = "list-aliases-with-target"
	selectAliasesTo       db.Query = "aliases-to"
	insertAlias           db.Query = "insert-alias"
	insertTarget          db.Query = "insert-target"
	deleteTargets         db.Query = "delete-targets"
	selectRelocated       db.Query = "relocated-by-address"
	listRelocated         db.Query = "list-relocated"
	listRelocatedOf       db.Query = "list-relocated-of-domain"
	listRelocatedInScope  db.Query = "list-relocated-in-scope"
	insertRelocated       db.Query = "insert-relocated"
	updateRelocated       db.Query = "update-relocated"
	listTokens            db.Query = "list-tokens"
	selectToken           db.Query = "token-by-name"
	findToken             db.Query = "token-by-hash"
	insertToken           db.Query = "insert-token"
	deleteToken           db.Query = "delete-token"
	touchToken            db.Query = "touch-token"
	insertAudit           db.Query = "insert-audit"
	listAudit             db.Query = "list-audit"
	listAuditOfObject     db.Query = "list-audit-of-object"
	listAuditOfName       db.Query = "list-audit-of-name"
	listAuditOfBoth       db.Query = "list-audit-of-object-and-name"
	trimAuditByAge        db.Query = "trim-audit-by-age"
	trimAuditByRows       db.Query = "trim-audit-by-rows"
	selectJob             db.Query = "job-by-id"
	listJobs              db.Query = "list-jobs"
	listOpen              db.Query = "list-open-jobs"
	countOpen             db.Query = "count-open-jobs"
	insertJob             db.Query = "insert-job"
	forgetJobs            db.Query = "forget-jobs"
	cancelJob             db.Query = "cancel-job"
	progressJob           db.Query = "progress-job"
	upsertLogin           db.Query = "upsert-login"
	selectLogins          db.Query = "logins-of-mailbox"
	deleteLogins          db.Query = "delete-logins"
	deleteDomainLogins    db.Query = "delete-logins-of-domain"
	savepoint             db.Query = "savepoint"
	release               db.Query = "release"
	rollbackToSavepoint   db.Query = "rollback-to-savepoint"
)

// Queries are the queries in the words of a dialect.
func Queries(d db.Dialect) (db.Queries, error) { return db.Load(queryFiles, d) }
