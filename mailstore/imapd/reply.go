package imapd

import (
	"errors"

	"toastmaster/internal/dsn"
	"toastmaster/mailstore"
	"toastmaster/mailstore/search"
)

// refusal is a tagged NO or BAD.
type refusal struct {
	kind string // "NO" or "BAD"
	code string // response code without brackets, or ""
	text string
	// cause goes to the log.
	cause error
}

// Error is for the log.
func (r *refusal) Error() string {
	s := r.kind + " " + r.text
	if r.cause != nil {
		s += ": " + r.cause.Error()
	}
	return s
}

// Unwrap gives the cause.
func (r *refusal) Unwrap() error { return r.cause }

func bad(text string) *refusal { return &refusal{kind: "BAD", text: text} }

func no(code, text string) *refusal { return &refusal{kind: "NO", code: code, text: text} }

// reply is the tagged OK of a verb.
type reply struct {
	code string // response code without brackets, or ""
	text string
}

// outcome is one row of the table from the store's errors to IMAP's response
// codes (RFC 5530).
type outcome struct {
	err        error
	code, text string
}

var outcomes = []outcome{
	{mailstore.ErrNoPermission, "NOPERM", "You may not do that with this mailbox"},
	{mailstore.ErrElsewhere, "CANNOT", "Mailbox cannot be renamed into another account"},
	{mailstore.ErrNotFound, "NONEXISTENT", "Mailbox does not exist"},
	{mailstore.ErrExists, "ALREADYEXISTS", "Mailbox already exists"},
	{mailstore.ErrInvalidName, "CANNOT", "Invalid mailbox name"},
	{mailstore.ErrHasChildren, "HASCHILDREN", "Mailbox has children"},
	{mailstore.ErrReadOnly, "", "Mailbox is read-only"},
	{mailstore.ErrOverQuota, "OVERQUOTA", "Quota exceeded"},
	{mailstore.ErrFull, "UNAVAILABLE", "Insufficient system storage"},
	{mailstore.ErrGone, "NONEXISTENT", "Mailbox was deleted"},
	{mailstore.ErrExpunged, "EXPUNGEISSUED", "Some of the messages no longer exist"},
	{mailstore.ErrUnreadable, "SERVERBUG", "Some of the messages cannot be read"},
	{mailstore.ErrTooManyFolders, "LIMIT", "Too many mailboxes"},
	{mailstore.ErrFolderName, "LIMIT", "Mailbox name is too long or has too many levels"},
	{mailstore.ErrTooManySubscriptions, "LIMIT", "Too many subscriptions"},
	{mailstore.ErrLittleRoom, "LIMIT", "Insufficient system storage, please delete something or try again later"},
	{mailstore.ErrLimit, "LIMIT", "Limit reached"},
	{search.ErrWork, "LIMIT", "Search reads too much, narrow it down"},
	{search.ErrTests, "LIMIT", "Search is too much work, narrow it down"},
	{mailstore.ErrBusy, "INUSE", "Mailbox is locked by another process, please try again later"},
}

// refuse maps any error to a refusal. What is not known is temporary and says
// nothing of its cause.
func refuse(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	for _, o := range outcomes {
		if errors.Is(err, o.err) {
			return &refusal{kind: "NO", code: o.code, text: o.text, cause: err}
		}
	}
	var e *dsn.Error
	if errors.As(err, &e) && e.Status == dsn.SystemFull {
		return &refusal{kind: "NO", code: "UNAVAILABLE", text: e.Text, cause: err}
	}
	return &refusal{kind: "NO", code: "SERVERBUG", text: "Internal error, please try again later", cause: err}
}

// tryCreate says [TRYCREATE] where the destination of a copy or an append does
// not exist (RFC 3501 sections 6.3.11 and 6.4.7).
func tryCreate(err error) error {
	if errors.Is(err, mailstore.ErrNotFound) {
		return &refusal{kind: "NO", code: "TRYCREATE", text: "Mailbox does not exist", cause: err}
	}
	return err
}

// respond writes a tagged response.
func (c *conn) respond(tag []byte, kind, code, text string) {
	out := append(c.buf(), tag...)
	out = append(out, ' ')
	out = append(out, kind...)
	out = append(out, ' ')
	if code != "" {
		out = append(out, '[')
		out = append(out, code...)
		out = append(out, "] "...)
	}
	out = append(out, text...)
	c.put(append(out, "\r\n"...))
}
