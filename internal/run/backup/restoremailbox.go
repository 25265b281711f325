package backup

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"toastmaster/configs"
	archive "toastmaster/internal/backup"
	"toastmaster/internal/vfs"
)

// restoredFolder is the folder of a mailbox that gets what is restored: nothing of the
// mailbox itself is touched, and its owner takes from there what is wanted.
const restoredFolder = ".Restored"

// keywordsFile says what the keyword letters of a folder's messages mean.
const keywordsFile = "dovecot-keywords"

// mailboxRestore is the restore of one mailbox under way. It adds files to a Maildir as
// any delivery agent may, while the service runs, which finds them as it finds those of
// others; that it does not know the backup is the service's safety (decision 0023).
type mailboxRestore struct {
	b       *archive.Backup
	section string
	// entries are those of the section, by path.
	entries map[string]*archive.Entry
	home    string
	o       archive.ExtractOptions
	folders map[string]*restoredInto
	// restored and there count messages: those that are new and those that were in
	// their folder already.
	restored, there int
}

// restoredInto is a folder that messages are restored into.
type restoredInto struct {
	dir   string
	bases map[string]bool
	// keywords: letters mean the same as in the backup.
	keywords bool
}

// MailboxOptions say which mailbox is restored, and to where.
type MailboxOptions struct {
	// From is a backup, or a folder of backups, of which the newest is taken.
	From string
	// Address is the mailbox, Home where its mail lies below the store, OldHome where it
	// lay when the backup was made.
	Address, Home, OldHome string
	// Store is the folder of the store that the instance serves which runs.
	Store string
	// To, if Store is "", is a folder for the mail as it was: one that is not there yet,
	// or has nothing in it.
	To       string
	Progress Progress
}

// MailboxRestored is what RestoreMailbox has done.
type MailboxRestored struct {
	// Backup is where the mail comes from.
	Backup *archive.Backup
	// Restored and There count messages: those that are new and those that were in their
	// folder already. With an error, too: the same call goes on.
	Restored, There int
}

// RestoreMailbox brings the mail of one mailbox back, into its folder Restored or to a
// folder. Nothing that exists is overwritten.
func RestoreMailbox(ctx context.Context, o MailboxOptions) (MailboxRestored, error) {
	done := MailboxRestored{}
	b, err := archive.Find(o.From)
	if err != nil {
		return done, err
	}
	done.Backup = b
	section, err := sectionOf(b, o)
	if err != nil {
		return done, err
	}
	total := b.Total(section)
	progress := func(n int64) {
		o.Progress(fmt.Sprintf("%s of %s", configs.FormatSize(n), configs.FormatSize(total.Bytes)), n, total.Bytes)
	}
	if o.Store == "" {
		return done, restoreMaildir(ctx, b, section, o.To, progress)
	}
	r := &mailboxRestore{b: b, section: section, home: filepath.Join(o.Store, filepath.FromSlash(o.Home)), folders: map[string]*restoredInto{}}
	err = r.prepare(o.Store)
	if err == nil {
		err = r.all(ctx, progress)
		err = errors.Join(err, archive.SyncFS(r.home))
	}
	done.Restored, done.There = r.restored, r.there
	return done, err
}

// sectionOf is the part of the backup that has a mailbox's mail.
func sectionOf(b *archive.Backup, o MailboxOptions) (string, error) {
	section := mailSection + strings.Trim(filepath.ToSlash(filepath.Clean(o.OldHome)), "/")
	if slices.Contains(b.Sections(), section) {
		return section, nil
	}
	return "", fmt.Errorf("%s has no mail of %s: nothing lies at %s in it; if its folder was another one then, --home names that", b.Path(), o.Address, section)
}

// restoreMaildir copies the mailbox as it was.
func restoreMaildir(ctx context.Context, b *archive.Backup, section, to string, progress func(int64)) error {
	inside, err := os.ReadDir(to)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(inside) > 0 {
		return fmt.Errorf("%s has %s in it: nothing is overwritten, name a folder that is new", to, inside[0].Name())
	}
	if err := roomFor(to, b.Total(section)); err != nil {
		return err
	}
	var done int64
	err = b.Extract(ctx, section, to, archive.ExtractOptions{Progress: func(c archive.Count) {
		done += c.Bytes
		progress(done)
	}})
	if err == nil {
		err = archive.SyncFS(to)
	}
	if err != nil {
		return fmt.Errorf("%s is not whole, remove it and run this again: %w", to, err)
	}
	return nil
}

// roomFor looks whether there is room for what is copied to dir, which may be missing.
func roomFor(dir string, total archive.Count) error {
	for {
		free, err := vfs.OS{}.Free(dir)
		if errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return err
		}
		if need := total.Bytes + total.Files*blockSize/2 + spareSpace; free < need {
			return fmt.Errorf("%s has %s free, and the backup needs %s", dir, configs.FormatSize(free), configs.FormatSize(need))
		}
		return nil
	}
}

// prepare reads what the backup has, and finds out whose files they will be: root gives
// them to the owner of the home, or of the store.
func (r *mailboxRestore) prepare(root string) error {
	entries, err := r.b.Entries(r.section)
	if err != nil {
		return err
	}
	r.entries = make(map[string]*archive.Entry, len(entries))
	for i := range entries {
		r.entries[entries[i].Path] = &entries[i]
	}
	if err := roomFor(r.home, r.b.Total(r.section)); err != nil {
		return err
	}
	info, err := os.Lstat(r.home)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		info, err = os.Stat(root)
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is not a folder", r.home)
	}
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		r.o = archive.ExtractOptions{Owner: true, UID: int(st.Uid), GID: int(st.Gid)}
	}
	return r.makeHome()
}

// makeHome makes the Maildir of a mailbox that never had mail, or whose mail was purged,
// with the default folders that it had. cur comes last: it says that it is whole.
func (r *mailboxRestore) makeHome() error {
	if _, err := os.Lstat(filepath.Join(r.home, "cur")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	const defaultFolders = "toastmaster.default-folders"
	return r.makeMaildir(r.home, func() error { return r.extra(defaultFolders, filepath.Join(r.home, defaultFolders)) })
}

func (r *mailboxRestore) makeMaildir(dir string, fill func() error) error {
	for _, sub := range []string{"tmp", "new"} {
		if err := r.o.MakeDirs(filepath.Join(dir, sub)); err != nil {
			return err
		}
	}
	if err := fill(); err != nil {
		return err
	}
	return r.o.MakeDirs(filepath.Join(dir, "cur"))
}

// extra copies a file that is no message, where the backup has it and dir has not.
func (r *mailboxRestore) extra(path, to string) error {
	e := r.entries[path]
	if e == nil || e.Kind != archive.File {
		return nil
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return r.file(e, to)
}

func (r *mailboxRestore) file(e *archive.Entry, to string) error {
	if err := r.b.ExtractFile(r.section, *e, to); err != nil {
		return err
	}
	if !r.o.Owner {
		return nil
	}
	return os.Lchown(to, r.o.UID, r.o.GID)
}

// all restores every message, in the order of their names, as the store orders
// what it finds: nearly that of arrival. What an earlier restore had brought is left
// out: it is in the backup twice.
func (r *mailboxRestore) all(ctx context.Context, progress func(int64)) error {
	type message struct {
		folder, sub, name string
		e                 *archive.Entry
	}
	var list []message
	for path, e := range r.entries {
		folder, sub, name, ok := messagePath(path)
		if ok && e.Kind == archive.File && folder != restoredFolder && !strings.HasPrefix(folder, restoredFolder+".") {
			list = append(list, message{folder, sub, name, e})
		}
	}
	slices.SortFunc(list, func(x, y message) int { return cmp.Or(cmp.Compare(x.folder, y.folder), cmp.Compare(x.name, y.name)) })
	var done int64
	for _, m := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.message(m.e, m.folder, m.sub, m.name); err != nil {
			return err
		}
		done += m.e.Size
		progress(done)
	}
	return nil
}

// message restores one, unless its folder has it already, whatever its flags are now.
func (r *mailboxRestore) message(e *archive.Entry, folder, sub, name string) error {
	into, err := r.into(folder)
	if err != nil {
		return err
	}
	base, info, _ := strings.Cut(name, ":")
	if into.bases[base] {
		r.there++
		return nil
	}
	part := filepath.Join(into.dir, "tmp", base)
	if err := r.file(e, part); err != nil {
		return err
	}
	final := filepath.Join(into.dir, sub, base)
	if sub == "cur" {
		final += ":" + restoredFlags(info, into.keywords)
	}
	// A link, because a rename would replace what is there.
	err = os.Link(part, final)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	into.bases[base] = true
	r.restored++
	return errors.Join(err, os.Remove(part))
}

// restoredFlags are the flags of a message in its name. \Deleted is left out, so that no
// client expunges what was just restored, and so are keywords that may mean others here.
func restoredFlags(info string, keywords bool) string {
	flags, ok := strings.CutPrefix(info, "2,")
	if !ok {
		return "2,"
	}
	return "2," + strings.Map(func(c rune) rune {
		if c == 'T' || !keywords && c >= 'a' && c <= 'z' {
			return -1
		}
		return c
	}, flags)
}

// into is the folder for the messages of a folder of the backup, which is made. INBOX is
// "".
func (r *mailboxRestore) into(folder string) (*restoredInto, error) {
	if into := r.folders[folder]; into != nil {
		return into, nil
	}
	into := &restoredInto{dir: filepath.Join(r.home, restoredFolder+folder), bases: map[string]bool{}}
	if info, err := os.Lstat(into.dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", into.dir)
	}
	keywords := filepath.ToSlash(filepath.Join(folder, keywordsFile))
	err := r.makeMaildir(into.dir, func() error {
		mark := filepath.Join(into.dir, "maildirfolder")
		f, err := os.OpenFile(mark, os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		err = f.Close()
		if err == nil && r.o.Owner {
			err = os.Lchown(mark, r.o.UID, r.o.GID)
		}
		return errors.Join(err, r.extra(keywords, filepath.Join(into.dir, keywordsFile)))
	})
	if err != nil {
		return nil, err
	}
	if into.keywords, err = r.sameKeywords(keywords, filepath.Join(into.dir, keywordsFile)); err != nil {
		return nil, err
	}
	for _, sub := range []string{"new", "cur"} {
		names, err := os.ReadDir(filepath.Join(into.dir, sub))
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			base, _, _ := strings.Cut(n.Name(), ":")
			into.bases[base] = true
		}
	}
	r.folders[folder] = into
	return into, nil
}

// sameKeywords says whether a keyword letter means in a folder what it means in the
// backup: a folder that has got more since means the same by the first ones.
func (r *mailboxRestore) sameKeywords(path, file string) (bool, error) {
	if r.entries[path] == nil {
		return false, nil // letters without a list mean nothing
	}
	theirs, err := os.ReadFile(r.b.File(r.section, path))
	if err != nil {
		return false, err
	}
	ours, err := os.ReadFile(file)
	return bytes.HasPrefix(ours, theirs), err
}

// messagePath takes the path of a message in an account apart; folder is "" for INBOX.
func messagePath(path string) (folder, sub, name string, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) == 3 && strings.HasPrefix(parts[0], ".") {
		folder, parts = parts[0], parts[1:]
	}
	if len(parts) != 2 || parts[0] != "cur" && parts[0] != "new" {
		return "", "", "", false
	}
	return folder, parts[0], parts[1], true
}
