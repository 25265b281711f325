package imapd

import "toastmaster/mailstore"

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

// rights are what a verb needs: of the selected mailbox first, which must not be
// read-only where that is anything, then of each mailbox that it names, in their
// order. A command that needs more than the session has is NO when its arguments are
// read.
type rights []mailstore.Rights

// ofSelected is what it needs of the selected mailbox.
func (r rights) ofSelected() mailstore.Rights {
	if len(r) == 0 {
		return 0
	}
	return r[0]
}

// ofNamed is what it needs of the i-th mailbox that it names.
func (r rights) ofNamed(i int) mailstore.Rights {
	if i+1 >= len(r) {
		return 0
	}
	return r[i+1]
}

const (
	mayLookup  = mailstore.RightLookup
	mayRead    = mailstore.RightRead
	mayInsert  = mailstore.RightInsert
	mayFlag    = mailstore.RightsFlags
	mayExpunge = mailstore.RightExpunge
	// mayTake is for MOVE (RFC 6851 section 4.1).
	mayTake   = mailstore.RightDeleteMessage | mailstore.RightExpunge
	mayCreate = mailstore.RightCreate
	mayRemove = mailstore.RightDelete
)

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
		{"CAPABILITY", anyState, 0, nil, nil, "(RFC 3501)", runCapability},
		{"NOOP", anyState, 0, nil, nil, "(RFC 3501)", runNoop},
		{"LOGOUT", anyState, noNews, nil, nil, "(RFC 3501)", runLogout},

		{"STARTTLS", fresh, noNews, nil, nil, "(RFC 3501)", runStartTLS},
		{"AUTHENTICATE", fresh, noNews, nil, early("SASL-IR"), "mechanism [initial] (RFC 3501, 4959)", runAuthenticate},
		{"LOGIN", fresh, noNews, nil, nil, "user password (RFC 3501)", runLogin},

		{"ID", anyState, 0, nil, early("ID"), "(field value ...) | NIL (RFC 2971)", runID},
		{"ENABLE", loggedIn, 0, nil, early("ENABLE"), "capability ... (RFC 5161)", runEnable},
		{"IDLE", loggedIn, 0, nil, early("IDLE"), "(RFC 2177)", runIdle},

		{"NAMESPACE", loggedIn, 0, nil, has("NAMESPACE"), "(RFC 2342)", runNamespace},
		{"SELECT", loggedIn, noNews, rights{0, mayRead}, nil, "mailbox (RFC 3501)", runSelect},
		{"EXAMINE", loggedIn, noNews, rights{0, mayRead}, nil, "mailbox (RFC 3501)", runExamine},
		{"UNSELECT", selected, noNews, nil, has("UNSELECT"), "(RFC 3691)", runUnselect},
		{"CHECK", selected, 0, nil, nil, "(RFC 3501)", runCheck},
		{"CLOSE", selected, noNews, nil, nil, "(RFC 3501)", runClose},
		{"EXPUNGE", selected, 0, rights{mayExpunge}, nil, "(RFC 3501)", runExpunge},
		{"UID EXPUNGE", selected, 0, rights{mayExpunge}, has("UIDPLUS"), "set (RFC 4315)", runUIDExpunge},
		{"MOVE", selected, 0, rights{mayTake, mayInsert}, has("MOVE"), "set mailbox (RFC 6851)", runMove},
		{"UID MOVE", selected, 0, rights{mayTake, mayInsert}, nil, "set mailbox (RFC 6851)", runMove},
		{"COPY", selected, 0, rights{0, mayInsert}, nil, "set mailbox (RFC 3501)", runCopy},
		{"UID COPY", selected, 0, rights{0, mayInsert}, nil, "set mailbox (RFC 3501)", runCopy},

		{"LIST", loggedIn, 0, nil, has("CHILDREN", "SPECIAL-USE"), "[(options)] reference pattern | (patterns) [RETURN (options)] (RFC 3501, 3348, 5258, 5819, 6154)", runList},
		{"LSUB", loggedIn, 0, nil, nil, "reference pattern (RFC 3501)", runLsub},
		{"CREATE", loggedIn, 0, rights{0, mayCreate}, has("CREATE-SPECIAL-USE"), "mailbox [(USE (use))] (RFC 3501, 6154)", runCreate},
		{"DELETE", loggedIn, 0, rights{0, mayRemove}, nil, "mailbox (RFC 3501)", runDelete},
		{"RENAME", loggedIn, 0, rights{0, mayRemove, mayCreate}, nil, "mailbox mailbox (RFC 3501)", runRename},
		{"SUBSCRIBE", loggedIn, 0, rights{0, mayLookup}, nil, "mailbox (RFC 3501)", runSubscribe},
		{"UNSUBSCRIBE", loggedIn, 0, nil, nil, "mailbox (RFC 3501)", runUnsubscribe},
		{"STATUS", loggedIn, 0, rights{0, mayRead}, nil, "mailbox (items) (RFC 3501, 8438)", runStatus},
		{"APPEND", loggedIn, 0, rights{0, mayInsert}, nil, "mailbox [(flags)] [date] literal (RFC 3501, 4315)", runAppend},

		{"SEARCH", selected, usesSeqs, nil, nil, "[RETURN (options)] [CHARSET charset] keys (RFC 3501, 4731, 5032, 5182)", runSearch},
		{"UID SEARCH", selected, usesSeqs, nil, nil, "the same", runSearch},
		{"FETCH", selected, usesSeqs, nil, nil, "set items (RFC 3501)", runFetch},
		{"UID FETCH", selected, usesSeqs, nil, nil, "set items (RFC 3501)", runFetch},
		{"STORE", selected, usesSeqs, rights{mayFlag}, nil, "set [+|-]FLAGS[.SILENT] flags (RFC 3501)", runStore},
		{"UID STORE", selected, usesSeqs, rights{mayFlag}, nil, "set [+|-]FLAGS[.SILENT] flags (RFC 3501)", runStore},
	}
}
