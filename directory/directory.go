package directory

import (
	"context"

	"toastmaster/internal/addr"
)

// Directory is the hosted data as the mail system sees it. Implementations
// are safe for concurrent use and honour the context's deadline. Keys are
// folded by the implementation (addr.Address.Fold).
type Directory interface {
	// Domain says whether name (as in addr.Address.Domain) is hosted here.
	// A disabled domain is found with Enabled false.
	Domain(ctx context.Context, name string) (Domain, error)

	// Recipient resolves one step of an address, in this order, each tried in
	// the domain itself or, for an alias domain, in the domain it stands for:
	// the whole address, then without its extension, then the domain's
	// catch-all. NotFound means the address is in a hosted domain but nobody's,
	// or the domain is not hosted: ask Domain first.
	Recipient(ctx context.Context, a addr.Address) (Recipient, error)

	// Account finds who logs in by a login name, which is a mailbox address.
	// The password is not checked here: see directory/password.
	Account(ctx context.Context, login string) (Account, error)
}

// Domain is a hosted domain.
type Domain struct {
	Name string
	// AliasOf is the hosted domain that this one stands for, "" for a real one.
	AliasOf string
	Enabled bool
}

// Kind says what a recipient is.
type Kind uint8

// The kinds of recipient.
const (
	// KindMailbox is delivered here.
	KindMailbox Kind = iota + 1
	// KindAlias is replaced by Targets, also where there is a mailbox of the
	// same address. A catch-all is an alias, too.
	KindAlias
	// KindRelocated has moved away: 551 5.1.6 with the new address.
	KindRelocated
)

// Recipient is what an address resolved to in one step.
type Recipient struct {
	Kind Kind
	// Matched is the address under which it was found: without extension, in
	// the real domain, or "@domain" (empty Local) for a catch-all.
	Matched addr.Address
	// Extension is what was cut off, "" if nothing.
	Extension string
	// Mailbox is set for KindMailbox, and for a KindAlias that stands beside a
	// mailbox of the same address: where the mail goes when the alias names
	// itself. Its Home is "" when there is none.
	Mailbox Mailbox
	// Targets are set for KindAlias, at least one.
	Targets []addr.Address
	// MovedTo is set for KindRelocated; may be free text for people.
	MovedTo string
}

// Mailbox is where mail is kept.
type Mailbox struct {
	Address addr.Address
	// Home is the mailbox's folder below the store's root, "example.test/alice".
	Home string
	// QuotaBytes and QuotaMessages limit the mailbox; zero is unlimited.
	QuotaBytes    int64
	QuotaMessages int64
	// Enabled false refuses mail with 5.2.1 and log-in.
	Enabled bool
	// Credential is another one when the mailbox is made anew or gets another
	// password; it is no secret. Only Account tells it.
	Credential string
}

// Account is a mailbox with what log-in needs.
type Account struct {
	Mailbox Mailbox
	// PasswordHash is in Dovecot's form, "{ARGON2ID}$argon2id$...". Only
	// directory/password reads it; it is never logged.
	PasswordHash string
}
