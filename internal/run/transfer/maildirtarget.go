package transfer

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"toastmaster/admin/model"
	"toastmaster/internal/plainmaildir"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/maildir"
)

// Files of a Maildir++ tree.
const (
	keywordsFile      = "dovecot-keywords"
	moreKeywordsFile  = "toastmaster.keywords"
	subscriptionsFile = "subscriptions"
	uidListFile       = "dovecot-uidlist"
	folderMark        = "maildirfolder"
	// exportMark says whose mail a tree has; it is not gone on with another's.
	exportMark = "toastmaster-export"
	separator  = '/'
	// maxSmallFile is how much of a small file is read.
	maxSmallFile = 64 << 20
)

// maildirTarget is a Maildir++ tree that is written.
type maildirTarget struct {
	fs      vfs.FS
	root    string
	locked  *os.File
	current *maildirFolder
}

// maildirFolder is a folder of it that is being written.
type maildirFolder struct {
	*plainmaildir.Folder
	path string
	info model.MailFolder
	// keywords are those with a letter, and behind them those without. dirty: they are
	// not written.
	keywords []string
	dirty    bool
	more     []byte // lines of toastmaster.keywords
	uids     maildir.UIDList
}

// openMaildirTarget makes the tree, or goes on with one that an export of the same
// mailbox has made.
func openMaildirTarget(o *ExportOptions) (*maildirTarget, error) {
	root, err := ownPlace(o.To)
	if err != nil {
		return nil, err
	}
	t := &maildirTarget{fs: vfs.OS{}, root: root}
	if err := os.Mkdir(t.root, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := plainmaildir.Ours(t.fs, t.root); err != nil {
		return nil, fmt.Errorf("%w: export to a folder of your own, mode 0700, and give it away afterwards", err)
	}
	if t.locked, err = os.Open(t.root); err != nil {
		return nil, err
	}
	if err := errors.Join(lock(t.locked), t.claim(o.Address)); err != nil {
		return nil, errors.Join(err, t.locked.Close())
	}
	return t, nil
}

// claim says whose mail the tree has, or finds that it is so.
func (t *maildirTarget) claim(address string) error {
	mark := filepath.Join(t.root, exportMark)
	want := "1 " + address + "\n"
	inside, err := os.ReadDir(t.root)
	if err != nil {
		return err
	}
	if len(inside) == 0 {
		return vfs.Replace(t.fs, mark, []byte(want))
	}
	text, err := readSmall(mark)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s has %s in it, and no export made it: name a folder that is new", t.root, inside[0].Name())
	case err != nil:
		return err
	case string(text) != want:
		return fmt.Errorf("%s has the mail of %s: name another folder", t.root, strings.TrimSpace(strings.TrimPrefix(string(text), "1 ")))
	}
	return nil
}

// readSmall reads a file of the tree, and no link.
func readSmall(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSmallFile))
}

func (t *maildirTarget) folder(f model.MailFolder) error {
	dir, err := maildir.FolderDir(f.Name, separator)
	if err != nil {
		return fmt.Errorf("folder %q: %w", f.Name, err)
	}
	path := filepath.Join(t.root, dir)
	folder, err := plainmaildir.Open(t.fs, path)
	if err != nil {
		return err
	}
	c := &maildirFolder{Folder: folder, path: path, info: f, uids: maildir.UIDList{UIDValidity: f.UIDValidity, NextUID: f.UIDNext}}
	t.current = c
	if dir != "" {
		if err := t.once(filepath.Join(path, folderMark)); err != nil {
			return err
		}
	}
	text, err := readSmall(filepath.Join(path, keywordsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c.keywords = maildir.ParseKeywords(text)
	text, err = readSmall(filepath.Join(path, moreKeywordsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	more := maildir.ParseMoreKeywords(text, maxKeywords)
	for n, name := range more.Names {
		for len(c.keywords) <= n {
			c.keywords = append(c.keywords, "")
		}
		c.keywords[n] = name
	}
	return nil
}

// maxKeywords bounds what is read of another program's file.
const maxKeywords = 10000

func (t *maildirTarget) once(path string) error {
	_, err := t.fs.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = vfs.Replace(t.fs, path, nil)
	}
	return err
}

// number is that of a keyword, which gets one. A gap is another program's.
func (c *maildirFolder) number(keyword string) int {
	for i, name := range c.keywords {
		if strings.EqualFold(name, keyword) {
			return i
		}
	}
	c.keywords = append(c.keywords, keyword)
	c.dirty = true
	return len(c.keywords) - 1
}

// letters are the flags of a message in its name, others the numbers of the keywords
// that have no letter.
func (c *maildirFolder) letters(m *model.MailMessage) (letters string, others []int) {
	var flags maildir.Flags
	for _, f := range m.Flags {
		if l := letterOf(f); l != 0 {
			flags |= maildir.ParseFlags(string(l))
		} else if maildir.ValidKeyword(f) {
			if n := c.number(f); n < maildir.MaxKeywords {
				flags |= 1 << n
			} else {
				others = append(others, n)
			}
		}
	}
	return string(flags.Append(nil)), others
}

// name is the base name of a message. One that another program made, which no file of
// this tree can have, gets one of its own.
func (c *maildirFolder) name(m *model.MailMessage) string {
	if plainmaildir.ValidName(m.Name) {
		return m.Name
	}
	sum := sha256.Sum256([]byte(m.Name))
	return maildir.BaseName(m.Date.Unix(), fmt.Sprintf("X%x_", sum[:16]), strconv.FormatUint(uint64(c.info.UIDValidity), 10), m.Size, m.Size)
}

func (t *maildirTarget) has(m *model.MailMessage) (bool, error) {
	c := t.current
	base := c.name(m)
	c.uids.Entries = append(c.uids.Entries, maildir.UIDEntry{UID: m.UID, Base: base, Stored: -1, Wire: -1})
	letters, others := c.letters(m)
	c.more = maildir.AppendMessageKeywords(c.more, base, others)
	if !c.Has(base) {
		return false, nil
	}
	if err := c.writeKeywords(t.fs); err != nil {
		return false, err
	}
	_, err := c.SetFlags(base, letters)
	return true, err
}

func (t *maildirTarget) put(m *model.MailMessage, _ int64, content io.Reader) error {
	letters, _ := t.current.letters(m)
	return t.current.Put(t.current.name(m), letters, m.Date, content)
}

// commit writes what the letters mean before the names that have them.
func (t *maildirTarget) commit() error {
	if err := t.current.writeKeywords(t.fs); err != nil {
		return err
	}
	return t.current.Commit()
}

func (c *maildirFolder) writeKeywords(fsys vfs.FS) error {
	if !c.dirty {
		return nil
	}
	text := maildir.AppendKeywords(nil, c.keywords[:min(len(c.keywords), maildir.MaxKeywords)])
	if err := vfs.Replace(fsys, filepath.Join(c.path, keywordsFile), text); err != nil {
		return err
	}
	c.dirty = false
	return nil
}

// done makes durable what flags were changed, and writes the small files of a folder.
func (t *maildirTarget) done() error {
	c := t.current
	if err := t.commit(); err != nil {
		return err
	}
	if len(c.keywords) > maildir.MaxKeywords {
		text := append(maildir.AppendMoreKeywords(nil, c.keywords), c.more...)
		if err := vfs.Replace(t.fs, filepath.Join(c.path, moreKeywordsFile), text); err != nil {
			return err
		}
	}
	return t.uidList()
}

// uidList writes the UIDs for Dovecot, unless that or another program has given some
// here that are not ours.
func (t *maildirTarget) uidList() error {
	c := t.current
	path := filepath.Join(c.path, uidListFile)
	text, err := readSmall(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ours := map[uint32]string{}
	for _, e := range c.uids.Entries {
		ours[e.UID] = e.Base
	}
	if len(text) > 0 {
		old, err := maildir.ParseUIDList(text)
		if err != nil || old.UIDValidity != c.uids.UIDValidity {
			return nil
		}
		for _, e := range old.Entries {
			base, known := ours[e.UID]
			if known && base != e.Base || !known && e.UID >= c.uids.NextUID {
				return nil
			}
		}
	}
	c.uids.NextUID = max(c.uids.NextUID, 1)
	next := c.uids.Append(nil)
	if bytes.Equal(next, text) {
		return nil
	}
	return vfs.Replace(t.fs, path, next)
}

func (t *maildirTarget) finish(folders []model.MailFolder) error {
	var names []string
	for _, f := range folders {
		if f.Subscribed {
			names = append(names, f.Name)
		}
	}
	text := maildir.AppendSubscriptions(nil, names, separator)
	if err := vfs.Replace(t.fs, filepath.Join(t.root, subscriptionsFile), text); err != nil {
		return err
	}
	// The names of the folders, and of the tree.
	return errors.Join(t.fs.SyncDir(t.root), t.fs.SyncDir(filepath.Dir(t.root)))
}

func (t *maildirTarget) close() error { return t.locked.Close() }
