package pickup

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/hostuser"
)

// user is a user of this host, who may have no name.
type user struct {
	uid  int
	name string
}

// unknownUser is the name that Postfix gives to who has none.
const unknownUser = "unknown"

// userOf is the user of a number.
func userOf(uid int) (user, error) {
	u, err := hostuser.FindID(uid)
	if err != nil && !errors.Is(err, hostuser.ErrNoUser) {
		return user{uid: uid}, dsn.Wrap(dsn.MailSystem, "Temporary lookup failure", err)
	}
	return user{uid, u.Name}, nil
}

// trusted says that it is root, or the user that serves.
func (u user) trusted() bool { return u.uid == 0 || u.uid == os.Geteuid() }

// key is how the user is looked up in local_login_sender_maps.
func (u user) key() string {
	if u.name == "" {
		return "uid:" + strconv.Itoa(u.uid)
	}
	return u.name
}

// address is that of the user at this host.
func (u user) address(hostname string) addr.Address {
	name := u.name
	if name == "" {
		name = unknownUser
	}
	return addr.Address{Local: name, Domain: hostname}
}

// users is a list of users; the first item that fits counts.
type users []userItem

type userItem struct {
	not   bool
	who   string
	table tables.Table // nil: who is a name, a number, or everybody
}

// openUsers reads a list.
func openUsers(ctx context.Context, set *tables.Set, items []string) (users, error) {
	var list users
	for _, item := range items {
		i := userItem{}
		i.who, i.not = configs.ParseUserItem(item)
		if strings.Contains(i.who, ":") && !strings.HasPrefix(i.who, "uid:") && i.who != configs.AnyUser {
			t, err := set.Open(ctx, i.who)
			if err != nil {
				return nil, err
			}
			i.table = t
		}
		list = append(list, i)
	}
	return list, nil
}

// has says whether a user is in the list. An error is that of a table.
func (l users) has(ctx context.Context, u user) (bool, error) {
	for _, i := range l {
		name := u.name
		if name == "" {
			name = unknownUser
		}
		if i.table == nil {
			if i.who == configs.AnyUser || i.who == name || i.who == "uid:"+strconv.Itoa(u.uid) {
				return !i.not, nil
			}
			continue
		}
		switch _, err := i.table.Lookup(ctx, name); {
		case err == nil:
			return !i.not, nil
		case directory.OutcomeOf(err) != directory.NotFound:
			return u.trusted(), dsn.Wrap(dsn.MailSystem, "Temporary lookup failure", err)
		}
	}
	return u.trusted(), nil
}

// maySend says whether a user may write as a sender: local_login_sender_maps.
func (s *Service) maySend(ctx context.Context, u user, sender addr.Address) *dsn.Error {
	text, err := s.now.Load().senders.Lookup(ctx, u.key())
	switch {
	case err != nil && directory.OutcomeOf(err) == directory.NotFound:
		text = ""
	case err != nil:
		return dsn.Wrap(dsn.MailSystem, "Temporary lookup failure", err)
	}
	for pattern := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' }) {
		if s.fits(pattern, sender) {
			return nil
		}
	}
	return dsn.Newf(dsn.Policy, "%s: Sender address rejected: not owned by user %s", sender.Path(), u.key())
}

// fits says that a pattern of local_login_sender_maps is for a sender.
func (s *Service) fits(pattern string, sender addr.Address) bool {
	switch domain, ofDomain := strings.CutPrefix(pattern, "@"); {
	case pattern == "*":
		return true
	case sender.IsNull():
		return pattern == s.now.Load().params.EmptySenderKey
	case ofDomain:
		return strings.EqualFold(domain, sender.Domain)
	}
	a, err := addr.Parse(pattern)
	if err != nil {
		return false
	}
	if a.Domain == "" {
		a = a.WithDomain(s.o.Hostname)
	}
	return a.Equal(sender)
}
