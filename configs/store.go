package configs

import (
	"errors"
	"strings"
	"time"
)

// Store is the section [store].
type Store struct {
	Path               string
	Home               string
	Separator          string
	DefaultFolders     []string
	MaxFolders         int
	MaxFolderDepth     int
	MaxFolderName      int
	MaxSubscriptions   int
	SpoolMemory        int64
	IndexMemory        int64
	OpenMailboxes      int
	CheckpointInterval time.Duration
	SyncInterval       time.Duration
	VerifyInterval     time.Duration
	UIDListDelay       time.Duration
	CachedFields       int64
	CachedRecord       int64
	SearchMemory       int64
	JournalSegment     int64
	LogLimit           int64
	Reserve            int64
	ExpungeMemory      time.Duration
	ExpungeEntries     int
	MaxKeywords        int
	UnpackedLimit      int64
	UnpackConcurrency  int
	UnpackedCache      int64
	LockTimeout        time.Duration
	CloseTimeout       time.Duration
	QuotaGrace         int
	ReservationTime    time.Duration
	MinFree            int64
	MaxActions         int
	MaxRedirects       int
}

func (c *Store) params() []Param {
	return []Param{
		String("store.path", &c.Path, "mail", "a folder", nil,
			"The folder below main.data_dir that holds the mailboxes, and nothing else. One that has something in it and no folder .toastmaster is refused: `init --adopt store` takes over a Maildir tree of Dovecot's. All of it must be one file system. A symbolic link in it that stands for the home of a mailbox, or for a domain's folder, is not followed (the log says so, mail for it waits); store.path itself may be one.").Also("mail_location", "mail_home", "virtual_mailbox_base"),
		String("store.home", &c.Home, "%d/%n", "a path below store.path", checkHome,
			"Where the mail of a new mailbox lies, below store.path: %d is its domain, %n its local part, %u both. An absolute path must be inside of store.path. Mailboxes that exist keep theirs; `mailbox add --home` and `mailbox set --home` say another one.").Also("mail_home", "mail_location"),
		String("store.separator", &c.Separator, "/", `"/" or "."`, checkSeparator,
			"The separator between levels of a mailbox name in IMAP. On disk it is always a dot (Maildir++), so a level cannot hold one.").Also("namespace", "separator"),
		List("store.default_folders", &c.DefaultFolders, []string{"Drafts", "Sent", "Junk", "Trash", "Archive"}, "mailbox names", nil,
			"Mailboxes that an account has besides INBOX, subscribed. Each is made on the disk when it is first opened or something is put into it. An account that has changed its subscriptions, or deleted or renamed one, keeps what it had.").Also("lda_mailbox_autocreate", "special_use"),
		Int("store.max_folders", &c.MaxFolders, 2000, 1, 1000000,
			"Mailboxes of an account besides INBOX; CREATE or RENAME beyond it is refused with [LIMIT]. Each takes 5 inodes or more. What is there already stays."),
		Int("store.max_folder_depth", &c.MaxFolderDepth, 32, 1, 120,
			"Levels of a mailbox name that CREATE or RENAME makes; more are refused with [LIMIT]."),
		Int("store.max_folder_name", &c.MaxFolderName, 240, 16, 240,
			"Octets on the disk (modified UTF-7) of a mailbox name that CREATE or RENAME makes, all levels together; more are refused with [LIMIT]."),
		Int("store.max_subscriptions", &c.MaxSubscriptions, 4000, 1, 1000000,
			"Subscriptions of an account; SUBSCRIBE beyond it is refused with [LIMIT]."),
		Size("store.spool_memory", &c.SpoolMemory, 256<<10, 4<<10, 64<<20,
			"Up to this size a message is received in memory, above it in a file that is then linked into the Maildir."),
		Size("store.index_memory", &c.IndexMemory, 32<<20, 1<<20, 16<<30,
			"Memory for the indexes of mailboxes that no session has open. Those used last stay."),
		Int("store.open_mailboxes", &c.OpenMailboxes, 1000, 1, 1000000,
			"How many mailboxes that no session has open stay in memory. Each holds two open files."),
		Duration("store.checkpoint_interval", &c.CheckpointInterval, 2*time.Second, 100*time.Millisecond, time.Minute,
			"How often the store is made durable as a whole while mail arrives. Mail that was accepted is safe in a journal meanwhile; the longer, the larger the journal.").Also("mail_fsync"),
		Duration("store.sync_interval", &c.SyncInterval, time.Second, 100*time.Millisecond, time.Hour,
			"How often open mailboxes are checked for changes by other programs.").Also("mailbox_idle_check_interval"),
		Duration("store.verify_interval", &c.VerifyInterval, time.Minute, time.Second, 24*time.Hour,
			"How long a change by another program in the very moment of one of ours may stay unnoticed; such a mailbox is read again after this time.").Also("maildir_very_dirty_syncs"),
		Duration("store.uidlist_delay", &c.UIDListDelay, 30*time.Second, 0, 24*time.Hour,
			"How long dovecot-uidlist may lag behind. It is always written before a mailbox leaves memory and at the end."),
		Size("store.cached_fields", &c.CachedFields, 16<<10, 0, 1<<20,
			"How many octets of its header the record of a message keeps: those fields that mail programs ask for to list a folder. A field that has no room is read from the message when somebody asks for it. With 0 none is kept. It holds for mail that comes, and for older mail when its record is written anew.").Also("mail_always_cache_fields", "mail_cache_fields"),
		Size("store.cached_record", &c.CachedRecord, 64<<20, 64<<10, 256<<20,
			"How large the record of a message may be. For one that is larger (a message of many thousand parts) there is none: the message is read each time.").Also("mail_cache_record_max_size"),
		Size("store.search_memory", &c.SearchMemory, 32<<20, 0, 64<<30,
			"Memory for header fields that are searched: one of all messages of a mailbox, in the form in which it is compared. Those used last stay. A field that takes more is read from the records for each search."),
		Size("store.journal_segment", &c.JournalSegment, 16<<20, 1<<20, 1<<30,
			"Size of a segment of the store's journal."),
		Size("store.log_limit", &c.LogLimit, 256<<10, 4<<10, 1<<30,
			"Size above which the log of a mailbox's index is replaced by a snapshot; a large mailbox may have up to half its snapshot."),
		Size("store.reserve", &c.Reserve, 1<<20, 0, 1<<30,
			"How much room is kept, as a file, for the time when the disk is full: opening mailboxes, flags, MOVE and EXPUNGE use it, mail that comes does not. So a user can always delete. It is filled again when there is room."),
		Duration("store.expunge_memory", &c.ExpungeMemory, 7*24*time.Hour, time.Hour, 365*24*time.Hour,
			"How long the names of expunged messages are remembered, so that a repeated delivery does not bring them back. Must be longer than the queue's lifetime of a message."),
		Int("store.expunge_entries", &c.ExpungeEntries, 10000, 100, 10000000,
			"How many expunged messages a mailbox remembers, to tell a message that comes again from a new one."),
		Int("store.max_keywords", &c.MaxKeywords, 256, 26, 10000,
			"How many keywords a mailbox can have. The first 26 have a letter in the names of the message files; the others are in the index and in toastmaster.keywords only, and Dovecot does not see them. More are refused with NO [LIMIT].").Also("mail_max_keyword_length"),
		Size("store.unpacked_limit", &c.UnpackedLimit, 256<<20, 1<<20, 16<<30,
			"How large a message may be whose file is compressed, as Dovecot's zlib plugin writes them. A larger one is not read, with a log line: a few octets can be gigabytes. While it is read it lies in store.path, in memory up to store.spool_memory.").Also("zlib_save"),
		Int("store.unpack_concurrency", &c.UnpackConcurrency, 4, 1, 1000,
			"How many compressed messages are unpacked at once. One that was written with the highest levels of zstd takes 128 MiB of memory meanwhile."),
		Size("store.unpacked_cache", &c.UnpackedCache, 64<<20, 0, 64<<30,
			"How many octets of compressed messages are kept unpacked, those that were read last and for a minute or so, where store.unpacked_limit says: a client that reads a message in pieces would have it unpacked for each. A larger message is not kept. 0 keeps none."),
		Size("store.min_free", &c.MinFree, 75<<20, 0, 1<<40,
			"How much space LMTP and what users store with APPEND must leave free on the store's file system. What would leave less is refused at MAIL with 452 4.3.1, and the client keeps it, or with NO [LIMIT]; the queue's own deliveries go on, and so do COPY, MOVE, flags and deletions. 0 takes mail until the disk is full.").Also("queue_minfree"),
		Duration("store.lock_timeout", &c.LockTimeout, 10*time.Second, 100*time.Millisecond, 5*time.Minute,
			"How long to wait for a mailbox that another process on the same store has locked. After that a delivery is tried again later and a command is answered NO; the others that wait for that mailbox then try once. Must be longer than another process may need to read a large mailbox that it does not know.").Also("mailbox_delivery_lock", "deliver_lock_attempts"),
		Int("store.quota_grace", &c.QuotaGrace, 10, 0, 1000,
			"By how many percent of a mailbox's quota the last message that comes in may exceed it (Dovecot quota_grace): below the quota there is room for one more that is not much too large, at it for none. Not for what users store themselves (APPEND, COPY). 0 allows no octet more.").Also("mailbox_size_limit", "virtual_mailbox_limit"),
		Duration("store.quota_reservation_time", &c.ReservationTime, 15*time.Minute, time.Second, day,
			"How long room in a mailbox with a quota is kept for a message that was accepted for it and not delivered yet. Mail that waits longer is counted when it is delivered."),
		Int("store.max_actions", &c.MaxActions, 32, 1, 1000,
			"How many actions the plan of a delivery may have: keep, fileinto, redirect and the like. A message whose plan has more waits, and the log says so. Today the plan of every message is to keep it in INBOX.").Also("sieve_max_actions"),
		Int("store.max_redirects", &c.MaxRedirects, 4, 0, 1000,
			"To how many addresses the plan of a delivery may send the message on.").Also("sieve_max_redirects"),
		Duration("store.close_timeout", &c.CloseTimeout, time.Minute, time.Second, time.Hour,
			"How long the last work on a mailbox that leaves memory, and that on the whole store at the end, may take. What is not done then is done at the next start: nothing that was accepted is lost."),
	}
}

func checkSeparator(s string) error {
	if s != "/" && s != "." {
		return errors.New("not a separator")
	}
	return nil
}

// checkHome wants a template that gives each mailbox its own folder.
func checkHome(s string) error {
	if !strings.Contains(s, "%u") && !(strings.Contains(s, "%n") && strings.Contains(s, "%d")) {
		return errors.New("must have %u, or %d and %n, in it: each mailbox has a folder of its own")
	}
	return nil
}
