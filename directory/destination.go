package directory

import (
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

// Destination reads the answer of Recipient for whoever delivers, after all
// aliases are expanded: the mailbox that the mail goes into, or why there is
// none.
//
//	5.1.1  nobody has the address, or an alias has it and no mailbox: one that
//	       names itself, one made after the message was accepted, or a client
//	       that skipped what expands aliases
//	5.1.6  moved, with the new address
//	5.2.1  disabled
//	DSN    the directory could not say
func Destination(found Recipient, err error) (Mailbox, *dsn.Error) {
	switch {
	case OutcomeOf(err) == NotFound:
		return Mailbox{}, dsn.Wrap(dsn.BadDestMailbox, "User unknown", err)
	case err != nil:
		return Mailbox{}, DSN(err)
	case found.Kind == KindRelocated:
		return Mailbox{}, Moved(found)
	case found.Kind == KindAlias && found.Mailbox.Home == "":
		return Mailbox{}, dsn.New(dsn.BadDestMailbox, "User unknown: the address is an alias and has no mailbox")
	case !found.Mailbox.Enabled:
		return Mailbox{}, dsn.New(dsn.MailboxDisabled, "Mailbox is disabled")
	}
	return found.Mailbox, nil
}

// Moved is the answer for a relocated address. A new address is written as a
// path, as RFC 5321 section 3.4 wants it; text for people stays as it is.
func Moved(found Recipient) *dsn.Error {
	to := found.MovedTo
	if a, err := addr.Parse(to); err == nil {
		to = a.Path()
	}
	return dsn.New(dsn.MailboxMoved, "User has moved; please try "+to)
}
