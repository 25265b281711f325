package model

import (
	"encoding/json"
	"time"
)

// Token is a key to the API. The secret is shown once, when it is made.
type Token struct {
	Name     string     `json:"name" example:"monitoring"`
	Role     string     `json:"role" example:"superadmin"`
	Created  time.Time  `json:"created"`
	Expires  *time.Time `json:"expires,omitempty"`
	LastUsed *time.Time `json:"last_used,omitempty" doc:"To the hour"`
}

// NewToken makes a token.
type NewToken struct {
	Name    string     `json:"name"`
	Role    string     `json:"role,omitempty" doc:"superadmin, which is the default"`
	Expires *time.Time `json:"expires,omitempty"`
}

// TokenSecret is a new token with its secret.
type TokenSecret struct {
	Token
	Secret string `json:"secret" doc:"Shown this once"`
}

// TokenList is all tokens: there are few.
type TokenList struct {
	Items []Token `json:"items" nullable:"false"`
}

// AuditEntry says who changed what.
type AuditEntry struct {
	ID     int64           `json:"id"`
	At     time.Time       `json:"at"`
	Actor  string          `json:"actor"`
	Action string          `json:"action" enum:"add,set,remove,hold,release,requeue,expire,delete,flush,read,export,import"`
	Object string          `json:"object" enum:"domain,mailbox,alias,relocated,token,job,queue"`
	Name   string          `json:"name"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// QueuedMessage is a message in the queue.
type QueuedMessage struct {
	ID         string            `json:"id"`
	Place      string            `json:"place" enum:"incoming,active,deferred,hold,corrupt"`
	Size       int64             `json:"size"`
	Arrived    time.Time         `json:"arrived"`
	Sender     string            `json:"sender" doc:"Empty for the null sender, ? when it cannot be read"`
	Recipients []QueuedRecipient `json:"recipients" nullable:"false" doc:"Those that are not done"`
	Next       *time.Time        `json:"next,omitempty" doc:"The next attempt, for deferred mail"`
	Attempts   int               `json:"attempts"`
	Actions    []string          `json:"actions,omitempty" doc:"What a restriction wanted done to it: HOLD, FILTER transport:nexthop, REDIRECT address, BCC address, PREPEND field"`
	// ForcedExpire says that an operator made it expire.
	ForcedExpire bool     `json:"forced_expire,omitempty" doc:"Its next attempt returns it to its sender"`
	Damaged      bool     `json:"damaged,omitempty" doc:"The content is not what was accepted; only an answer about one message says so"`
	Reason       string   `json:"reason,omitempty" doc:"What is wrong with a corrupt message, if known"`
	Files        []string `json:"files,omitempty" doc:"The files of a corrupt message on the server"`
}

// QueueFiles are files of the queue that belong to no message it knows.
type QueueFiles struct {
	Place string `json:"place" enum:"corrupt"`
	Path  string `json:"path" doc:"Where they are on the server: a folder, or a pattern of names"`
	Count int    `json:"count"`
	Size  int64  `json:"size" doc:"Of all, in octets"`
}

// QueueRemains is what damage has left that no message can be named for.
type QueueRemains struct {
	Items []QueueFiles `json:"items" nullable:"false"`
}

// QueuedRecipient is a recipient that is not done.
type QueuedRecipient struct {
	Address string `json:"address"`
	Reason  string `json:"reason,omitempty" doc:"Why the last attempt failed"`
}

// QueueFilter selects queued messages. The zero filter selects all.
type QueueFilter struct {
	Place, Sender, Recipient string
	// ID is the queue ID of the only message that is meant, "" for any.
	ID string `json:"ID,omitempty"`
	// Site is a destination whose deferred mail is flushed, and selects nothing elsewhere.
	Site string `json:"Site,omitempty"`
}

// QueueChange is the answer to an action on one message.
type QueueChange struct {
	ID      string `json:"id"`
	Changed bool   `json:"changed" doc:"false when it was so already"`
}

// FlushResult says how many messages became due.
type FlushResult struct {
	Flushed int `json:"flushed"`
}

// Degraded is the state of a part that does not do all of its work, without which what was
// accepted and those who read go on: a log that cannot be written, a disk without room for
// new mail.
const Degraded = "degraded"

// PartUnavailable is the state of a part whose files are not in their place: what needs
// it is put off until they are back.
const PartUnavailable = "unavailable"

// Service is a running service.
type Service struct {
	Name          string   `json:"name"`
	State         string   `json:"state" enum:"waiting,starting,running,degraded,unavailable,stopping,stopped,failed"`
	Listeners     []string `json:"listeners" nullable:"false"`
	Sessions      int      `json:"sessions"`
	UptimeSeconds int64    `json:"uptime_seconds"`
	Error         string   `json:"error,omitempty"`
}

// Status is the state of the instance.
type Status struct {
	Hostname string           `json:"hostname"`
	Version  string           `json:"version"`
	Time     time.Time        `json:"time"`
	Services []Service        `json:"services" nullable:"false"`
	Queue    map[string]int64 `json:"queue" doc:"Messages by place"`
	Hosted   HostedCounts     `json:"hosted"`
}

// Reloaded is what became of a reload that succeeded.
type Reloaded struct {
	NeedRestart []string `json:"need_restart" nullable:"false" doc:"Parameters that have changed and wait for a restart"`
}

// HostedCounts counts the hosted data.
type HostedCounts struct {
	Domains   int64 `json:"domains"`
	Mailboxes int64 `json:"mailboxes"`
	Aliases   int64 `json:"aliases"`
	Relocated int64 `json:"relocated"`
}

// QueueIDs are queue IDs.
type QueueIDs struct {
	IDs []string `json:"ids" maxItems:"10000000"`
}

// ExportEnd is the last entry of an export of the queue; its content is the number
// of IDs that were worked on.
const ExportEnd = "end"
