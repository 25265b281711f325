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
	// The transports are "name" or "name:nexthop", "" for none.
	MailboxTransport, FallbackTransport         string
	MailboxTransportMaps, FallbackTransportMaps []string
	PrependDelivered                            []string
	OwnerRequestSpecial                         bool
	ExpandOwnerAlias                            bool
	ResetOwnerAlias                             bool
	StrictOwnership                             bool
	RequireHome                                 bool
	CommandShell                                string
	// The filters are the characters that values of macros and variables may have.
	ForwardFilter, CommandFilter, DirectoryFilter string
	DefaultPrivs                                  string
	AliasLimit                                    int
	ExecutionDirectory                            string
	CommandTimeLimit                              time.Duration
	MailboxSizeLimit                              int64
	LockAttempts                                  int
	LockDelay                                     time.Duration
	StaleLockTime                                 time.Duration
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

// plainValue are the characters that values have by default.
const plainValue = "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func (c *Local) params() []Param { return append(c.deliveries(), c.details()...) }

// deliveries are what most hosts set.
func (c *Local) deliveries() []Param {
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
		String("local.mailbox_transport", &c.MailboxTransport, "", `a transport, "name" or "name:nexthop", or empty`, checkPassTo,
			"The transport that has the mailboxes of all recipients here, users of /etc/passwd or not, behind aliases and .forward: \"lmtp:unix:/run/dovecot/lmtp\".").Also("mailbox_transport"),
		Tables("local.mailbox_transport_maps", &c.MailboxTransportMaps, nil,
			"The same for single recipients, asked for by name without extension; others have mailbox_transport. A pattern may not have $1 in its text.").Also("mailbox_transport_maps"),
		String("local.fallback_transport", &c.FallbackTransport, "", `a transport, "name" or "name:nexthop", or empty`, checkPassTo,
			"The transport for names that are neither an alias nor a user. recipient_maps must be empty, or know them.").Also("fallback_transport"),
		Tables("local.fallback_transport_maps", &c.FallbackTransportMaps, nil, "The same for single names; others have fallback_transport.").Also("fallback_transport_maps"),
		String("local.luser_relay", &c.LuserRelay, "", "an address with macros, or empty", checkLocalMacros,
			"Who gets mail for names that are neither an alias nor a user. recipient_maps must be empty for it.").Also("luser_relay"),
		String("local.default_privs", &c.DefaultPrivs, "nobody", "user, user:group, or their numbers", nil,
			"Whose rights commands and files have that root's aliases name.").Also("default_privs"),
		String("local.command_execution_directory", &c.ExecutionDirectory, "", "a path with macros, or empty for /", checkLocalMacros, "Where commands start: \"$home\".").Also("command_execution_directory"),
		Duration("local.command_time_limit", &c.CommandTimeLimit, 1000*time.Second, time.Second, 24*time.Hour, "How long a command may take, with all that it starts, and the reader of a named pipe that mail is written to.").Also("command_time_limit"),
		Size("local.mailbox_size_limit", &c.MailboxSizeLimit, 51_200_000, 0, 1<<40, "How large a mailbox file may become. Zero is no limit.").Also("mailbox_size_limit"),
		Int("local.deliver_lock_attempts", &c.LockAttempts, 20, 1, 1000, "How often a locked mailbox is tried, at least; then the mail waits.").Also("deliver_lock_attempts"),
		Duration("local.deliver_lock_delay", &c.LockDelay, time.Second, 10*time.Millisecond, time.Minute, "How long to wait for a lock, for each attempt.").Also("deliver_lock_delay"),
		Duration("local.stale_lock_time", &c.StaleLockTime, 500*time.Second, time.Second, 24*time.Hour, "How old the file mailbox.lock must be to be taken away.").Also("stale_lock_time"),
	}
}

// details are what few hosts set.
func (c *Local) details() []Param {
	filter := func(name string, field *string, what string) Param {
		return String("local."+name, field, plainValue, "characters", checkLine, "The characters that "+what+" may have by a macro; others are \"_\".").Also(name)
	}
	return []Param{
		List("local.prepend_delivered_header", &c.PrependDelivered, []string{"command", "file", "forward"}, "command, file, forward", func(s string) error {
			if s == "command" || s == "file" || s == "forward" {
				return nil
			}
			return fmt.Errorf("%q is none of command, file, forward", s)
		}, "Which deliveries put Delivered-To on top of the message: to commands, to mailboxes, and what is sent on. Without it for what is sent on mail may go in circles.").Also("prepend_delivered_header"),
		Bool("local.owner_request_special", &c.OwnerRequestSpecial, true,
			"The alias owner-NAME owns the list NAME: its mail is sent on with that sender. Such names, and NAME-request, are whole where main.recipient_delimiter is \"-\".").Also("owner_request_special"),
		Bool("local.expand_owner_alias", &c.ExpandOwnerAlias, false, "The sender is the address that owner-NAME stands for, when it is one, and not owner-NAME.").Also("expand_owner_alias"),
		Bool("local.reset_owner_alias", &c.ResetOwnerAlias, false,
			"An alias within a list, which has no owner itself, has none: its users get the message at once. Else each user of an owned list gets one of his own by the queue, so that what fails for one is tried again for him alone.").Also("reset_owner_alias"),
		Bool("local.strict_mailbox_ownership", &c.StrictOwnership, true, "Mail waits when a mailbox file is another user's.").Also("strict_mailbox_ownership"),
		Bool("local.require_home_directory", &c.RequireHome, false, "Mail waits while a user's home is not there, such as one on another host.").Also("require_home_directory"),
		String("local.local_command_shell", &c.CommandShell, "", "a program and its arguments, or empty", checkLine,
			"The shell that runs each command: \"/usr/lib/sm.bin/smrsh -c\". Empty is /bin/sh where a command needs one, and none else.").Also("local_command_shell"),
		Int("local.alias_expansion_limit", &c.AliasLimit, 10_000, 100, 1_000_000,
			"How many addresses, commands and files one recipient may stand for, with all aliases, lists and .forward files on the way. Beyond it nothing is delivered, and the sender gets the message back (5.2.4). Each takes about 400 octets of memory while the message is delivered."),
		filter("forward_expansion_filter", &c.ForwardFilter, "paths of forward_path"),
		filter("command_expansion_filter", &c.CommandFilter, "variables of commands, and luser_relay,"),
		filter("execution_directory_expansion_filter", &c.DirectoryFilter, "command_execution_directory"),
	}
}

// checkPassTo accepts a transport with a nexthop.
func checkPassTo(s string) error {
	name, nexthop, _ := strings.Cut(s, ":")
	if s == "" {
		return nil
	}
	if err := checkTransportName(name); err != nil {
		return err
	}
	return checkLine(nexthop)
}

// passable says why local may not hand mail to a transport: there is none of the name, or mail would come back, or
// not be durable.
func (c *Config) passable(transport string) error {
	for _, t := range c.Transports() {
		switch {
		case t.Name != transport:
		case t.Agent == "local" || t.Agent == "virtual":
			return fmt.Errorf("the transport %s has the agent %s, to which no mail of users here can be handed", transport, t.Agent)
		default:
			return nil
		}
	}
	return fmt.Errorf("there is no transport %q", transport)
}

// PassTo says whether the agent local may hand mail to a transport.
func (c *Config) PassTo(transport string) bool { return c.passable(transport) == nil }

// handedTo says that local may hand mail to a transport.
func (c *Local) handedTo(name string) bool {
	if len(c.MailboxTransportMaps)+len(c.FallbackTransportMaps) > 0 {
		return true
	}
	for _, s := range []string{c.MailboxTransport, c.FallbackTransport} {
		if to, _, _ := strings.Cut(s, ":"); to == name {
			return true
		}
	}
	return false
}

// localMistakes are those that one parameter alone does not show.
func (c *Config) localMistakes(mistake func(param, format string, args ...any)) {
	for param, s := range map[string]string{"local.mailbox_transport": c.Local.MailboxTransport, "local.fallback_transport": c.Local.FallbackTransport} {
		if name, _, _ := strings.Cut(s, ":"); s != "" {
			if err := c.passable(name); err != nil {
				mistake(param, "%w", err)
			}
		}
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
