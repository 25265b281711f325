package imapd

// state is where a session is (RFC 3501 section 3), as a bit.
type state uint8

const (
	fresh state = 1 << iota
	authenticated
	selected

	anyState = fresh | authenticated | selected
	loggedIn = authenticated | selected
)

// flag says how a verb gets on with the numbers of messages.
type flag uint8

const (
	// usesSeqs: its arguments or results are sequence numbers, so no EXPUNGE
	// may be told at its end, except under UID.
	usesSeqs flag = 1 << iota
	// noNews: the mailbox is not updated at its end.
	noNews
)

// rights are what a verb needs of the selected mailbox; a command that needs more
// than the session has is NO when its arguments are read.
type rights uint8

// change: the mailbox was not opened read-only.
const change rights = 1 << iota

// verb is one row of the command table.
type verb struct {
	name   string
	in     state
	flags  flag
	rights rights
	// caps are the capabilities that are told because the verb is there.
	caps []capability
	// help is what follows the name, and where it is defined. The manual page of
	// the package has it.
	help string
	// run reads the arguments, all of them before it does anything, and
	// answers. A refusal is a *refusal; another error is the store's, or the
	// connection's.
	run func(*session, *args) (reply, error)
}

// table is the protocol: a new verb is a file and a row here.
func table() []verb {
	return []verb{
		{"CAPABILITY", anyState, 0, 0, nil, "(RFC 3501)", (*session).capability},
		{"NOOP", anyState, 0, 0, nil, "(RFC 3501)", (*session).noop},
		{"LOGOUT", anyState, noNews, 0, nil, "(RFC 3501)", (*session).logout},

		{"STARTTLS", fresh, noNews, 0, nil, "(RFC 3501)", (*session).starttls},
		{"AUTHENTICATE", fresh, noNews, 0, early("SASL-IR"), "mechanism [initial] (RFC 3501, 4959)", (*session).authenticate},
		{"LOGIN", fresh, noNews, 0, nil, "user password (RFC 3501)", (*session).loginCommand},

		{"ID", anyState, 0, 0, early("ID"), "(field value ...) | NIL (RFC 2971)", (*session).id},
		{"ENABLE", loggedIn, 0, 0, early("ENABLE"), "capability ... (RFC 5161)", (*session).enable},
		{"IDLE", loggedIn, 0, 0, early("IDLE"), "(RFC 2177)", (*session).idle},

		{"NAMESPACE", loggedIn, 0, 0, has("NAMESPACE"), "(RFC 2342)", (*session).namespace},
		{"SELECT", loggedIn, noNews, 0, nil, "mailbox (RFC 3501)", (*session).selectCommand},
		{"EXAMINE", loggedIn, noNews, 0, nil, "mailbox (RFC 3501)", (*session).examine},
		{"UNSELECT", selected, noNews, 0, has("UNSELECT"), "(RFC 3691)", (*session).unselect},
		{"CHECK", selected, 0, 0, nil, "(RFC 3501)", (*session).check},
		{"CLOSE", selected, noNews, 0, nil, "(RFC 3501)", (*session).closeCommand},
		{"EXPUNGE", selected, 0, change, nil, "(RFC 3501)", (*session).expunge},
		{"UID EXPUNGE", selected, 0, change, has("UIDPLUS"), "set (RFC 4315)", (*session).uidExpunge},
		{"MOVE", selected, 0, change, has("MOVE"), "set mailbox (RFC 6851)", (*session).move},
		{"UID MOVE", selected, 0, change, nil, "set mailbox (RFC 6851)", (*session).move},
		{"COPY", selected, 0, 0, nil, "set mailbox (RFC 3501)", (*session).copy},
		{"UID COPY", selected, 0, 0, nil, "set mailbox (RFC 3501)", (*session).copy},

		{"LIST", loggedIn, 0, 0, has("CHILDREN", "SPECIAL-USE"), "[(options)] reference pattern | (patterns) [RETURN (options)] (RFC 3501, 3348, 5258, 5819, 6154)", (*session).list},
		{"LSUB", loggedIn, 0, 0, nil, "reference pattern (RFC 3501)", (*session).lsub},
		{"CREATE", loggedIn, 0, 0, has("CREATE-SPECIAL-USE"), "mailbox [(USE (use))] (RFC 3501, 6154)", (*session).create},
		{"DELETE", loggedIn, 0, 0, nil, "mailbox (RFC 3501)", (*session).delete},
		{"RENAME", loggedIn, 0, 0, nil, "mailbox mailbox (RFC 3501)", (*session).rename},
		{"SUBSCRIBE", loggedIn, 0, 0, nil, "mailbox (RFC 3501)", (*session).subscribe},
		{"UNSUBSCRIBE", loggedIn, 0, 0, nil, "mailbox (RFC 3501)", (*session).unsubscribe},
		{"STATUS", loggedIn, 0, 0, nil, "mailbox (items) (RFC 3501, 8438)", (*session).status},
		{"APPEND", loggedIn, 0, 0, nil, "mailbox [(flags)] [date] literal (RFC 3501, 4315)", (*session).append},

		{"SEARCH", selected, usesSeqs, 0, nil, "[RETURN (options)] [CHARSET charset] keys (RFC 3501, 4731, 5032, 5182)", (*session).search},
		{"UID SEARCH", selected, usesSeqs, 0, nil, "the same", (*session).search},
		{"FETCH", selected, usesSeqs, 0, nil, "set items (RFC 3501)", (*session).fetch},
		{"UID FETCH", selected, usesSeqs, 0, nil, "set items (RFC 3501)", (*session).fetch},
		{"STORE", selected, usesSeqs, change, nil, "set [+|-]FLAGS[.SILENT] flags (RFC 3501)", (*session).store},
		{"UID STORE", selected, usesSeqs, change, nil, "set [+|-]FLAGS[.SILENT] flags (RFC 3501)", (*session).store},
	}
}
