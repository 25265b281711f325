package directory

import (
	"context"

	"toastmaster/internal/addr"
)

// Backend is where hosted data lies. It knows exact keys only; the walk over the
// keys of an address is Directory's. Implementations are safe for concurrent
// use and honour the context's deadline.
type Backend interface {
	// Entry is what stands under a key. NotFound is said by somebody who knows:
	// it bounces mail.
	Entry(ctx context.Context, key Key) (Entry, error)
}

// Walker is a Backend to which a whole walk costs no more than one key.
type Walker interface {
	Backend
	// Walk answers the entry of the domain's key, and of the first of the locals
	// that has one in that domain, or in the one it stands for. The error is that
	// of the domain's entry, or of any; without an entry Walked.At is None.
	Walk(ctx context.Context, w Walk) (Walked, error)
}

// KeyKind says what a key names.
type KeyKind uint8

// The kinds of keys.
const (
	// OfDomain is a hosted domain's key: Local is empty.
	OfDomain KeyKind = iota
	// OfAddress is the key of an address: folded, in a domain that stands for no
	// other. An empty Local is the domain's catch-all.
	OfAddress
	// OfLogin is the key of a mailbox's address, asked by who logs in.
	OfLogin
)

// KeyKinds is how many kinds of keys there are.
const KeyKinds = int(OfLogin) + 1

// Key is under what an entry stands.
type Key struct {
	Kind KeyKind
	// Local is folded and without quotes, Domain as in addr.Address.
	Local, Domain string
}

// DomainKey is the key of a domain.
func DomainKey(name string) Key { return Key{Kind: OfDomain, Domain: name} }

// AddressKey is the key of an address of a real domain, or of its catch-all.
func AddressKey(local, domain string) Key {
	return Key{Kind: OfAddress, Local: local, Domain: domain}
}

// Address is the key as an address.
func (k Key) Address() addr.Address { return addr.Address{Local: k.Local, Domain: k.Domain} }

// String is for the log: "example.test", "alice@example.test", "@example.test".
func (k Key) String() string {
	if k.Kind == OfDomain {
		return k.Domain
	}
	return k.Address().String()
}

// Entry is what stands under a key.
type Entry struct {
	// Domain is set for OfDomain.
	Domain Domain
	// Mailbox has a Home when the address is a mailbox. Its Enabled is its own:
	// that of the domain is Directory's to add. Credential is set for OfLogin.
	Mailbox Mailbox
	// Targets are those of an alias, at least one. An address may be both.
	Targets []addr.Address
	// MovedTo is set for a relocated address, which is nothing else.
	MovedTo string
	// PasswordHash is set for OfLogin.
	PasswordHash string
}

// kind is what an address's entry is; 0 for nothing.
func (e *Entry) kind() Kind {
	switch {
	case len(e.Targets) > 0:
		return KindAlias
	case e.Mailbox.Home != "":
		return KindMailbox
	case e.MovedTo != "":
		return KindRelocated
	}
	return 0
}

// MaxKeys is how many keys a walk has beside the domain's.
const MaxKeys = 3

// Walk is the keys of one question, in the order in which they count.
type Walk struct {
	// Domain is the one of the address, which may stand for another.
	Domain string
	// Locals are the first N, folded; an empty one is the catch-all.
	Locals [MaxKeys]string
	N      int
}

// From is the walk without the first n locals.
func (w Walk) From(n int) Walk {
	rest := Walk{Domain: w.Domain, N: w.N - n}
	copy(rest.Locals[:], w.Locals[n:w.N])
	return rest
}

// None is Walked.At when none of the locals has an entry.
const None = -1

// Walked is the answer to a Walk.
type Walked struct {
	Domain Domain
	// At is the index among the locals that Entry belongs to, or None.
	At    int
	Entry Entry
}
