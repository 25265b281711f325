package mailstore

import (
	"time"

	"toastmaster/directory"
	"toastmaster/internal/addr"
)

// Account says whose mail it is. It comes from the directory.
type Account struct {
	Address addr.Address
	// Home is the folder below the store's root that holds the Maildir.
	Home string
	// QuotaBytes and QuotaMessages are limits, zero is unlimited.
	QuotaBytes    int64
	QuotaMessages int64
	// Asked is when the directory was asked for it, at the latest. An account
	// that was removed since is not made again by mail that was on its way.
	// Zero: it is made at need.
	Asked time.Time
}

// AskedAt is the account as the directory had it at a time.
func (a Account) AskedAt(t time.Time) Account {
	a.Asked = t
	return a
}

// AccountOf is the account of a mailbox of the directory.
func AccountOf(m directory.Mailbox) Account {
	return Account{Address: m.Address, Home: m.Home, QuotaBytes: m.QuotaBytes, QuotaMessages: m.QuotaMessages}
}
