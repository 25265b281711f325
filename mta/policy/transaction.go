package policy

import (
	"context"
	"crypto/tls"
	"net/netip"
	"slices"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dns"
	"toastmaster/internal/dsn"
	"toastmaster/internal/tlsconf"
)

// Transaction is what is known of a session when a restriction is asked. It
// belongs to the session's goroutine; what a later stage finds out is zero before.
type Transaction struct {
	// Stage is the command that is being served: what is known.
	Stage Stage
	// Session is the id in the log.
	Session string
	// Client is zero for a unix socket. Trusted says that it is in
	// main.trusted_networks, or came by a unix socket.
	Client  netip.Addr
	Trusted bool
	Helo    string
	// TLS is the state of the connection's, nil in clear, and Pipelined says that the client
	// has sent before its time; both may be nil.
	TLS       func() *tls.ConnectionState
	Pipelined func() bool
	// Cert is the client's certificate, and what it is worth; nil is none.
	Cert func() tlsconf.Peer
	// Conn is for policy services, and serial is the number of the message in the session.
	Conn   Session
	serial int
	// User is who logged in; its zero value is nobody.
	User directory.Mailbox

	// Sender has a domain, unless it is null; bare says that the client wrote none.
	// Size is what was announced, or at EndOfData what came, in octets; 0 when it is
	// not known.
	Sender addr.Address
	bare   bool
	Size   int64
	// Recipients is how many were accepted.
	Recipients int
	// Recipient is the present one, with a domain; given is what the client wrote.
	Recipient addr.Address
	given     addr.Address

	// Noted is what restrictions want done to the message, in the order in which they were
	// asked; the first standing ones are for every message of the session.
	Noted    []Decision
	standing int
	greeted  int // of those, how many are from before HELO

	// Etrn is the argument of ETRN.
	Etrn string

	dest destination
	peer *Peer
	// unanswered are the questions of this message that no name server has answered.
	unanswered map[string]bool
	// nested is how many lists stand around the one that is asked.
	nested int
	// ifReject is the reply to who would be refused at the present command.
	ifReject *dsn.Error
}

// note keeps what a restriction wants done to the message. The same twice is once: with
// delay_reject the lists of the client are asked for each recipient. Of FILTER and REDIRECT
// the last one counts, whatever was before.
func (t *Transaction) note(d Decision) {
	for _, n := range slices.Backward(t.Noted) {
		switch {
		case n.Action != d.Action:
		case n.Arg == d.Arg && (n.Err == d.Err || n.Err != nil && d.Err != nil && n.Err.Text == d.Err.Text):
			return
		case d.Action == Filter || d.Action == Redirect:
			t.Noted = append(t.Noted, d)
			return
		}
	}
	t.Noted = append(t.Noted, d)
}

// discards says that the message is to be discarded.
func (t *Transaction) discards() bool {
	return slices.ContainsFunc(t.Noted, func(d Decision) bool { return d.Action == Discard })
}

// Connected lets what is noted so far hold for every message of the session, Greeted
// until another HELO.
func (t *Transaction) Connected() { t.standing, t.greeted = len(t.Noted), len(t.Noted) }

// SetHelo begins with another HELO, which forgets what was noted for the one before.
func (t *Transaction) SetHelo(name string) {
	t.Helo, t.standing = name, t.greeted
	// Who keeps the notes of before, because this HELO may be refused, keeps all of them.
	t.Noted = slices.Clip(t.Noted[:t.greeted])
}

// Greeted is Connected for what was noted since SetHelo.
func (t *Transaction) Greeted() { t.standing = len(t.Noted) }

// Authenticated says that a user has logged in.
func (t *Transaction) Authenticated() bool { return t.User.Address != addr.Address{} }

// SetSender begins with another sender: given as the client wrote it, and with this
// host's domain where it had none.
func (t *Transaction) SetSender(given, qualified addr.Address) {
	t.serial++
	t.Sender, t.bare = qualified, given.Domain == ""
}

// givenSender is the sender as the client wrote it.
func (t *Transaction) givenSender() addr.Address {
	if t.bare {
		return addr.Address{Local: t.Sender.Local}
	}
	return t.Sender
}

// SetRecipient begins with another recipient: given as the client wrote it, and
// with this host's domain where it had none.
func (t *Transaction) SetRecipient(given, qualified addr.Address) {
	t.given, t.Recipient, t.dest = given, qualified, destination{}
}

// maxUnanswered bounds the questions without an answer that are remembered; it is no
// parameter, because a message with more only asks again.
const maxUnanswered = 100

// once asks name servers, unless nobody has answered the same question about this message: each
// recipient asks it again, and would hold the session for dns.total_timeout each.
func (t *Transaction) once(question string, ask func() dns.Outcome) dns.Outcome {
	if t.unanswered[question] {
		return dns.NoAnswer
	}
	o := ask()
	if o == dns.NoAnswer && len(t.unanswered) < maxUnanswered {
		if t.unanswered == nil {
			t.unanswered = map[string]bool{}
		}
		t.unanswered[question] = true
	}
	return o
}

// Reset forgets the mail transaction, not the session.
func (t *Transaction) Reset() {
	t.SetSender(addr.Address{}, addr.Address{})
	t.Size, t.Recipients = 0, 0
	t.Noted = t.Noted[:t.standing]
	t.unanswered = nil
	t.SetRecipient(addr.Address{}, addr.Address{})
}

// What a list may be about besides a stage, where a table names restrictions: they have no
// stage of their own.
const (
	reverseClient Stage = Etrn + 1 + iota
	saslLogin
	clientCert
)

// about is t.about, with the name of a client.
func (e *Env) about(ctx context.Context, t *Transaction, s Stage) string {
	switch {
	case s == Connect && t.Client.IsValid():
		return "<" + e.clientText(ctx, t) + ">: Client host rejected: "
	case s == reverseClient:
		return "<" + e.Peer(ctx, t).Reverse + ">: Unverified Client host rejected: "
	case s == clientCert:
		return "<" + t.certificate().Subject + ">: Client certificate rejected: "
	}
	return t.about(s)
}

// about begins a reply with what a stage is about, as Postfix does, and as the client
// wrote it. What is about HELO says so at RCPT, too.
func (t *Transaction) about(s Stage) string {
	switch s {
	case Connect:
		return "<" + t.clientAddress() + ">: Client host rejected: "
	case Helo:
		return "<" + t.Helo + ">: Helo command rejected: "
	case Mail:
		return t.givenSender().Path() + ": Sender address rejected: "
	case Rcpt:
		return t.given.Path() + ": Recipient address rejected: "
	case Data:
		return "<DATA>: Data command rejected: "
	case Etrn:
		return "<" + t.Etrn + ">: Etrn command rejected: "
	case saslLogin:
		return t.User.Address.Path() + ": SASL login name rejected: "
	}
	return "<END-OF-MESSAGE>: End-of-data rejected: "
}
