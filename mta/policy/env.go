package policy

import (
	"cmp"
	"context"
	"net/netip"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dns"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/policyclient"
)

// Opener opens the table "type:argument", or gives the one that is open: a *tables.Set.
type Opener interface {
	Open(ctx context.Context, name string) (tables.Table, error)
}

// Env is what restrictions ask. It is not changed after Compile.
type Env struct {
	// Section is where the parameters stand, "" for "smtpd".
	Section string
	// LogService is the service in the log, "" for "smtpd".
	LogService string
	Hostname   string // main.hostname
	Directory  *directory.Directory
	// Aliases are the limits of an alias's expansion.
	Aliases directory.Limits
	// Postmaster is smtpd.postmaster, null when there is none.
	Postmaster addr.Address
	// Ours says that an address literal is one of this host; nil knows none.
	Ours func(domain string) bool
	// Class is the class of an address whose domain is not in the directory, and why nobody there has the address, nil for
	// somebody; its error is that nobody can say. With nil there is no class but the default one.
	Class func(ctx context.Context, a addr.Address) (class directory.Class, refused *dsn.Error, err error)
	// Refused says why mail for an address would go to nobody: a transport of the agent error or
	// retry, or rewrite.relocated_maps, which is all that is asked of one that is hosted; nil knows none.
	Refused func(ctx context.Context, a addr.Address, hosted bool) *dsn.Error
	// Mapped says that cleanup maps a recipient, or a sender, to another address, or expands it, so that nobody who is
	// not listed is unknown; nil knows none.
	Mapped func(ctx context.Context, a addr.Address, sender bool) (bool, error)
	// Fits says whether a message of this size, 0 for an unknown one, fits into a
	// mailbox with a quota; nil leaves quotas to delivery.
	Fits func(ctx context.Context, m directory.Mailbox, size int64) *dsn.Error
	// LogPermits are smtpd.log_access_permit_actions.
	LogPermits []string
	// Harmless makes a value from outside fit for a reply (smtpd.expansion_filter); nil leaves it.
	Harmless func(string) string
	// NoUnknownRecipients lets recipients pass that nobody has: no_unknown_recipient_checks.
	NoUnknownRecipients bool
	// OverQuotaTemporary is qmgr.over_quota_temporary.
	OverQuotaTemporary bool
	// CheckSenderLogin is smtpd.check_sender_login: without it there are no
	// owners of addresses.
	CheckSenderLogin bool
	// Tables opens lookup tables; with nil there are none. Keys are how they are asked, and
	// NullSender what the null sender is looked up as.
	Tables     Opener
	Keys       keys.Options
	NullSender string
	// Services has the clients of policy services; with nil each restriction has its own, which
	// nobody ends. Service are smtpd.policy_service_*, and Path is where a relative name of a socket begins; nil
	// leaves it as it is.
	Services *policyclient.Set
	Service  configs.PolicyService
	Path     func(string) string
	// Classes are the lists of [[restriction_class]], by name.
	Classes map[string][]string

	// DNS asks name servers; with nil there is never an answer. ResolveTimeout is
	// smtpd.resolve_timeout.
	DNS            *dns.Resolver
	ResolveTimeout time.Duration
	// Codes are the codes of replies, and the tempfails what is done with no answer.
	Codes                                       configs.RejectCodes
	UnknownAddressTempfail, UnknownHeloTempfail configs.Tempfail
	// Verify finds out whether an address takes mail, for a client; with nil nobody knows.
	Verify                                func(ctx context.Context, a addr.Address, client netip.Addr) Verified
	UnverifiedSender, UnverifiedRecipient configs.Unverified
	// RBLReply is smtpd.default_rbl_reply, and RBLReplies rbl_reply_maps, or nil.
	RBLReply   string
	RBLReplies func(ctx context.Context, list string) (string, bool)
	// OwnAddress says that an address is one of this host; nil knows none.
	OwnAddress func(netip.Addr) bool

	// RelayClientCerts have the fingerprints of permit_tls_clientcerts.
	RelayClientCerts tables.Maps
	// OwnMX says that an address is of this host, or of a proxy in front of it, and MXBackupNetworks is where primary mail
	// exchangers must be, nil for anywhere: for permit_mx_backup.
	OwnMX            func(netip.Addr) bool
	MXBackupNetworks []netip.Prefix

	Log   *msglog.Log
	Clock clock.Clock
}

func (e *Env) logService() string { return cmp.Or(e.LogService, "smtpd") }

// ours says that a domain is an address literal of this host. Where main.hostname
// is hosted the directory has found it (directory/literal).
func (e *Env) ours(domain string) bool { return e.Ours != nil && e.Ours(domain) }
