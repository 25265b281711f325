package policy

import (
	"context"
	"strings"

	"toastmaster/directory/tables/keys"
)

// clientKeys are the name of the client, "unknown" for one that has none, and its address.
func clientKeys(ctx context.Context, e *Env, t *Transaction, ask func(keys.Walk) bool) {
	ask(keys.Client(e.Peer(ctx, t).Name, t.Client, e.Keys))
}

// reverseKeys are the same with the name of the address, whether it has that address or not.
func reverseKeys(ctx context.Context, e *Env, t *Transaction, ask func(keys.Walk) bool) {
	ask(keys.Client(e.Peer(ctx, t).Reverse, t.Client, e.Keys))
}

func heloKeys(_ context.Context, e *Env, t *Transaction, ask func(keys.Walk) bool) {
	if t.Helo != "" {
		ask(keys.Domain(t.Helo, e.Keys))
	}
}

// senderKeys are those of the sender. Who has none is looked up as
// smtpd.null_access_lookup_key.
func senderKeys(_ context.Context, e *Env, t *Transaction, ask func(keys.Walk) bool) {
	if t.Sender.IsNull() {
		ask(keys.Walk{{Text: e.NullSender}})
		return
	}
	ask(keys.Access(t.Sender, e.Keys))
}

func recipientKeys(_ context.Context, e *Env, t *Transaction, ask func(keys.Walk) bool) {
	if !t.Recipient.IsNull() {
		ask(keys.Access(t.Recipient, e.Keys))
	}
}

func etrnKeys(_ context.Context, e *Env, t *Transaction, ask func(keys.Walk) bool) {
	if t.Etrn != "" {
		ask(keys.Domain(t.Etrn, e.Keys))
	}
}

// loginKeys is who logged in.
func loginKeys(_ context.Context, _ *Env, t *Transaction, ask func(keys.Walk) bool) {
	if t.Authenticated() {
		ask(keys.Walk{{Text: t.User.Address.String()}})
	}
}

// domainOf is the domain of which servers are looked up, "" for none.
type domainOf func(ctx context.Context, e *Env, t *Transaction) string

func clientDomain(ctx context.Context, e *Env, t *Transaction) string {
	return known(e.Peer(ctx, t).Name)
}

func reverseDomain(ctx context.Context, e *Env, t *Transaction) string {
	return known(e.Peer(ctx, t).Reverse)
}

func heloDomain(_ context.Context, _ *Env, t *Transaction) string { return t.Helo }

func senderDomain(_ context.Context, _ *Env, t *Transaction) string { return t.Sender.Domain }

func recipientDomain(_ context.Context, _ *Env, t *Transaction) string { return t.Recipient.Domain }

func known(name string) string {
	if strings.EqualFold(name, Unknown) {
		return ""
	}
	return name
}
