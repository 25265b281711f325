package configs

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// PickupSocket is the name of the socket in pickup.directory.
const PickupSocket = "pickup"

// Pickup is the section [pickup]: mail of programs of this host.
type Pickup struct {
	Directory       string
	SubmitUsers     []string
	FlushUsers      []string
	MailqUsers      []string
	LoginSenderMaps []string
	EmptySenderKey  string
	WakeupTime      time.Duration
	Timeout         time.Duration
	DrainTimeout    time.Duration
	MaxConnections  int
	MaxUser         int
	BatchLimit      int
}

func (c *Pickup) params() []Param {
	users := func(name string, field *[]string, text, postfix string) Param {
		p := List("pickup."+name, field, []string{"static:anyone"}, `user names, "uid:" and a number, lookup tables "type:argument", static:anyone, "!" before who is not meant`, checkUserItem, text).Also(postfix)
		p.Tables = func() []string {
			var names []string
			for _, item := range *field {
				if who, _ := ParseUserItem(item); strings.Contains(who, ":") && !strings.HasPrefix(who, "uid:") && who != AnyUser {
					names = append(names, who)
				}
			}
			return names
		}
		return p
	}
	maps := List("pickup.local_login_sender_maps", &c.LoginSenderMaps, []string{"static:*"}, `lookup tables "type:argument"`, checkTable,
		`Which envelope senders a user of this host may write as, by the login name, or "uid:" and the number of who has none: "*" for all, "user@domain", "@domain", "user" of this host, "<>" for the null sender, separated by blanks or commas (Postfix local_login_sender_maps). Who is in no table writes as nobody. The owner of the file or the peer of the socket counts, not what the message says.`)
	maps.Tables = func() []string { return c.LoginSenderMaps }
	return []Param{
		String("pickup.directory", &c.Directory, "public", "a folder, or empty", nil,
			"The folder in which programs of this host find the service: the socket pickup, and the folder drop, where sendmail leaves a message while nobody answers. It is made at the start, with its rights. Who is to send mail must be able to enter it, and the folders above it: one below a main.data_dir that is closed to others is for the service's user and root alone. sendmail finds it by the configuration; who may not read that finds public beside it, and /var/spool/toastmaster. Empty has neither, and sendmail submits by SMTP."),
		users("authorized_submit_users", &c.SubmitUsers, "Who may hand in mail with sendmail (Postfix authorized_submit_users). The first item that fits counts; root and the service's user always may.", "authorized_submit_users"),
		users("authorized_flush_users", &c.FlushUsers, "Who may have the queue tried again: sendmail -q, -qI, -qR (Postfix authorized_flush_users). Root and the service's user always may.", "authorized_flush_users"),
		users("authorized_mailq_users", &c.MailqUsers, "Who may see the queue: mailq, sendmail -bp (Postfix authorized_mailq_users). Root and the service's user always may.", "authorized_mailq_users"),
		maps.Also("local_login_sender_maps"),
		String("pickup.empty_address_local_login_sender_maps_lookup_key", &c.EmptySenderKey, "<>", "a text", nil,
			"What stands for the null sender in the answers of pickup.local_login_sender_maps (Postfix empty_address_local_login_sender_maps_lookup_key)."),
		Duration("pickup.wakeup_time", &c.WakeupTime, time.Minute, time.Second, time.Hour,
			"How often the folder drop is looked at, and after how long what the queue could not take is tried again for the first time (the wake-up time of pickup in Postfix's master.cf). It is looked at once at the start."),
		Duration("pickup.timeout", &c.Timeout, 5*time.Minute, time.Second, time.Hour,
			"How long a program may take to hand a message to the socket."),
		Duration("pickup.drain_timeout", &c.DrainTimeout, 10*time.Second, 0, time.Hour,
			"How long a stop waits for messages that are being handed in."),
		Int("pickup.max_connections", &c.MaxConnections, 200, 1, 100_000,
			"Connections to the socket at once. sendmail leaves its message in drop when there is none."),
		Int("pickup.max_connections_per_user", &c.MaxUser, 50, 1, 100_000,
			"Connections to the socket at once of one user of this host; root and the service's user are exempt."),
		Int("pickup.batch_limit", &c.BatchLimit, 100, 1, 100_000,
			"How many messages of one user are taken from drop in a row, before those of others have their turn."),
	}
}

// Socket is the address of the socket, "" for none.
func (c *Pickup) Socket() []string {
	if c.Directory == "" {
		return nil
	}
	return []string{"unix:" + filepath.Join(c.Directory, PickupSocket)}
}

// AnyUser is everybody in a list of users.
const AnyUser = "static:anyone"

// ParseUserItem reads an item of a list of users: "!" before one that is not meant.
func ParseUserItem(s string) (who string, not bool) {
	who, not = strings.CutPrefix(strings.TrimSpace(s), "!")
	return strings.TrimSpace(who), not
}

func checkUserItem(s string) error {
	who, _ := ParseUserItem(s)
	switch number, isNumber := strings.CutPrefix(who, "uid:"); {
	case who == "":
		return errors.New("empty user")
	case isNumber:
		if _, err := strconv.ParseUint(number, 10, 32); err != nil {
			return errors.New("no number of a user")
		}
	case strings.Contains(who, ":") && who != AnyUser:
		return checkTable(who)
	case strings.ContainsAny(who, " \t,/"):
		return errors.New("no name of a user")
	}
	return nil
}
