package smtpd

import (
	"cmp"
	"context"
	"crypto/tls"
	"net/netip"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/gate"
	"toastmaster/directory/logins"
	"toastmaster/directory/password"
	"toastmaster/directory/tables"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/addr"
	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/dns"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/policyclient"
	"toastmaster/internal/smtpserver"
	"toastmaster/internal/spool"
	"toastmaster/internal/tlsconf"
	"toastmaster/internal/wire"
	"toastmaster/mta/milter"
	"toastmaster/mta/policy"
)

// Options are what a Daemon is made of.
type Options struct {
	// Params are those of [smtpd], or of a listener of its own; Section is where they stand, "listener.NAME", "" for
	// "smtpd".
	Params   configs.SMTPD
	Section  string
	Hostname string         // main.hostname
	Trusted  []netip.Prefix // main.trusted_networks, or the listener's
	// LogService is the service in the log, "" for "smtpd", and MacroDaemonName the macro {daemon_name} of filters, "" for
	// theirs.
	LogService, MacroDaemonName string
	// SoftBounce is main.soft_bounce.
	SoftBounce bool

	Directory *directory.Directory
	// Aliases are the limits of an alias's expansion.
	Aliases directory.Limits
	// Authenticate is (*password.Authenticator).Authenticate.
	Authenticate func(ctx context.Context, t password.Attempt) (directory.Mailbox, error)
	// Counter counts what users send, for the limits an hour, and what clients
	// do, for their rates; nil has none.
	Counter *anvil.Counter
	// Logins ends sessions whose log-in is not good any more; nil ends none.
	Logins *logins.Watch
	// Fits says whether a message of this size, 0 for an unknown one, fits into
	// a mailbox: 5.2.2 when not. It is asked for mailboxes with a quota only. nil
	// leaves quotas to the end of the data and to delivery.
	Fits func(ctx context.Context, m directory.Mailbox, size int64) *dsn.Error
	// OverQuotaTemporary makes the answer for a full mailbox a temporary one
	// (qmgr.over_quota_temporary).
	OverQuotaTemporary bool
	// Ours says that an address literal is one of this host; nil knows none.
	Ours func(domain string) bool
	// Class is policy.Env.Class.
	Class func(ctx context.Context, a addr.Address) (class directory.Class, refused *dsn.Error, err error)
	// Refused is policy.Env.Refused.
	Refused func(ctx context.Context, a addr.Address, hosted bool) *dsn.Error
	// Mapped is (*cleanup.Cleanup).Maps: whether a recipient, or a sender, is mapped to another address; nil
	// knows none.
	Mapped func(ctx context.Context, a addr.Address, sender bool) (bool, error)
	// Room is (*queue.Queue).Room: whether a message of this size, 0 for an
	// unknown one, may come in. nil lets in all.
	Room func(size int64) error
	// Flush is (*flush.Index).Request, as Flusher has it; nil does not offer ETRN.
	Flush Flusher
	// Submitter is mta/cleanup; Spool the queue's, where messages are received.
	Submitter envelope.Submitter
	// CheckAuthor is (*cleanup.Cleanup).CheckAuthor, for mail that goes to a filter before the queue; nil looks at no author there.
	CheckAuthor func(ctx context.Context, s *envelope.Submission) error
	Spool       *spool.Dir
	// Tables opens the lookup tables of restrictions; with nil there are none. Keys are how
	// addresses and clients are looked up in them.
	Tables policy.Opener
	Keys   keys.Options
	// Services has the clients of policy services, and Path is where a relative name of a socket
	// begins; both may be nil.
	Services *policyclient.Set
	Path     func(string) string
	// Classes are the lists of [[restriction_class]].
	Classes map[string][]string
	// OwnAddress says that an address is one of this host, for permit_inet_interfaces; nil
	// knows none.
	OwnAddress func(netip.Addr) bool
	// DNS answers restrictions and finds the names of clients; with nil there is no answer.
	DNS *dns.Resolver
	// RelayClientCerts are smtpd.relay_clientcerts. OwnMX says that an address is of this host, or of a proxy in front of
	// it, for permit_mx_backup; nil knows none.
	RelayClientCerts tables.Maps
	OwnMX            func(netip.Addr) bool
	// RBLReplies are smtpd.rbl_reply_maps; nil has none.
	RBLReplies func(ctx context.Context, list string) (string, bool)
	// Verify finds out whether an address takes mail; with nil nobody knows.
	Verify func(ctx context.Context, a addr.Address, client netip.Addr) policy.Verified
	// Milters knows mail filters, MilterList are those of smtpd.milters, and MilterMaps those that take their place for a client.
	// Milters may be nil for none.
	Milters    *milter.Filters
	MilterList milter.List
	MilterMaps tables.Maps
	// NewID makes the ID of a message that filters hear of before it is there; nil leaves that to Submitter. Route is
	// where mail for an address goes, for macros.
	NewID func() envelope.QueueID
	Route func(ctx context.Context, a addr.Address) (transport, nexthop string)
	// Service is the name under which clients are counted, "" for that of the kind of port.
	Service string
	// TLS is for STARTTLS; nil does not offer it. Clients says what the certificates of clients are worth; with nil they are
	// not asked for.
	TLS              *tls.Config
	Clients          *tlsconf.Clients
	HandshakeTimeout time.Duration // tls.handshake_timeout

	Log   *msglog.Log
	Clock clock.Clock
}

// Daemon makes the handlers. It is safe for concurrent use, starts nothing and
// needs no Close.
type Daemon struct {
	o      Options
	bare   wire.Policy
	exempt []netip.Prefix // from the rates of clients
	// xclient and xforward are who may use these commands.
	xclient, xforward []netip.Prefix
	env               *policy.Env
	lists             [kinds]*policy.Lists
	gates             [kinds]*gate.Gate
	local             localClients

	// proxyNetwork and proxyAddress are those of smtpd.proxy_filter, "" for none, and proxyName what EHLO says to it.
	proxyNetwork, proxyAddress, proxyName string
	pool                                  wire.Pool
	words                                 words
}

// kind is the kind of port.
type kind uint8

const (
	mx kind = iota
	submission
	submissions
	kinds
)

// New makes a Daemon. The parameters have been checked by configs, but for the
// lists of restrictions: an error is CheckRestrictions's.
func New(o Options) (*Daemon, error) {
	d := &Daemon{
		o: o, exempt: configs.Prefixes(o.Params.EventExceptions),
		xclient: configs.Prefixes(o.Params.XClientHosts), xforward: configs.Prefixes(o.Params.XForwardHosts),
	}
	d.o.Section, d.o.LogService = cmp.Or(o.Section, "smtpd"), cmp.Or(o.LogService, "smtpd")
	switch o.Params.BareNewline {
	case configs.NormalizeBareNewline:
		d.bare = wire.Normalize
	case configs.AllowBareNewline:
		d.bare = wire.Allow
	}
	for k := range d.gates {
		d.gates[k] = &gate.Gate{
			Service: d.o.LogService, Authenticate: o.Authenticate, SecureNetworks: gate.Loopback(),
			Closed: kind(k) == mx && !o.Params.AuthOnListen, Watch: o.Logins, Log: o.Log,
		}
	}
	var err error
	if o.Params.ProxyFilter != "" {
		if d.proxyNetwork, d.proxyAddress, err = configs.ParseProxyFilter(o.Params.ProxyFilter); err != nil {
			return d, err
		}
		if d.proxyNetwork == "unix" && o.Path != nil {
			d.proxyAddress = o.Path(d.proxyAddress)
		}
		d.proxyName = cmp.Or(o.Params.ProxyEHLO, o.Hostname)
	}
	d.env = d.environment()
	if d.words, err = openWords(d.o.Section, o.Params.SMTPDWords, o.Tables); err != nil {
		return d, err
	}
	if d.local, err = openLocalClients(d.o.Section, o.Params.LocalHeaderClients, o.Tables); err != nil {
		return d, err
	}
	if d.lists, err = compile(d.o.Section, o.Params, d.env); err != nil {
		return d, err
	}
	return d, d.env.CheckClasses()
}

// MX is the handler of smtpd.listen.
func (d *Daemon) MX() *smtpserver.Server { return d.server(mx) }

// Submission is the handler of smtpd.submission_listen.
func (d *Daemon) Submission() *smtpserver.Server { return d.server(submission) }

// Submissions is the handler of smtpd.submissions_listen, whose listener makes
// the TLS handshake.
func (d *Daemon) Submissions() *smtpserver.Server { return d.server(submissions) }

func (d *Daemon) server(k kind) *smtpserver.Server {
	p := d.o.Params
	s := &smtpserver.Server{
		Service: d.o.LogService, Hostname: d.o.Hostname, TLS: d.TLS(), Verbs: d.verbs(),
		MaxMessageBytes: p.MessageSizeLimit, MaxRecipients: p.RecipientLimit,
		LaxUTF8: !p.StrictUTF8, MaxErrors: p.ErrorLimit, MaxJunk: p.JunkLimit, SoftErrors: p.SoftErrorLimit, ErrorSleep: p.ErrorSleepTime,
		Footer: d.Footer(), Replace: d.replace(), Forbidden: d.forbidden, LogPorts: p.PortLogging,
		SoftBounce: d.o.SoftBounce, RejectLines: p.RejectLogLimit, ForbidEarly: p.ForbidPipelining,
		Timeout: p.Timeout, MinRate: p.MinDataRate, HandshakeTimeout: d.o.HandshakeTimeout,
		Stress: smtpserver.Stress{Timeout: p.StressTimeout, MaxErrors: p.StressErrors, MaxJunk: p.StressJunk},
		Log:    d.o.Log, Clock: d.o.Clock,
	}
	switch {
	case k == submissions, k == mx && p.TLSLevel == configs.TLSNone:
		s.TLS = nil
	case k == mx && p.TLSLevel == configs.TLSEncrypt:
		s.RequireTLS = true
	}
	if k != mx {
		s.LoginTimeout = p.LoginTimeout
	}
	s.Backend = smtpserver.BackendFunc(d.newSession(k))
	return s
}

// qualify gives an address without domain this host's.
func (d *Daemon) qualify(a addr.Address) addr.Address {
	if a.Domain == "" && !a.IsNull() {
		return a.WithDomain(d.o.Hostname)
	}
	return a
}
