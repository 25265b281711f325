package local

import (
	"fmt"
	"strings"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

// kind is what is done with a message.
type kind uint8

// The kinds of a step; followed and relayed are no steps, but what happens once in an expansion.
const (
	toCommand kind = iota + 1 // a command gets it
	toFile                    // it goes into a file or a Maildir that an alias or a user names
	toMailbox                 // it goes where a user has his mail
	toAddress                 // it is sent on by the queue
	toAgent                   // another transport has it
	followed                  // a user's .forward was read
	relayed                   // a name that nobody has went to luser_relay
)

// String is the word for it, as Probe says it.
func (k kind) String() string {
	switch k {
	case toCommand:
		return "command"
	case toFile:
		return "file"
	case toMailbox:
		return "mailbox"
	case toAddress:
		return "forward"
	case toAgent:
		return "pass"
	}
	return fmt.Sprint(uint8(k))
}

// key says which of two are the same: two users with the same command are two, each runs it with his own rights.
// Names of users and addresses are folded, of commands and files they are not.
type key struct {
	kind     kind
	uid      int
	text, at string
}

// key is the step's.
func (s *step) key() key {
	switch s.kind {
	case toAgent:
		return key{kind: toAgent, text: s.text, at: strings.ToLower(s.at.String())}
	case toAddress:
		return key{kind: toAddress, text: strings.ToLower(s.text)}
	case toMailbox:
		return key{kind: toMailbox, uid: s.who.UID, text: strings.ToLower(s.text)}
	}
	return key{kind: s.kind, uid: s.who.UID, text: s.text}
}

func followedKey(user string) key { return key{kind: followed, text: user} }

func relayedKey(to addr.Address) key { return key{kind: relayed, at: to.Key()} }

// source is where something in an expansion was found.
type source uint8

// The sources, which are the bits of a set of them; the recipient itself is none.
const (
	fromAlias source = 1 << iota
	fromForward
	fromInclude
)

// sourcesOf reads a list of local.allow_mail_to_commands or _files, which configs has checked.
func sourcesOf(words []string) (all source) {
	for _, word := range words {
		switch word {
		case "alias":
			all |= fromAlias
		case "forward":
			all |= fromForward
		case "include":
			all |= fromInclude
		}
	}
	return all
}

// memory is what became of the steps of a recipient at earlier attempts: nil for one that was done, or why it
// failed for good.
type memory map[key]*dsn.Error
