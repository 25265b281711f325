package smtpserver

import (
	"context"
	"io"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// Backend makes the session of a connection.
type Backend interface {
	NewSession(c *Conn) Session
}

// BackendFunc is a function as Backend.
type BackendFunc func(c *Conn) Session

// NewSession calls f.
func (f BackendFunc) NewSession(c *Conn) Session { return f(c) }

// Session decides about what one client asks. Its methods are called one after
// the other, each with the context of the connection; an error becomes the reply,
// and is logged by the engine.
//
// What else a session may do it does by the interfaces [Connector], [Greeter],
// [Securer], [Watcher], [Preparer], [Stranger], [Authenticator] and [Forwarder], which are looked for by type.
type Session interface {
	// Mail begins a transaction.
	Mail(ctx context.Context, m Mail) *dsn.Error
	// Rcpt adds a recipient.
	Rcpt(ctx context.Context, r Rcpt) *dsn.Error
	// Data receives the message, with CR LF line ends (see [WriteLF]). What it
	// does not read is read behind it; an error of the reader it returns (dsn.From).
	Data(ctx context.Context, r io.Reader) (Accepted, *dsn.Error)
	// Reset ends the transaction: after Data, at RSET, at a new greeting.
	Reset()
}

// Connector is an add-on: it is asked before the greeting. Its error is sent
// instead and ends the connection.
type Connector interface {
	Connect(ctx context.Context) *dsn.Error
}

// Greeter is an add-on: it is asked about HELO (esmtp is false), EHLO and LHLO.
type Greeter interface {
	Helo(ctx context.Context, name string, esmtp bool) *dsn.Error
}

// Watcher is an add-on: it sees each line of a command before anything is done about it, and
// why there is none. Its error is sent, ends the connection, and is not logged by the engine. A line
// whose only fault is a bare CR or LF is run when Watch has nothing against it.
type Watcher interface {
	Watch(l Line) *dsn.Error
}

// Line is what a [Watcher] sees.
type Line struct {
	// Text is without its line end, and valid until Watch returns.
	Text []byte
	// Err is what is wrong with the line (see wire.Refusal), or that of the connection:
	// there is no line then, and nothing that Watch returns is sent.
	Err error
	// More says that the client has sent something behind the line already; Rest is what
	// can be seen of it, with the validity of Text.
	More bool
	Rest []byte
}

// Preparer is an add-on: it is asked at DATA and at the first BDAT, before
// anything of the message is read.
type Preparer interface {
	Prepare(ctx context.Context) *dsn.Error
}

// Securer is an add-on: it is asked whether the client may begin TLS, whose error is the reply to STARTTLS, and told when
// TLS is there, at STARTTLS or from the first octet. What it has against that is said in the place of the reply to the
// next command, or of the greeting, and ends the connection.
type Securer interface {
	MayTLS() *dsn.Error
	Secured(ctx context.Context) *dsn.Error
}

// Stranger is an add-on: it is asked about a command that there is not. Its error is sent in the place of the usual reply.
type Stranger interface {
	Unknown(ctx context.Context, line string) *dsn.Error
}

// Mail is MAIL FROM.
type Mail struct {
	// From is null for <>. Its domain is empty where the client gave none.
	From addr.Address
	// Size is what the client announced, in octets; 0 when it did not.
	Size int64
	Body envelope.Body
	// UTF8 is SMTPUTF8.
	UTF8   bool
	Return envelope.Return
	// EnvelopeID is ENVID as it was received, in xtext; "" when there was none.
	EnvelopeID string
	// Auth is who submitted the message, as the client has it (RFC 4954 section
	// 5): null for AUTH=<> and for what is no address, nil when it did not say.
	// Whether to believe it is the session's to decide.
	Auth *addr.Address
	// Forwarded is what XFORWARD has told of the message, nil without.
	Forwarded *envelope.Forwarded
	// Raw is what stands behind "FROM:", as the client wrote it.
	Raw string
}

// Rcpt is RCPT TO.
type Rcpt struct {
	// To has no domain where the client gave none: "postmaster".
	To     addr.Address
	Notify envelope.Notify
	// ORcpt is ORCPT as envelope.ParseORcpt keeps it, "" when there was none.
	ORcpt string
	// Raw is what stands behind "TO:", as the client wrote it.
	Raw string
}

// Accepted is what the client hears of a message that was taken.
type Accepted struct {
	// Text is that of the 250, "Ok" when it is empty.
	Text string
	// Each are the outcomes for the recipients of LMTP, in the order in which
	// they were accepted; nil of them, and those that are missing, were delivered.
	Each []*dsn.Error
}
