package mailstore

import (
	"strings"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/maildir"
)

// Rights are what somebody may do with a mailbox: a bit for each right of RFC 4314
// section 2.1. Somebody without RightLookup is told that there is no mailbox.
type Rights uint16

// The rights, in the order in which they are written.
const (
	RightLookup        Rights = 1 << iota // l: LIST, SUBSCRIBE
	RightRead                             // r: SELECT, STATUS, COPY from it
	RightSeen                             // s: \Seen is kept
	RightWrite                            // w: the other flags and keywords
	RightInsert                           // i: APPEND and COPY into it
	RightPost                             // p: mail to its address
	RightCreate                           // k: CREATE below it, RENAME to below it
	RightDelete                           // x: DELETE and RENAME it
	RightDeleteMessage                    // t: \Deleted
	RightExpunge                          // e: EXPUNGE
	RightAdminister                       // a: change rights

	// AllRights are the owner's.
	AllRights = RightAdminister<<1 - 1
	// RightsFlags are those for flags, each for flags of its own.
	RightsFlags = RightSeen | RightWrite | RightDeleteMessage
	// rightsChange are those that make a selected mailbox READ-WRITE.
	rightsChange = RightsFlags | RightInsert | RightExpunge
)

const rightLetters = "lrswipkxtea"

// String is how RFC 4314 writes them: "lrs".
func (r Rights) String() string {
	var b strings.Builder
	for i := range len(rightLetters) {
		if r>>i&1 != 0 {
			b.WriteByte(rightLetters[i])
		}
	}
	return b.String()
}

// Allow says whether they are enough. Of RightsFlags as a whole one is: which flags
// it is for Selection.SetFlags looks at.
func (r Rights) Allow(need Rights) bool {
	if need == RightsFlags {
		return r&need != 0
	}
	return r&need == need
}

// MayStore says whether they let somebody change a flag.
func (r Rights) MayStore(f imap.Flag) bool {
	switch {
	case strings.EqualFold(string(f), string(imap.FlagSeen)):
		return r&RightSeen != 0
	case strings.EqualFold(string(f), string(imap.FlagDeleted)):
		return r&RightDeleteMessage != 0
	}
	return r&RightWrite != 0
}

// storable are those of flags that may be changed; it is flags when all may.
func (r Rights) storable(flags []imap.Flag) []imap.Flag {
	if r&RightsFlags == RightsFlags {
		return flags
	}
	var may []imap.Flag
	for _, f := range flags {
		if r.MayStore(f) {
			may = append(may, f)
		}
	}
	return may
}

// inbox says that a name is INBOX, in any case.
func inbox(name string) bool { return strings.EqualFold(name, maildir.Inbox) }
