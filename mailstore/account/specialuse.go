package account

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/volume"
)

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

func (a *Account) specialUses() (specialUse, error) {
	data, err := volume.ReadFile(a.vol.FS, filepath.Join(a.home, specialUseFile))
	if err != nil {
		return nil, err
	}
	uses := specialUse{}
	for line := range strings.Lines(string(data)) {
		attr, code, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		name, valid := maildir.FolderName("."+code, a.vol.Separator)
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

// SetSpecialUse sets or, with "", forgets the use of a mailbox; a.mu is held.
func (a *Account) SetSpecialUse(name string, use imap.MailboxAttr) error {
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

func (a *Account) writeSpecialUses(uses specialUse) error {
	var lines []string
	for name, use := range uses {
		dir, err := maildir.FolderDir(name, a.vol.Separator)
		if err != nil || dir == "" {
			continue
		}
		if use == "" {
			use = "-"
		}
		lines = append(lines, string(use)+"\t"+dir[1:]+"\n")
	}
	slices.Sort(lines)
	defer a.vol.Points.Changed()
	return a.writeFile(specialUseFile, []byte(strings.Join(lines, "")))
}

// MoveSpecialUse renames entries with their mailboxes.
func (a *Account) MoveSpecialUse(from, to string) error {
	uses, err := a.specialUses()
	if err = a.passOver(specialUseFile, err); err != nil || len(uses) == 0 {
		return err
	}
	sep := string(a.vol.Separator)
	moved := specialUse{}
	for name, use := range uses {
		if rest, ok := strings.CutPrefix(name+sep, from+sep); ok {
			name = strings.TrimSuffix(to+sep+rest, sep)
		}
		moved[name] = use
	}
	return a.writeSpecialUses(moved)
}
