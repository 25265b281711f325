package policy

import (
	"context"
	"net/netip"
	"slices"

	"toastmaster/internal/dns"
	"toastmaster/internal/dsn"
	"toastmaster/internal/service"
)

// Unknown is the name of a client without one.
const Unknown = "unknown"

// Peer is what name servers say about a client. It is asked for once in a session.
type Peer struct {
	// Name is the name of the client's address that has this address, Reverse the first
	// name of the address, whether it has it or not. Both are Unknown when there is none.
	Name, Reverse string
	// NameOutcome and ReverseOutcome say why. A name that has another address is none.
	NameOutcome, ReverseOutcome dns.Outcome
}

// Peer finds the client's names, when somebody asks for the first time: a client that only guesses
// passwords or scans ports costs no question.
func (e *Env) Peer(ctx context.Context, t *Transaction) *Peer {
	if t.peer == nil {
		t.peer = e.findPeer(ctx, t.Client)
	}
	return t.peer
}

// SetPeer is what name servers say for a client of which somebody who is trusted has told it.
func (t *Transaction) SetPeer(p Peer) { t.peer = &p }

func (e *Env) findPeer(ctx context.Context, a netip.Addr) *Peer {
	a = a.Unmap()
	switch {
	case a == service.UnknownClient():
		return &Peer{Name: Unknown, Reverse: Unknown, NameOutcome: dns.NoName, ReverseOutcome: dns.NoName}
	case !a.IsValid() || a == netip.IPv6Loopback() || a == netip.AddrFrom4([4]byte{127, 0, 0, 1}):
		return &Peer{Name: "localhost", Reverse: "localhost"}
	case e.DNS == nil || e.ResolveTimeout == 0:
		return &Peer{Name: Unknown, Reverse: Unknown, NameOutcome: dns.NoName, ReverseOutcome: dns.NoName}
	}
	ctx, cancel := context.WithTimeout(ctx, e.ResolveTimeout)
	defer cancel()
	servers := e.DNS.Unfiltered()
	names, err := servers.Names(ctx, a)
	if err != nil {
		outcome := dns.OutcomeOf(err)
		return &Peer{Name: Unknown, Reverse: Unknown, NameOutcome: outcome, ReverseOutcome: outcome}
	}
	p := &Peer{Name: Unknown, Reverse: names.Records[0], NameOutcome: dns.NoName}
	const most = 3 // an address with a hundred names is somebody's joke
	for _, name := range names.Records[:min(len(names.Records), most)] {
		found, err := servers.Host(ctx, dns.Any, name)
		switch {
		case err == nil && slices.Contains(found.Records, a):
			p.Name, p.NameOutcome = name, dns.Found
			return p
		case dns.OutcomeOf(err) == dns.NoAnswer:
			p.NameOutcome = dns.NoAnswer
		}
	}
	return p
}

// rejectUnknownClient is reject_unknown_client_hostname.
func rejectUnknownClient(_ Stage, e *Env) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		return e.unknownClient(t, e.Peer(ctx, t).NameOutcome, dsn.Make(4, 7, 25), "cannot find your hostname")
	})
}

// rejectUnknownReverseClient is reject_unknown_reverse_client_hostname.
func rejectUnknownReverseClient(_ Stage, e *Env) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		return e.unknownClient(t, e.Peer(ctx, t).ReverseOutcome, dsn.PolicyLater, "cannot find your reverse hostname")
	})
}

func (e *Env) unknownClient(t *Transaction, o dns.Outcome, status dsn.Status, text string) Decision {
	code := e.Codes.UnknownClient
	switch o {
	case dns.Found:
		return Decision{}
	case dns.NoAnswer:
		code = 450
	}
	return refuse(coded(code, status, "Client host rejected: "+text+", ["+t.clientAddress()+"]"))
}

// clientAddress is the client's address as text.
func (t *Transaction) clientAddress() string {
	if !t.Client.IsValid() {
		return "unix"
	}
	return service.ClientText(t.Client.Unmap())
}

// clientText is "name[address]" of the client.
func (e *Env) clientText(ctx context.Context, t *Transaction) string {
	return e.Peer(ctx, t).Name + "[" + t.clientAddress() + "]"
}

// coded is a reply with a code that a parameter says. The class of the status is that of
// the code.
func coded(code int, s dsn.Status, text string) *dsn.Error {
	return dsn.New(dsn.Make(code/100, s.Subject(), s.Detail()), text).WithCode(code)
}
