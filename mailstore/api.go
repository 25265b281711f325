package mailstore

import (
	"context"
	"errors"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
	"toastmaster/internal/spool"
)

// This file is the contract that virtual, lmtpd, imapd, pop3d and the admin
// API program against. Bodies that say errSkeleton are being written.

var errSkeleton = errors.New("mailstore: not written yet")

// Account says whose mail it is. It comes from the directory.
type Account struct {
	Address addr.Address
	// Home is the folder below the store's root that holds the Maildir.
	Home string
	// QuotaBytes and QuotaMessages are limits, zero is unlimited.
	QuotaBytes    int64
	QuotaMessages int64
}

// Store is the message store of one instance. Safe for concurrent use.
type Store struct{}

// Spool is where contents for Deliver and Append should be received, so that
// a large one is linked into the Maildir instead of copied.
func (s *Store) Spool() *spool.Dir { return nil }

// Delivery is one message for one mailbox.
type Delivery struct {
	// ID makes the delivery idempotent: the same ID for the same account is
	// stored once, even if its owner has since moved or expunged it. "" for a
	// delivery that is never repeated. At most 64 characters of [A-Za-z0-9].
	ID string
	// Replay says that the ID may have been delivered before: look first.
	Replay bool
	// Folder is a mailbox name, "" for INBOX.
	Folder string
	Flags  []imap.Flag
	// Date is the INTERNALDATE.
	Date time.Time
	// Prefix goes before the content: Return-Path, Delivered-To. LF line ends.
	Prefix []byte
	// Content stays the caller's.
	Content envelope.Content
	// Durable: when Deliver returns nil the message is on disk (LMTP, whose
	// client forgets it then). False: it is durable after the next
	// Checkpoint, until which the caller keeps it (the queue).
	Durable bool
}

// Deliver stores one message.
func (s *Store) Deliver(ctx context.Context, a Account, d *Delivery) error { return errSkeleton }

// Checkpoint makes durable whatever was delivered before the call.
func (s *Store) Checkpoint(ctx context.Context) error { return errSkeleton }

// Usage is what an account occupies, all folders together.
type Usage struct{ Bytes, Messages int64 }

// Usage reports it. An account that never received anything is empty, not an
// error.
func (s *Store) Usage(ctx context.Context, a Account) (Usage, error) { return Usage{}, errSkeleton }

// RemoveAccount deletes all mail of an account.
func (s *Store) RemoveAccount(ctx context.Context, a Account) error { return errSkeleton }

// User opens an account's folders, creating the Maildir if it is missing.
// Close it when the session ends.
func (s *Store) User(ctx context.Context, a Account) (*User, error) { return nil, errSkeleton }

// User is one session's access to an account. Mailbox names are UTF-8, with
// Separator between levels; "INBOX" in any case.
type User struct{}

// Close ends the session; its views must be closed before.
func (u *User) Close() error { return nil }

// Separator is the hierarchy separator, a parameter of the store.
func (u *User) Separator() rune { return '/' }

// Folder is one mailbox in a listing.
type Folder struct {
	Name string
	// NoSelect: exists only as a parent of others.
	NoSelect   bool
	Subscribed bool
	// SpecialUse is one of the attributes of RFC 6154, or "".
	SpecialUse imap.MailboxAttr
	// HasChildren (RFC 3348).
	HasChildren bool
}

// List returns all folders and, with NoSelect set, missing parents and
// subscriptions whose mailbox is gone, in name order with INBOX first.
// Matching patterns is the caller's.
func (u *User) List(ctx context.Context) ([]Folder, error) { return nil, errSkeleton }

// Create makes a mailbox, and its parents. specialUse may be "".
func (u *User) Create(ctx context.Context, name string, specialUse imap.MailboxAttr) error {
	return errSkeleton
}

// Delete removes a mailbox and its messages; its children stay. Open views
// find all their messages expunged.
func (u *User) Delete(ctx context.Context, name string) error { return errSkeleton }

// Rename moves a mailbox with its children. Renaming INBOX moves its messages
// to the new mailbox and leaves INBOX empty (RFC 3501 section 6.3.5).
func (u *User) Rename(ctx context.Context, from, to string) error { return errSkeleton }

// Subscribe and unsubscribe; the mailbox need not exist to unsubscribe.
func (u *User) Subscribe(ctx context.Context, name string, on bool) error { return errSkeleton }

// Status is the state of a mailbox.
type Status struct {
	UIDValidity   uint32
	UIDNext       uint32
	Messages      uint32
	Unseen        uint32
	Recent        uint32
	Deleted       uint32
	Size          int64 // sum of wire sizes
	HighestModSeq uint64
}

// Status reads it without opening a view; it opens no message file.
func (u *User) Status(ctx context.Context, name string) (Status, error) {
	return Status{}, errSkeleton
}

// Append stores a message; it is on disk when Append returns nil. content
// stays the caller's.
func (u *User) Append(ctx context.Context, name string, flags []imap.Flag, date time.Time, content envelope.Content) (uidValidity, uid uint32, err error) {
	return 0, 0, errSkeleton
}

// Open opens a mailbox for one session. A read-write view takes the messages
// that are recent; a read-only one leaves them recent.
func (u *User) Open(ctx context.Context, name string, readOnly bool) (*View, error) {
	return nil, errSkeleton
}

// View is what one session sees of an open mailbox: a vector of messages
// that changes only in Update, so that sequence numbers are stable between.
// A View belongs to one goroutine, except Changed.
type View struct{}

// Close releases the view.
func (v *View) Close() error { return nil }

// Info is the mailbox as of the last Update.
type Info struct {
	Name          string
	ReadOnly      bool
	UIDValidity   uint32
	UIDNext       uint32
	Messages      uint32
	Recent        uint32
	FirstUnseen   uint32 // sequence number, 0 if none
	HighestModSeq uint64
	// Flags are the flags and keywords in use; system flags first.
	Flags []imap.Flag
	// KeywordsFull says that no new keyword can be made (PERMANENTFLAGS
	// without \*).
	KeywordsFull bool
}

// Info describes the mailbox.
func (v *View) Info() Info { return Info{} }

// Len is the number of messages.
func (v *View) Len() int { return 0 }

// UID is the UID of message seq (1..Len).
func (v *View) UID(seq uint32) imap.UID { return 0 }

// Seq is the sequence number of uid, 0 if it is not in the view.
func (v *View) Seq(uid imap.UID) uint32 { return 0 }

// SeqAtLeast is the sequence number of the first message with a UID of at
// least uid, Len+1 if there is none.
func (v *View) SeqAtLeast(uid imap.UID) uint32 { return 0 }

// Message is the metadata of one message.
type Message struct {
	UID imap.UID
	// Flags holds system flags and keywords, without \Recent. Shared, not to
	// be changed.
	Flags  []imap.Flag
	Recent bool
	// Date is INTERNALDATE, Size the exact size on the wire (CR LF).
	Date   time.Time
	Size   int64
	ModSeq uint64
}

// Message returns the metadata of message seq from memory.
func (v *View) Message(seq uint32) Message { return Message{} }

// Structure returns the cached result of mime.Scan (internal/mime's encoded
// form) of message seq; it opens no message file unless the cache was lost.
// The slice is read-only and valid until the next call on the view.
func (v *View) Structure(ctx context.Context, seq uint32) ([]byte, error) { return nil, errSkeleton }

// Read opens the content of message seq (LF line ends). ErrExpunged when it
// is gone. The caller closes it.
func (v *View) Read(ctx context.Context, seq uint32) (envelope.Content, error) {
	return nil, errSkeleton
}

// Changed receives when the mailbox may have changed since the last Update;
// it has a buffer of one and may fire without a visible change. It may be
// waited on from another goroutine.
func (v *View) Changed() <-chan struct{} { return nil }

// Update merges what others changed. Expunged messages are reported and
// removed only if expunge is set (RFC 3501 section 7.4.1 forbids it during
// FETCH, STORE and SEARCH).
type Update struct {
	// Expunged lists sequence numbers in the order to report them: each
	// counts after the removals before it. ExpungedUIDs are the same messages.
	Expunged     []uint32
	ExpungedUIDs []imap.UID
	// Exists is the new number of messages when it grew, else 0.
	Exists uint32
	Recent uint32
	// Flags lists the sequence numbers (after Expunged) whose flags others
	// changed.
	Flags []uint32
	// NewKeywords says that Info().Flags grew.
	NewKeywords bool
}

// Update brings the view up to date.
func (v *View) Update(ctx context.Context, expunge bool) (Update, error) {
	return Update{}, errSkeleton
}

// FlagOp is how SetFlags combines.
type FlagOp uint8

// The three forms of STORE.
const (
	FlagsSet FlagOp = iota
	FlagsAdd
	FlagsRemove
)

// SetFlags changes the flags of messages and updates the view's own idea of
// them. Messages with a mod-sequence above unchangedSince (when it is not
// zero) are left alone and returned as modified (RFC 7162). Sequence numbers
// that were expunged meanwhile are skipped. \Recent cannot be set.
func (v *View) SetFlags(ctx context.Context, seqs []uint32, op FlagOp, flags []imap.Flag, unchangedSince uint64) (modified []uint32, err error) {
	return nil, errSkeleton
}

// Expunge removes the messages seqs; the caller has chosen those with
// \Deleted. They leave the view, and are reported, at the next Update.
func (v *View) Expunge(ctx context.Context, seqs []uint32) error { return errSkeleton }

// Copy copies messages to another mailbox of the same account, all or none.
// The UIDs are in the order of seqs.
func (v *View) Copy(ctx context.Context, seqs []uint32, to string) (uidValidity uint32, uids []imap.UID, err error) {
	return 0, nil, errSkeleton
}

// Move is Copy and Expunge as one step: no crash leaves a message in neither.
func (v *View) Move(ctx context.Context, seqs []uint32, to string) (uidValidity uint32, uids []imap.UID, err error) {
	return 0, nil, errSkeleton
}
