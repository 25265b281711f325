package model

import "time"

// Domain is a hosted domain, or one that stands for a hosted one.
type Domain struct {
	Name    string `json:"name" doc:"Lower case, A-labels" example:"example.test"`
	AliasOf string `json:"alias_of,omitempty" doc:"The hosted domain that this one stands for"`
	Enabled bool   `json:"enabled" doc:"A disabled domain takes no mail and lets nobody log in"`

	MaxMailboxes         int64 `json:"max_mailboxes" doc:"0 is unlimited"`
	MaxAliases           int64 `json:"max_aliases" doc:"0 is unlimited"`
	DefaultQuotaBytes    int64 `json:"default_quota_bytes" doc:"Quota of a new mailbox, 0 is unlimited"`
	DefaultQuotaMessages int64 `json:"default_quota_messages" doc:"Quota of a new mailbox, 0 is unlimited"`

	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// DomainChange changes a domain; nil leaves a field as it is.
type DomainChange struct {
	Enabled              *bool  `json:"enabled,omitempty"`
	MaxMailboxes         *int64 `json:"max_mailboxes,omitempty" minimum:"0"`
	MaxAliases           *int64 `json:"max_aliases,omitempty" minimum:"0"`
	DefaultQuotaBytes    *int64 `json:"default_quota_bytes,omitempty" minimum:"0"`
	DefaultQuotaMessages *int64 `json:"default_quota_messages,omitempty" minimum:"0"`
}

// NewDomain makes a domain, enabled unless it says otherwise.
type NewDomain struct {
	Name    string `json:"name" doc:"The domain; U-labels become A-labels" example:"example.test"`
	AliasOf string `json:"alias_of,omitempty" doc:"Make it stand for this hosted domain"`
	DomainChange
}

// Mailbox is an address whose mail is kept here.
type Mailbox struct {
	Address       string `json:"address" example:"alice@example.test"`
	Home          string `json:"home" doc:"Folder below the root of the mail store"`
	QuotaBytes    int64  `json:"quota_bytes" doc:"0 is unlimited"`
	QuotaMessages int64  `json:"quota_messages" doc:"0 is unlimited"`
	Enabled       bool   `json:"enabled" doc:"A disabled mailbox takes no mail and lets nobody log in"`
	HasPassword   bool   `json:"has_password"`
	// Warning is part of the answer to the addition alone.
	Warning string    `json:"warning,omitempty" doc:"In the answer to the addition: mail of an earlier mailbox was kept"`
	Alias   bool      `json:"alias" doc:"There is an alias of the same address: mail goes to its targets, and here only when the address is one of them"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// MailboxChange changes a mailbox; nil leaves a field as it is.
type MailboxChange struct {
	Password      *string `json:"password,omitempty" writeOnly:"true" doc:"The new password in clear"`
	PasswordHash  *string `json:"password_hash,omitempty" writeOnly:"true" doc:"Instead of a password: a hash as {SCHEME}data, or as crypt(3) writes it ($6$, $2y$ ...); empty lets nobody log in"`
	QuotaBytes    *int64  `json:"quota_bytes,omitempty" minimum:"0"`
	QuotaMessages *int64  `json:"quota_messages,omitempty" minimum:"0"`
	Enabled       *bool   `json:"enabled,omitempty"`
	// Home is a folder or a template, see ExpandHome. Mail is not moved to it.
	Home *string `json:"home,omitempty" doc:"Folder of its mail, below the root of the mail store; %d is its domain, %n its local part, %u both. Mail that lies in another folder is not moved" maxLength:"1000"`
}

// NewMailbox makes a mailbox. Without a password nobody can log in; quotas
// that are not given come from the domain.
type NewMailbox struct {
	Address  string `json:"address" example:"alice@example.test"`
	KeepMail bool   `json:"keep_mail,omitempty" doc:"Take over mail of an earlier mailbox that was removed without its mail; refused otherwise"`
	MailboxChange
}

// Alias is an address that is replaced by others. "@example.test" is the
// domain's catch-all. It may stand beside a mailbox of the same address, which
// gets mail only when the address is among its own targets.
type Alias struct {
	Address string   `json:"address" example:"sales@example.test"`
	Targets []string `json:"targets" doc:"The address itself stands for its mailbox: forward and keep a copy"`
	Mailbox bool     `json:"mailbox" doc:"There is a mailbox of the same address"`
	// Warnings are part of the answer to a change alone.
	Warnings []string  `json:"warnings,omitempty" doc:"In the answer to a change: targets that are nobody"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
}

// AliasChange replaces the targets.
type AliasChange struct {
	Targets []string `json:"targets" minItems:"1" maxItems:"1000"`
}

// NewAlias makes an alias.
type NewAlias struct {
	Address string `json:"address" example:"sales@example.test"`
	AliasChange
}

// Removed is the answer to the removal of a mailbox.
type Removed struct {
	Address  string   `json:"removed"`
	MailOnly bool     `json:"mail_only,omitempty" doc:"The mailbox had been removed before, this was its mail"`
	Warnings []string `json:"warnings,omitempty" doc:"Aliases with this target, which is nobody now"`
}

// Relocated is an address whose owner has moved: 551 5.1.6 with the new
// address.
type Relocated struct {
	Address string    `json:"address"`
	MovedTo string    `json:"moved_to" doc:"The new address, or a text for people"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// RelocatedChange says the new place.
type RelocatedChange struct {
	MovedTo string `json:"moved_to"`
}

// NewRelocated makes one.
type NewRelocated struct {
	Address string `json:"address"`
	RelocatedChange
}

// BulkResponse has one result for each mailbox, in order.
type BulkResponse struct {
	Added   int          `json:"added"`
	Exists  int          `json:"exists"`
	Failed  int          `json:"failed"`
	Results []BulkResult `json:"results" nullable:"false"`
}

// BulkResult is what became of one line of a bulk addition.
type BulkResult struct {
	Address string `json:"address"`
	// Result is "added", "exists" (it was there as a mailbox and was left
	// alone) or "failed".
	Result string `json:"result" enum:"added,exists,failed"`
	Error  string `json:"error,omitempty"`
}

// The results of a bulk addition.
const (
	BulkAdded  = "added"
	BulkExists = "exists"
	BulkFailed = "failed"
)

// Page is a part of a listing, in the order of the key.
type Page[T any] struct {
	Items []T `json:"items" nullable:"false"`
	// Next is the "after" of the next page, "" at the end.
	Next string `json:"next,omitempty" doc:"The parameter after of the next page; absent at the end"`
}

// Filter selects entries of a listing. The zero Filter selects all.
type Filter struct {
	// Domain limits addresses to one hosted domain, and domains to the aliases
	// of one.
	Domain string
	// Contains is a part of the name or address, folded.
	Contains string
	// Target limits aliases to those with this target.
	Target string
	// Enabled is for domains and mailboxes.
	Enabled *bool
	// Scope limits all to what the caller may see; nil is no limit.
	Scope *Scope
}

// Scope is the domains that a caller may see: none sees nothing.
type Scope struct {
	Domains []string
}
