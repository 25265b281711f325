package model

import "time"

// MailFolder is a mailbox of an account, as it is moved out and in.
type MailFolder struct {
	Name        string `json:"name"`
	Subscribed  bool   `json:"subscribed"`
	Messages    int64  `json:"messages"`
	Size        int64  `json:"size" doc:"Of all messages, in octets on the wire"`
	UIDValidity uint32 `json:"uid_validity" doc:"0 for a default folder that is not made yet, and for a name with nothing but a subscription"`
	UIDNext     uint32 `json:"uid_next"`
	// Keywords are those that messages of it have had.
	Keywords []string `json:"keywords" nullable:"false"`
}

// MailFolders are all of an account.
type MailFolders struct {
	Items []MailFolder `json:"items" nullable:"false"`
}

// NewMailFolder makes a folder; it is no mistake when it is there.
type NewMailFolder struct {
	Name      string `json:"name" maxLength:"1000"`
	Subscribe bool   `json:"subscribe,omitempty"`
}

// MailMessage is a message in a listing of a folder.
type MailMessage struct {
	UID  uint32 `json:"uid"`
	Name string `json:"name" doc:"The name of its file in a Maildir, without flags"`
	// Flags are as IMAP writes them, without \Recent.
	Flags []string  `json:"flags" nullable:"false"`
	Date  time.Time `json:"date" doc:"INTERNALDATE"`
	Size  int64     `json:"size" doc:"In octets on the wire"`
}

// MailPage is a part of the listing of a folder, by UID.
type MailPage struct {
	UIDValidity uint32        `json:"uid_validity"`
	Items       []MailMessage `json:"items" nullable:"false"`
	Next        uint32        `json:"next,omitempty" doc:"The after of the next page; 0 for the last"`
}

// MailSelection names messages of a folder.
type MailSelection struct {
	Folder      string   `json:"folder" maxLength:"1000"`
	UIDValidity uint32   `json:"uid_validity"`
	UIDs        []uint32 `json:"uids" nullable:"false" maxItems:"1000"`
}

// ImportedIDs are those that a folder has had.
type ImportedIDs struct {
	IDs []string `json:"ids" nullable:"false"`
	// MessageLimit is admin.import_message_limit.
	MessageLimit int64 `json:"message_limit" doc:"The most octets that an imported message may have"`
}

// MailImported says what became of the messages of one request, in its order.
type MailImported struct {
	// Results has one for each message that was worked on. It may be shorter than the
	// request: then Stopped says why.
	Results []MailResult `json:"results" nullable:"false"`
	Stopped string       `json:"stopped,omitempty" enum:"quota,room" doc:"quota: the mailbox is full; room: store.min_free, or the disk is full"`
}

// MailResult is what became of a message.
type MailResult struct {
	ID  string `json:"id"`
	UID uint32 `json:"uid,omitempty"`
	// There: the folder has had it already.
	There bool   `json:"there,omitempty"`
	Error string `json:"error,omitempty" doc:"It was not stored, and would not be if it were tried again"`
}

// The PAX records of a message in an archive.
const (
	// MailFlags are the flags, with blanks between.
	MailFlags = "TOASTMASTER.flags"
	// MailZone is the zone of the date, in minutes east of UTC.
	MailZone = "TOASTMASTER.zone"
	// MailError is why a message cannot be read; its entry has no content.
	MailError = "TOASTMASTER.error"
)

// The reasons of MailImported.Stopped.
const (
	StoppedByQuota = "quota"
	StoppedByRoom  = "room"
)
