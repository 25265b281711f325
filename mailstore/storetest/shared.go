package storetest

import (
	"context"
	"strings"
	"testing"

	"toastmaster/mailstore"
)

// Namespaces are two, for tests of what sessions see of others: "Public/", which is
// the account of public@example.test, and "Users/", in which alice sees bob's INBOX.
// In Public everybody may read, in Public/Notes and below it put things in and mark
// them as seen, too, in Public/Board/ do everything but delete it; of Public/Secret
// nobody knows.
func Namespaces(t testing.TB) []mailstore.Namespace {
	public, bob := Account(t, "public"), Account(t, "bob")
	return []mailstore.Namespace{
		{
			Kind: mailstore.Shared, Prefix: "Public/",
			Accounts: func(context.Context, mailstore.Principal) ([]mailstore.Mount, error) {
				return []mailstore.Mount{{Account: public}}, nil
			},
			Rights: func(_ context.Context, _ mailstore.Principal, _ mailstore.Account, mailbox string) (mailstore.Rights, error) {
				first, _, below := strings.Cut(mailbox, "/")
				switch {
				case first == "Secret":
					return 0, nil
				case first == "Notes":
					return mailstore.RightLookup | mailstore.RightRead | mailstore.RightSeen | mailstore.RightInsert, nil
				case first == "Board" && below:
					return mailstore.AllRights &^ mailstore.RightDelete, nil
				}
				return mailstore.RightLookup | mailstore.RightRead, nil
			},
		},
		{
			Kind: mailstore.OtherUsers, Prefix: "Users/",
			Accounts: func(_ context.Context, p mailstore.Principal) ([]mailstore.Mount, error) {
				if p.Account.Address.Local != "alice" {
					return nil, nil
				}
				return []mailstore.Mount{{Below: "bob@example.test", Account: bob}}, nil
			},
			Rights: func(_ context.Context, _ mailstore.Principal, _ mailstore.Account, mailbox string) (mailstore.Rights, error) {
				if mailbox == "INBOX" {
					return mailstore.RightLookup | mailstore.RightRead, nil
				}
				return 0, nil
			},
		},
	}
}
