package mailstore

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/maildir"
)

const (
	subscriptionsFile = "subscriptions"
	// specialUseFile has a line "attribute TAB name in modified UTF-7" for
	// each mailbox whose use was set at CREATE; "-" takes a default away.
	specialUseFile = "toastmaster.special-use"
)

// Subscribe and unsubscribe; the mailbox need not exist to unsubscribe.
func (u *User) Subscribe(ctx context.Context, name string, on bool) error {
	a := u.acct
	name = u.canonical(name)
	dir, err := a.folderDir(name)
	if err != nil {
		return err
	}
	if err := a.lock(); err != nil {
		return err
	}
	defer a.mu.Unlock()
	if on {
		there, err := a.hasFolder(dir)
		if err != nil {
			return storeError(err)
		}
		if !there {
			there, err = a.isPending(dir)
		}
		if err != nil || !there {
			return cmp.Or(storeError(err), ErrNotFound)
		}
	}
	names, err := a.subscriptions()
	if err != nil {
		return storeError(err)
	}
	if slices.Contains(names, name) == on {
		return nil
	}
	if on {
		if len(names) >= a.store.cfg.MaxSubscriptions {
			return ErrTooManySubscriptions
		}
		names = append(names, name)
	} else {
		names = slices.DeleteFunc(names, func(n string) bool { return n == name })
	}
	return storeError(a.writeSubscriptions(names))
}

// subscriptions are the names in the file; without one, those of the default
// folders.
func (a *account) subscriptions() ([]string, error) {
	data, err := readFile(a.store.fs, filepath.Join(a.home, subscriptionsFile))
	if err != nil {
		return nil, err
	}
	if data == nil {
		return a.defaults()
	}
	return maildir.ParseSubscriptions(data, a.store.sep), nil
}

func (a *account) writeSubscriptions(names []string) error {
	defer a.store.points.note()
	return a.writeFile(subscriptionsFile, maildir.AppendSubscriptions(nil, names, a.store.sep))
}

// specialUse says what mailboxes are for.
type specialUse map[string]imap.MailboxAttr

// of gives the use that was set for a name, or the usual one of a name at the
// top that no other mailbox was named for.
func (u specialUse) of() func(name string) imap.MailboxAttr {
	usual := map[string]imap.MailboxAttr{
		"drafts": imap.MailboxAttrDrafts, "sent": imap.MailboxAttrSent, "junk": imap.MailboxAttrJunk,
		"trash": imap.MailboxAttrTrash, "archive": imap.MailboxAttrArchive,
	}
	taken := map[imap.MailboxAttr]bool{}
	for _, set := range u {
		taken[set] = true
	}
	return func(name string) imap.MailboxAttr {
		if set, ok := u[name]; ok {
			return set
		}
		if use := usual[strings.ToLower(name)]; !taken[use] {
			return use
		}
		return ""
	}
}

func (a *account) specialUses() (specialUse, error) {
	data, err := readFile(a.store.fs, filepath.Join(a.home, specialUseFile))
	if err != nil {
		return nil, err
	}
	uses := specialUse{}
	for line := range strings.Lines(string(data)) {
		attr, code, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		name, valid := maildir.FolderName("."+code, a.store.sep)
		if !ok || !valid {
			continue
		}
		if attr == "-" {
			attr = ""
		}
		uses[name] = imap.MailboxAttr(attr)
	}
	return uses, nil
}

// setSpecialUse sets or, with "", forgets the use of a mailbox; a.mu is held.
func (a *account) setSpecialUse(name string, use imap.MailboxAttr) error {
	uses, err := a.specialUses()
	if use == "" {
		err = a.passOver(specialUseFile, err)
	}
	if err != nil {
		return err
	}
	if _, set := uses[name]; use == "" && !set {
		return nil
	}
	delete(uses, name)
	if use != "" {
		uses[name] = use
	}
	return a.writeSpecialUses(uses)
}

func (a *account) writeSpecialUses(uses specialUse) error {
	var lines []string
	for name, use := range uses {
		dir, err := maildir.FolderDir(name, a.store.sep)
		if err != nil || dir == "" {
			continue
		}
		if use == "" {
			use = "-"
		}
		lines = append(lines, string(use)+"\t"+dir[1:]+"\n")
	}
	slices.Sort(lines)
	defer a.store.points.note()
	return a.writeFile(specialUseFile, []byte(strings.Join(lines, "")))
}

// moveSpecialUse renames entries with their mailboxes.
func (a *account) moveSpecialUse(from, to string) error {
	uses, err := a.specialUses()
	if err = a.passOver(specialUseFile, err); err != nil || len(uses) == 0 {
		return err
	}
	sep := string(a.store.sep)
	moved := specialUse{}
	for name, use := range uses {
		if rest, ok := strings.CutPrefix(name+sep, from+sep); ok {
			name = strings.TrimSuffix(to+sep+rest, sep)
		}
		moved[name] = use
	}
	return a.writeSpecialUses(moved)
}
