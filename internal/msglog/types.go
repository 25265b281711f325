package msglog

import (
	"strconv"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// Connect is a client's connection to a service.
type Connect struct {
	Service, Session, Client string
	TLS                      bool
	// Port is the client's where it is logged (smtpd.client_port_logging), 0 elsewhere.
	Port int
}

// Disconnect ends it. Stats is protocol-specific: "ehlo=1 mail=2 rcpt=2".
type Disconnect struct {
	Service, Session, Client string
	Duration                 time.Duration
	Reason                   string
	Stats                    string
	Port                     int // as of Connect
}

// Login is an attempt to authenticate. Reason is "" for success, otherwise
// "mismatch", "unknown", "disabled", "unavailable", "rate", "insecure", "closed"
// (see directory/gate). Blocked
// is how many attempts of the client were refused unseen lately, 0 when this
// one was looked at.
type Login struct {
	Service, Session, Client, Login, Mechanism, Reason string
	Blocked                                            int
}

// Screened is what postscreen found about a client: that it came (CONNECT), passed (PASS NEW,
// PASS OLD, ALLOWLISTED), is on a list (LISTED, one line for each), failed a test (PREGREET, DNSBL,
// DENYLISTED, COMMAND PIPELINING, NON-SMTP COMMAND, BARE NEWLINE), came to an address that lets
// nobody pass (ALLOWLIST VETO), met a limit (BUSY, COMMAND COUNT LIMIT, COMMAND TIME LIMIT, COMMAND
// LENGTH LIMIT), hung up (HANGUP) or was not handed on (DISCONNECT). The words are Postfix's.
type Screened struct {
	Session, Client string
	Port            int
	Result          string
	// Action is what is done about a failure: "ignore", "enforce", "drop".
	Action string
	// After is the time since the connection.
	After time.Duration
	// Octets and Text are what the client sent too early, Stage the command after which it did
	// what it should not. Rank is the sum of the weights of DNS lists, List one that has it.
	Octets, Rank      int
	Text, Stage, List string
}

// Lookup is a request of a client for what stands in a lookup table (proxymap). Only one that failed has
// a line; all are counted.
type Lookup struct {
	Service, Session, Client string
	// Table is what the client calls it. It is a label of the metric only where there is such a table.
	Table, Key string
	Result     LookupResult
	// Err is why it failed.
	Err error
}

// LookupResult is what became of a Lookup.
type LookupResult string

// The results.
const (
	LookupFound     LookupResult = "found"
	LookupNotFound  LookupResult = "not found"
	LookupFailed    LookupResult = "failed"
	LookupTimeout   LookupResult = "timeout"
	LookupUnknown   LookupResult = "no such table"
	LookupMalformed LookupResult = "malformed"
)

// Reject is a command or message refused before it was accepted. Mail says that
// there is a sender; "" is the null one then.
type Reject struct {
	Service, Session, Client, Helo, From, To, Stage string
	Mail                                            bool
	Err                                             *dsn.Error
	// Port is the client's where the line of the service has it, 0 elsewhere.
	Port int
	// ClientPort is as Port of Connect.
	ClientPort int
}

// Exceeded is the cause of a refusal for a limit of the rates or connections of a client. What is the limit in Postfix's words, "Connection
// rate limit"; Count is what would be with what was refused, or 0 where What says all ("Refusing STARTTLS request").
type Exceeded struct {
	What    string
	Count   int
	Service string
}

// Error is what Postfix logs, without the client.
func (e *Exceeded) Error() string {
	return e.said() + " for service " + e.Service
}

func (e *Exceeded) said() string {
	if e.Count == 0 {
		return e.What
	}
	return e.What + " exceeded: " + strconv.Itoa(e.Count)
}

// Statistic is the most that one client has done to one service lately (Postfix anvil(8)), or with What "cache" how many
// clients of services were counted.
type Statistic struct {
	// What is "connection", "message", "recipient", "newtls", "auth" or "cache". Unit is that of a rate, 0 for a number of things
	// at once.
	What            string
	Value           int
	Unit            time.Duration
	Service, Client string
	At              time.Time
}

// Encrypted is a TLS handshake of a client that succeeded. Trust is "Anonymous", "Untrusted", "Trusted" or "Verified", as Postfix calls
// what the client's certificate is worth.
type Encrypted struct {
	Service, Session, Client string
	Trust, Version, Cipher   string
	Bits                     int
	Resumed                  bool
	// Subject, Issuer and the fingerprints are the certificate's, "" without one.
	Subject, Issuer, Fingerprint, PubkeyFingerprint string
	// Details writes these, too.
	Details bool
}

// Rejects are further refusals of a session, which were counted (Log.Count) and
// have no line of their own.
type Rejects struct {
	Service, Session, Client string
	Count                    int
}

// Queued is a message accepted and durable: the 250.
type Queued struct {
	ID                      envelope.QueueID
	Session, Client, From   string
	Login, MessageID, Proto string
	// Mechanism is that of the log-in, "" without.
	Mechanism string
	// UserID is the number of the user of this host who handed it in, "" for all other mail.
	UserID     string
	Size       int64
	Recipients int
	// Forwarded is where it was before a content filter, nil for what came from a client.
	Forwarded *envelope.Forwarded
}

// Attempt is one recipient of one delivery attempt. Delays are before the
// active window, in it, connecting, and transmitting.
type Attempt struct {
	ID                envelope.QueueID
	From              string // "" is the null sender
	To, OrigTo, Relay string
	// Agent is the delivery agent, as transport.agent calls it, "" when qmgr decided
	// by itself.
	Agent  string
	Delay  time.Duration
	Delays [4]time.Duration
	DSN    dsn.Status
	Status string // sent, expanded, deferred, bounced, expired
	Text   string
	Err    error // cause, nil on success
}

// Removed is a message that left the queue.
type Removed struct {
	ID     envelope.QueueID
	Reason string // "done", "deleted", "expired"
}

// Notification is a delivery report put into the queue.
type Notification struct {
	ID, Report envelope.QueueID
	Kind, To   string // failure, delay, success
}

// Stored is a message delivered into a mailbox by LMTP or APPEND.
type Stored struct {
	Service, Session, Mailbox, Folder string
	// MessageID is the field's value, "" if there is none or it is not known.
	MessageID string
	UID       uint32
	Size      int64
}
