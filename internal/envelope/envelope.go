package envelope

import (
	"context"
	"strings"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

// QueueID names a message from the 250 until its last recipient is done. It is
// made by mta/queue: time and sequence in a base-52 alphabet without vowels
// (Postfix enable_long_queue_ids), so that it sorts, never repeats and spells
// nothing.
type QueueID string

// Body is the BODY parameter of RFC 6152.
type Body uint8

// The bodies we carry. BINARYMIME is not offered.
const (
	Body7Bit Body = iota
	Body8BitMIME
)

// Notify is the NOTIFY parameter of RFC 3461 as a bit set; zero means that the
// sender said nothing, which counts as FAILURE and DELAY.
type Notify uint8

// The bits of Notify. NotifyNever excludes the others.
const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)

// Wants says whether a report of kind k (one bit) is wanted.
func (n Notify) Wants(k Notify) bool {
	if n == 0 {
		return k == NotifyFailure || k == NotifyDelay
	}
	return n&k != 0 && n&NotifyNever == 0
}

// Return is the RET parameter of RFC 3461.
type Return uint8

// What a failure report returns of the message.
const (
	ReturnUnset Return = iota
	ReturnHeaders
	ReturnFull
)

// Origin is where a message entered.
type Origin struct {
	// Source is how it came.
	Source Source
	// Protocol is the "with" of Received (RFC 3848) for what came from a client: SMTP, ESMTP, ESMTPSA,
	// UTF8SMTPS, LMTP, QMQP; "" for all other mail.
	Protocol string
	// ClientAddr is the peer's IP address as text, ClientName its verified
	// name or "unknown", Helo what it called itself.
	ClientAddr string
	ClientName string
	Helo       string
	// ClientPort is its port, 0 when there is none.
	ClientPort uint16
	// TLS describes the client's TLS for the Received field, "TLS1.3 with cipher
	// ...", "" without. The queue does not keep it.
	TLS string
	// Cert is what the Received field says of the client's certificate, nil for nothing. The queue does not keep
	// it.
	Cert *Certificate
	// Login is the authenticated login name, "" without authentication; Mechanism
	// is how ("PLAIN"), for the log. The queue does not keep Mechanism.
	Login, Mechanism string
	// UserID is the number of the user of this host whose program handed it in, "" for all other mail. The
	// queue does not keep it.
	UserID string
	// Session is the id of the SMTP session in the log.
	Session string
	// Forwarded is where the message was before it came to the client that sent it here, a content
	// filter, as that says (XFORWARD); nil when nobody did.
	Forwarded *Forwarded
}

// Certificate is that of a client that was asked for one.
type Certificate struct {
	// Present says that there is one, Verified that somebody vouches for it. Subject and Issuer are common names.
	Present, Verified bool
	Subject, Issuer   string
}

// Forwarded are the attributes of XFORWARD; what is not known is empty.
type Forwarded struct {
	Name, Addr, Port, Proto, Helo string
	// Ident is what the host before called the message, Source "LOCAL" or "REMOTE".
	Ident, Source string
}

// Recipient is one recipient of an envelope.
type Recipient struct {
	// Address is where it goes, after alias expansion.
	Address addr.Address
	// Original is what the client gave at RCPT TO.
	Original addr.Address
	// ORcpt is the ORCPT parameter as received ("rfc822;xtext"), "" if none.
	ORcpt  string
	Notify Notify
	// Refused is why it cannot be delivered, found by cleanup after the client
	// had its answer for this recipient: qmgr reports it and tries nothing. nil
	// for every other.
	Refused *dsn.Error
	// Expanded says that Address is an alias whose several targets are
	// recipients of their own: nothing is delivered to it, and qmgr reports
	// that it was expanded (RFC 3461 section 5.2.7.3).
	Expanded bool
	// Unknown are optional fields of this recipient, as those of the envelope.
	Unknown []Tag
}

// Route is where a message goes: a transport of the configuration, and the nexthop, ""
// for the domain of each recipient.
type Route struct{ Transport, Nexthop string }

// ParseRoute reads "transport:nexthop", as Postfix writes it.
func ParseRoute(s string) (Route, bool) {
	transport, nexthop, ok := strings.Cut(s, ":")
	return Route{transport, nexthop}, ok && transport != "" && !strings.ContainsAny(s, " \t\r\n")
}

// String is the form that ParseRoute reads.
func (r Route) String() string { return r.Transport + ":" + r.Nexthop }

// Tag is an optional field in the form in which the queue keeps it. What a number
// means is mta/queue's to say.
type Tag struct {
	Number uint64
	Value  string
}

// Envelope is one message's envelope. It is not changed after Commit; the
// queue keeps the state of each recipient beside it.
type Envelope struct {
	ID         QueueID
	Sender     addr.Address
	Recipients []Recipient
	// Arrived is when the message was accepted.
	Arrived time.Time
	Body    Body
	// UTF8 is the SMTPUTF8 parameter: headers or addresses are not ASCII.
	UTF8   bool
	Return Return
	// EnvID is the ENVID parameter as received (xtext), "" if none.
	EnvID  string
	Origin Origin
	// Auth is who submitted the message, as far as a client that is believed says
	// it (RFC 4954 section 5); null for <>, nil when it did not say.
	Auth *addr.Address
	// Hold keeps the message from being delivered until an operator releases it.
	// The queue clears it once the message is on hold.
	Hold bool
	// Filter takes the place of every recipient's route (Postfix access(5), FILTER);
	// nil for none.
	Filter *Route
	// Redirect is who gets the message in the place of its recipients, null for
	// nobody; cleanup has put it there.
	Redirect addr.Address
	// BCC are who got it beside its recipients; cleanup has added them.
	BCC []addr.Address
	// Prepend are header fields, a line each without its end, that a restriction wanted on top
	// of the message; cleanup has put them there.
	Prepend []string
	// Settles is what this message settles of another one, of which it is a report; nil for nothing.
	Settles *Settled
	// Unknown are optional fields that another version of the program has
	// written. The queue keeps them.
	Unknown []Tag
	// Hops is how many Received fields the message has, for the bounce
	// generator and for loops that aliases make.
	Hops int
}

// Rewrite says as whose the addresses in a header are rewritten.
type Rewrite uint8

// Whose.
const (
	// RewriteNone leaves a header as it is.
	RewriteNone Rewrite = iota
	// RewriteLocal is for clients of this host (smtpd.local_header_rewrite_clients).
	RewriteLocal
	// RewriteRemote is for all others.
	RewriteRemote
)

// Override is what cleanup leaves out (smtpd.receive_override_options).
type Override struct {
	// NoMappings leaves addresses as they are: no maps, no aliases, no blind copies.
	NoMappings bool
	// NoChecks asks no table about the content.
	NoChecks bool
}

// Settled is what is done of a message once its report lies in the queue: nobody asks for it again, whatever
// is written of it later, or was to be.
type Settled struct {
	ID QueueID
	// Recipients are indices of those who are done.
	Recipients []int
	// Warned says that the sender was told that his message waits.
	Warned bool
}

// Submission is a message on its way into the queue.
type Submission struct {
	// Envelope has everything but Arrived, which Submit sets, as it does ID when there is none.
	// Recipients are as received: Submit expands aliases.
	Envelope *Envelope
	// Content is the message as received, with LF line ends. Submit takes
	// ownership and closes it, on error too.
	Content Content
	// Complete asks for missing Date, Message-ID and From fields to be added
	// (RFC 6409 section 8): mail from our own users.
	Complete bool
	// FullName stands before the sender in a From field that is added; "" for none.
	FullName string
	// Outside says that the client is not one whose Authentication-Results are
	// believed: those in our name are removed.
	Outside bool
	// Author is the user who sends it, when the header may show nobody else of
	// ours as its author; null checks nothing.
	Author addr.Address
	// Incoming says that it comes in, and was not made or sent on here: it is looked up in
	// the tables of header_checks and its like, and always_bcc and its like get it.
	Incoming bool
	// Rewrite says whether the addresses in the header are rewritten.
	Rewrite Rewrite
	// CheckRoom lets Submit refuse the message when no recipient's mailbox has
	// room for it, and refuse single recipients: whoever hands it in can still
	// tell the sender.
	CheckRoom bool
	// Override is what is not done to it.
	Override Override
	// Filter is shown the message before it goes into the queue; nil for none of whoever hands it in.
	Filter Filter
}

// Submitter is the one way into the queue: mta/cleanup. smtpd and bounce use
// it. A nil error means that the message is on disk and will be delivered or
// reported; any error (dsn.From) means that nothing was kept.
type Submitter interface {
	Submit(ctx context.Context, s *Submission) (QueueID, error)
}
