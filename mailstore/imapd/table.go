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
		{"CAPABILITY", anyState, 0, 0, nil, "(RFC 3501)", runCapability},
		{"NOOP", anyState, 0, 0, nil, "(RFC 3501)", runNoop},
		{"LOGOUT", anyState, noNews, 0, nil, "(RFC 3501)", runLogout},

		{"STARTTLS", fresh, noNews, 0, nil, "(RFC 3501)", runStartTLS},
		{"AUTHENTICATE", fresh, noNews, 0, early("SASL-IR"), "mechanism [initial] (RFC 3501, 4959)", runAuthenticate},
		{"LOGIN", fresh, noNews, 0, nil, "user password (RFC 3501)", runLogin},

		{"ID", anyState, 0, 0, early("ID"), "(field value ...) | NIL (RFC 2971)", runID},
		{"ENABLE", loggedIn, 0, 0, early("ENABLE"), "capability ... (RFC 5161)", runEnable},
		{"IDLE", loggedIn, 0, 0, early("IDLE"), "(RFC 2177)", runIdle},

		{"NAMESPACE", loggedIn, 0, 0, has("NAMESPACE"), "(RFC 2342)", runNamespace},
		{"SELECT", loggedIn, noNews, 0, nil, "mailbox (RFC 3501)", runSelect},
		{"EXAMINE", loggedIn, noNews, 0, nil, "mailbox (RFC 3501)", runExamine},
		{"UNSELECT", selected, noNews, 0, has("UNSELECT"), "(RFC 3691)", runUnselect},
		{"CHECK", selected, 0, 0, nil, "(RFC 3501)", runCheck},
		{"CLOSE", selected, noNews, 0, nil, "(RFC 3501)", runClose},
		{"EXPUNGE", selected, 0, change, nil, "(RFC 3501)", runExpunge},
		{"UID EXPUNGE", selected, 0, change, has("UIDPLUS"), "set (RFC 4315)", runUIDExpunge},
		{"MOVE", selected, 0, change, has("MOVE"), "set mailbox (RFC 6851)", runMove},
		{"UID MOVE", selected, 0, change, nil, "set mailbox (RFC 6851)", runMove},
		{"COPY", selected, 0, 0, nil, "set mailbox (RFC 3501)", runCopy},
		{"UID COPY", selected, 0, 0, nil, "set mailbox (RFC 3501)", runCopy},

		{"LIST", loggedIn, 0, 0, has("CHILDREN", "SPECIAL-USE"), "[(options)] reference pattern | (patterns) [RETURN (options)] (RFC 3501, 3348, 5258, 5819, 6154)", runList},
		{"LSUB", loggedIn, 0, 0, nil, "reference pattern (RFC 3501)", runLsub},
		{"CREATE", loggedIn, 0, 0, has("CREATE-SPECIAL-USE"), "mailbox [(USE (use))] (RFC 3501, 6154)", runCreate},
		{"DELETE", loggedIn, 0, 0, nil, "mailbox (RFC 3501)", runDelete},
		{"RENAME", loggedIn, 0, 0, nil, "mailbox mailbox (RFC 3501)", runRename},
		{"SUBSCRIBE", loggedIn, 0, 0, nil, "mailbox (RFC 3501)", runSubscribe},
		{"UNSUBSCRIBE", loggedIn, 0, 0, nil, "mailbox (RFC 3501)", runUnsubscribe},
		{"STATUS", loggedIn, 0, 0, nil, "mailbox (items) (RFC 3501, 8438)", runStatus},
		{"APPEND", loggedIn, 0, 0, nil, "mailbox [(flags)] [date] literal (RFC 3501, 4315)", runAppend},

		{"SEARCH", selected, usesSeqs, 0, nil, "[RETURN (options)] [CHARSET charset] keys (RFC 3501, 4731, 5032, 5182)", runSearch},
		{"UID SEARCH", selected, usesSeqs, 0, nil, "the same", runSearch},
		{"FETCH", selected, usesSeqs, 0, nil, "set items (RFC 3501)", runFetch},
		{"UID FETCH", selected, usesSeqs, 0, nil, "set items (RFC 3501)", runFetch},
		{"STORE", selected, usesSeqs, change, nil, "set [+|-]FLAGS[.SILENT] flags (RFC 3501)", runStore},
		{"UID STORE", selected, usesSeqs, change, nil, "set [+|-]FLAGS[.SILENT] flags (RFC 3501)", runStore},
	}
}
