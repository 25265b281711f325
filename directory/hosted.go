package directory

import "toastmaster/internal/addr"

// Domain is a hosted domain.
type Domain struct {
	Name string
	// AliasOf is the hosted domain that this one stands for, "" for a real one.
	AliasOf string
	// Enabled is false also when the domain that it stands for is disabled.
	Enabled bool
}

// Real is the domain that has the addresses: the one it stands for, or itself.
func (d Domain) Real() string {
	if d.AliasOf != "" {
		return d.AliasOf
	}
	return d.Name
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
