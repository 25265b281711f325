package mailstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"toastmaster/internal/spool"
	"toastmaster/mailstore/maildir"
)

// Principal is who a session acts for: somebody who has logged in. Rights are given
// to the address of the account.
type Principal struct {
	// Account is the principal's own mail.
	Account Account
}

// Session is what somebody who has logged in sees of the store: one tree of names,
// over the principal's own account and over those of the store's namespaces. Names
// are UTF-8, with Separator between levels; "INBOX" in any case. It belongs to one
// goroutine.
type Session struct {
	store *Store
	who   Principal
	own   *User
	// others are accounts of namespaces, by home, from when a name first led there.
	others map[string]*User
}

// Session opens the principal's mail, creating the Maildir if it is missing. Close it
// at the end.
func (s *Store) Session(ctx context.Context, p Principal) (*Session, error) {
	own, err := s.User(ctx, p.Account)
	if err != nil {
		return nil, err
	}
	return &Session{store: s, who: p, own: own}, nil
}

// Close ends the session; its selections must be closed before.
func (s *Session) Close() error {
	errs := []error{s.own.Close()}
	for _, u := range s.others {
		errs = append(errs, u.Close())
	}
	s.others = nil
	return errors.Join(errs...)
}

// Separator is the hierarchy separator, a parameter of the store.
func (s *Session) Separator() rune { return s.store.vol.Separator }

// Room is Store.Room for what a user stores (APPEND): ErrLittleRoom when it would
// leave less than store.min_free.
func (s *Session) Room(size int64) error { return s.store.roomFor(size) }

// Spool is the store's.
func (s *Session) Spool() *spool.Dir { return s.store.Spool() }

// NamespacePrefix is a namespace as a session tells it (RFC 2342).
type NamespacePrefix struct {
	Kind   NamespaceKind
	Prefix string
}

// Namespaces are those of the session, the personal one first.
func (s *Session) Namespaces() []NamespacePrefix {
	all := []NamespacePrefix{{Kind: Personal}}
	for i := range s.store.namespaces {
		all = append(all, NamespacePrefix{s.store.namespaces[i].Kind, s.store.namespaces[i].Prefix})
	}
	return all
}

// Resolve finds the place of a name, whether there is a mailbox or not, if the
// principal has there what need says. This is the one place where rights are looked
// at; who does something with a mailbox has it from here. ErrNoPermission when the
// principal sees that there is something, but may do less; ErrNotFound when it may
// not even know.
func (s *Session) Resolve(ctx context.Context, name string, need Rights) (Mailbox, error) {
	m, err := s.locate(ctx, s.own.canonical(name))
	switch {
	case err != nil:
		return Mailbox{}, err
	case !m.rights.Allow(RightLookup):
		return Mailbox{}, ErrNotFound
	case !m.rights.Allow(need):
		return Mailbox{}, fmt.Errorf("%w: %q: %s is needed, and there is %s", ErrNoPermission, name, need, m.rights)
	}
	return m, nil
}

func (s *Session) locate(ctx context.Context, name string) (Mailbox, error) {
	n, rest := s.store.namespaceOf(name)
	if n == nil {
		return Mailbox{session: s, user: s.own, prefix: "", inner: name, rights: AllRights}, nil
	}
	mounts, err := n.Accounts(ctx, s.who)
	if err != nil {
		return Mailbox{}, err
	}
	mount, inner, there := find(mounts, rest, string(s.Separator()))
	switch {
	case !there && rest != "":
		return Mailbox{}, ErrNotFound
	case inner == "": // a level above mailboxes
		return Mailbox{session: s, prefix: name, rights: RightLookup}, nil
	}
	if _, err := maildir.FolderDir(inner, s.Separator()); err != nil {
		return Mailbox{}, fmt.Errorf("%w: %q", ErrInvalidName, name)
	}
	user, err := s.account(mount.Account)
	if err != nil {
		return Mailbox{}, err
	}
	m := Mailbox{session: s, user: user, inner: user.canonical(inner)}
	m.prefix = name[:len(name)-len(inner)]
	m.rights, err = n.Rights(ctx, s.who, mount.Account, m.inner)
	return m, err
}

// account opens the account of a mount, once. One that was removed and made anew is
// opened anew.
func (s *Session) account(a Account) (*User, error) {
	if a.Home == s.who.Account.Home {
		return s.own, nil
	}
	if u := s.others[a.Home]; u != nil {
		if !u.acct.records.Removed() {
			return u, nil
		}
		delete(s.others, a.Home)
		if err := u.Close(); err != nil {
			return nil, err
		}
	}
	acct, err := s.store.acquireExisting(a)
	if err != nil {
		return nil, err
	}
	if acct == nil {
		return nil, ErrNotFound
	}
	if s.others == nil {
		s.others = map[string]*User{}
	}
	s.others[a.Home] = &User{account: a, acct: acct}
	return s.others[a.Home], nil
}

// Subscribe is for a mailbox that exists. Subscriptions are the principal's, wherever
// the mailbox lies.
func (s *Session) Subscribe(ctx context.Context, m Mailbox) error {
	if m.user == s.own {
		return s.own.Subscribe(ctx, m.inner, true)
	}
	there, err := m.exists()
	if err != nil {
		return err
	}
	if !there {
		return ErrNotFound
	}
	return s.own.acct.SubscribeElsewhere(ctx, m.Name())
}

// Unsubscribe takes a subscription away; there need be neither a mailbox nor any right.
func (s *Session) Unsubscribe(ctx context.Context, name string) error {
	return s.own.Subscribe(ctx, name, false)
}

// List returns the folders of all namespaces that the principal may see, as User.List
// does for one account: INBOX first, then the principal's own, then the others'. What
// of a namespace cannot be listed is said in the log, once.
func (s *Session) List(ctx context.Context) ([]Folder, error) {
	own, err := s.own.List(ctx)
	if err != nil || len(s.store.namespaces) == 0 {
		return own, err
	}
	l := gathering{sep: string(s.Separator()), at: map[string]int{}, subscribed: map[string]bool{}}
	for _, f := range own {
		if n, _ := s.store.namespaceOf(f.Name); n == nil {
			l.add(f)
		} else if f.Subscribed {
			l.subscribed[f.Name] = true
		}
	}
	for i := len(s.store.namespaces) - 1; i >= 0; i-- { // shorter prefixes first
		n := &s.store.namespaces[i]
		if err := s.listNamespace(ctx, n, &l); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			s.store.vol.SayOnce(n.Prefix, "a namespace that cannot be listed is left out", err)
		}
	}
	l.addSubscribed()
	return l.folders, nil
}

func (s *Session) listNamespace(ctx context.Context, n *Namespace, l *gathering) error {
	mounts, err := n.Accounts(ctx, s.who)
	if err != nil {
		return err
	}
	var errs []error
	for _, mount := range mounts {
		prefix := n.Prefix
		if mount.Below != "" {
			prefix += mount.Below + l.sep
		}
		if err := s.listAccount(ctx, n, mount.Account, prefix, l); err != nil && !errors.Is(err, ErrNotFound) {
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func (s *Session) listAccount(ctx context.Context, n *Namespace, owner Account, prefix string, l *gathering) error {
	user, err := s.account(owner)
	if err != nil {
		return err
	}
	folders, err := user.List(ctx)
	if err != nil {
		return err
	}
	for _, f := range folders {
		if f.NoSelect { // made anew for those that are seen
			continue
		}
		rights, err := n.Rights(ctx, s.who, owner, f.Name)
		if err != nil {
			return err
		}
		if rights.Allow(RightLookup) {
			l.addBelow(Folder{Name: prefix + f.Name})
		}
	}
	return nil
}

// gathering is the list of a session while it is made.
type gathering struct {
	sep     string
	folders []Folder
	at      map[string]int // by name
	// subscribed are names outside of the principal's own account.
	subscribed map[string]bool
}

// add adds a folder, or makes the parent that stands for it one.
func (l *gathering) add(f Folder) *Folder {
	i, ok := l.at[f.Name]
	if !ok {
		i = len(l.folders)
		l.at[f.Name], l.folders = i, append(l.folders, f)
	} else if !f.NoSelect {
		l.folders[i].NoSelect = false
	}
	g := &l.folders[i]
	if l.subscribed[f.Name] {
		g.Subscribed = true
	}
	return g
}

// addBelow adds a folder of others, and before it the levels above it that are
// missing.
func (l *gathering) addBelow(f Folder) {
	for i := range f.Name {
		if i > 0 && strings.HasPrefix(f.Name[i:], l.sep) {
			l.add(Folder{Name: f.Name[:i], NoSelect: true}).HasChildren = true
		}
	}
	l.add(f)
}

// addSubscribed adds the subscriptions whose mailbox is gone, or not to be seen any
// more.
func (l *gathering) addSubscribed() {
	for _, name := range slices.Sorted(maps.Keys(l.subscribed)) {
		l.add(Folder{Name: name, NoSelect: true})
	}
}
