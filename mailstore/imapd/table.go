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

// verb is one row of the command table.
type verb struct {
	name  string
	in    state
	flags flag
	// run reads the arguments, all of them before it does anything, and
	// answers. A refusal is a *refusal; another error is the store's, or the
	// connection's.
	run func(*session, *args) (reply, error)
}

// table is the protocol: a new verb is a file and a row here.
func table() []verb {
	return []verb{
		{"CAPABILITY", anyState, 0, (*session).capability},
		{"NOOP", anyState, 0, (*session).noop},
		{"LOGOUT", anyState, noNews, (*session).logout},
		{"ID", anyState, 0, (*session).id},

		{"STARTTLS", fresh, noNews, (*session).starttls},
		{"AUTHENTICATE", fresh, noNews, (*session).authenticate},
		{"LOGIN", fresh, noNews, (*session).loginCommand},

		{"ENABLE", loggedIn, 0, (*session).enable},
		{"NAMESPACE", loggedIn, 0, (*session).namespace},
		{"SELECT", loggedIn, noNews, (*session).selectCommand},
		{"EXAMINE", loggedIn, noNews, (*session).examine},
		{"CREATE", loggedIn, 0, (*session).create},
		{"DELETE", loggedIn, 0, (*session).delete},
		{"RENAME", loggedIn, 0, (*session).rename},
		{"SUBSCRIBE", loggedIn, 0, (*session).subscribe},
		{"UNSUBSCRIBE", loggedIn, 0, (*session).unsubscribe},
		{"LIST", loggedIn, 0, (*session).list},
		{"LSUB", loggedIn, 0, (*session).lsub},
		{"STATUS", loggedIn, 0, (*session).status},
		{"APPEND", loggedIn, 0, (*session).append},
		{"IDLE", loggedIn, 0, (*session).idle},

		{"CHECK", selected, 0, (*session).check},
		{"CLOSE", selected, noNews, (*session).closeCommand},
		{"UNSELECT", selected, noNews, (*session).unselect},
		{"EXPUNGE", selected, 0, (*session).expunge},
		{"UID EXPUNGE", selected, 0, (*session).uidExpunge},
		{"SEARCH", selected, usesSeqs, (*session).search},
		{"UID SEARCH", selected, usesSeqs, (*session).search},
		{"FETCH", selected, usesSeqs, (*session).fetch},
		{"UID FETCH", selected, usesSeqs, (*session).fetch},
		{"STORE", selected, usesSeqs, (*session).store},
		{"UID STORE", selected, usesSeqs, (*session).store},
		{"COPY", selected, 0, (*session).copy},
		{"UID COPY", selected, 0, (*session).copy},
		{"MOVE", selected, 0, (*session).move},
		{"UID MOVE", selected, 0, (*session).move},
	}
}
