package configs

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"toastmaster/internal/macro"
)

// Local is the section [local]: mail for the users of this host, by transports of the agent local.
type Local struct {
	AliasMaps          []string
	RecipientMaps      []string
	ForwardPath        []string
	AllowCommands      []string
	AllowFiles         []string
	HomeMailbox        string
	MailSpoolDirectory string
	MailboxCommand     string
	MailboxCommandMaps []string
	LuserRelay         string
	DefaultPrivs       string
	ExecutionDirectory string
	CommandTimeLimit   time.Duration
	MailboxSizeLimit   int64
	LockAttempts       int
	LockDelay          time.Duration
	StaleLockTime      time.Duration
}

// What local.recipient_maps has beside tables.
const (
	theUsers   = "unix:passwd.byname"
	theAliases = "$alias_maps"
)

// LocalMacros are the macros of local(8).
func LocalMacros() []string {
	return []string{"user", "home", "shell", "recipient", "extension", "domain", "local", "recipient_delimiter"}
}

func checkLocalMacros(s string) error {
	_, err := macro.Parse(s, LocalMacros())
	return err
}

func (c *Local) params() []Param {
	aliases := Tables("local.alias_maps", &c.AliasMaps, nil,
		"The tables of aliases(5), such as \"hash:/etc/aliases\": hash, texthash and the like read that text file, and a change is taken up by itself. Commands and files in it have the rights of the file's owner, or of default_privs where that is root.").Also("alias_maps", "alias_database")
	aliases.Tables = c.AliasTables
	recipients := List("local.recipient_maps", &c.RecipientMaps, []string{theUsers, theAliases}, theUsers+", "+theAliases+", or "+tablesAllowed, func(s string) error {
		if s == theUsers || s == theAliases {
			return nil
		}
		return checkTable(s)
	}, "Who is a recipient in the domains of agents local: others get 550 5.1.1 at RCPT. Empty takes mail for all names.").Also("local_recipient_maps")
	recipients.Tables = c.RecipientTables
	places := func(name string, field *[]string, what string) Param {
		return List(name, field, []string{"alias", "forward"}, "alias, forward, include", func(s string) error {
			if s == "alias" || s == "forward" || s == "include" {
				return nil
			}
			return fmt.Errorf("%q is none of alias, forward, include", s)
		}, "Where "+what+" may stand: in aliases, in .forward files, in :include: files.")
	}
	return []Param{
		aliases, recipients,
		List("local.forward_path", &c.ForwardPath, []string{"$home/.forward${recipient_delimiter}${extension}", "$home/.forward"}, "paths with macros", checkLocalMacros,
			"The files in which a user says where his mail goes, of which the first that is there counts. One that others may write to is ignored.").Also("forward_path"),
		places("local.allow_mail_to_commands", &c.AllowCommands, "|command").Also("allow_mail_to_commands"),
		places("local.allow_mail_to_files", &c.AllowFiles, "/file/name").Also("allow_mail_to_files"),
		String("local.home_mailbox", &c.HomeMailbox, "", "a path below the home, or empty", nil,
			"The user's mailbox in his home: a file, or a Maildir when it ends with a slash (\"Maildir/\"). Empty is the file of his name in mail_spool_directory.").Also("home_mailbox"),
		String("local.mail_spool_directory", &c.MailSpoolDirectory, "/var/mail", "a folder", checkDirectory,
			"Where the mailboxes of users are; with a slash at the end each is a Maildir.").Also("mail_spool_directory"),
		String("local.mailbox_command", &c.MailboxCommand, "", "a command, or empty", checkLine,
			"The command that delivers instead, as the user: \"/usr/bin/procmail -a \\\"$EXTENSION\\\"\" has the message's variables by the shell.").Also("mailbox_command"),
		Tables("local.mailbox_command_maps", &c.MailboxCommandMaps, nil, "The command of each user, asked for by name; others have mailbox_command.").Also("mailbox_command_maps"),
		String("local.luser_relay", &c.LuserRelay, "", "an address with macros, or empty", checkLocalMacros,
			"Who gets mail for names that are neither an alias nor a user. recipient_maps must be empty for it.").Also("luser_relay"),
		String("local.default_privs", &c.DefaultPrivs, "nobody", "user, user:group, or their numbers", nil,
			"Whose rights commands and files have that root's aliases name.").Also("default_privs"),
		String("local.command_execution_directory", &c.ExecutionDirectory, "", "a path with macros, or empty for /", checkLocalMacros, "Where commands start: \"$home\".").Also("command_execution_directory"),
		Duration("local.command_time_limit", &c.CommandTimeLimit, 1000*time.Second, time.Second, 24*time.Hour, "How long a command may take, with all that it starts.").Also("command_time_limit"),
		Size("local.mailbox_size_limit", &c.MailboxSizeLimit, 51_200_000, 0, 1<<40, "How large a mailbox file may become. Zero is no limit.").Also("mailbox_size_limit"),
		Int("local.deliver_lock_attempts", &c.LockAttempts, 20, 1, 1000, "How often a locked mailbox is tried, at least; then the mail waits.").Also("deliver_lock_attempts"),
		Duration("local.deliver_lock_delay", &c.LockDelay, time.Second, 10*time.Millisecond, time.Minute, "How long to wait for a lock, for each attempt.").Also("deliver_lock_delay"),
		Duration("local.stale_lock_time", &c.StaleLockTime, 500*time.Second, time.Second, 24*time.Hour, "How old the file mailbox.lock must be to be taken away.").Also("stale_lock_time"),
	}
}

// AliasTables are the tables of local.alias_maps: a file of aliases(5) for each type that
// Postfix makes of one.
func (c *Local) AliasTables() []string {
	var all []string
	for _, name := range c.AliasMaps {
		kind, file, _ := strings.Cut(name, ":")
		switch kind {
		case "hash", "btree", "lmdb", "cdb", "dbm", "sdbm", "texthash":
			name = "aliases:" + file
		}
		all = append(all, name)
	}
	return all
}

// RecipientTables are the tables of local.recipient_maps.
func (c *Local) RecipientTables() []string {
	var all []string
	for _, name := range c.RecipientMaps {
		if name != theUsers && name != theAliases {
			all = append(all, name)
		}
	}
	return all
}

// UsersKnown says that users are recipients, AliasesKnown that aliases are.
func (c *Local) UsersKnown() bool   { return slices.Contains(c.RecipientMaps, theUsers) }
func (c *Local) AliasesKnown() bool { return slices.Contains(c.RecipientMaps, theAliases) }
