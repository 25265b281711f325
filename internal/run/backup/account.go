package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"toastmaster/configs"
	archive "toastmaster/internal/backup"
	"toastmaster/mailstore/snapshot"
)

// lockPatience is how long a backup tries to find an account at rest.
const lockPatience = time.Minute

// messageKey names the content of a message in an account: what stays when its
// flags change.
type messageKey struct{ folder, base string }

func keyOf(f *snapshot.File) messageKey { return messageKey{f.Folder, f.Base} }

// earlierMessages are the messages that an earlier backup has of an account.
type earlierMessages struct {
	from archive.Earlier
	at   map[messageKey]*archive.Entry
}

func newEarlierMessages(from archive.Earlier) earlierMessages {
	e := earlierMessages{from: from, at: make(map[messageKey]*archive.Entry, len(from.Entries))}
	for i := range from.Entries {
		entry := &from.Entries[i]
		folder, _, name, ok := messagePath(entry.Path)
		if entry.Kind != archive.File || !ok {
			continue
		}
		base, _, _ := strings.Cut(name, ":")
		e.at[messageKey{folder, base}] = entry
	}
	return e
}

// same finds a message that has the same content there: files of a Maildir never
// change it. Size and time guard against who does it nevertheless.
func (e *earlierMessages) same(f *snapshot.File, info fs.FileInfo) (*archive.Entry, bool) {
	old := e.at[keyOf(f)]
	if old == nil || old.Size != info.Size() || !old.Time.Equal(info.ModTime()) {
		return nil, false
	}
	return old, true
}

// accountCopy is an account while it is copied.
type accountCopy struct {
	r       *making
	s       *archive.Section
	home    string
	earlier earlierMessages
	// reuse are messages that an earlier backup has, copied those that are in
	// this one, with the path that they got.
	reuse  map[messageKey]*archive.Entry
	copied map[messageKey]string
}

// account copies one account: most messages without a lock, then a picture of it
// (mailstore/snapshot), whose names count, and what that has in addition.
func (r *making) account(ctx context.Context, root, home string) error {
	a := &accountCopy{
		r: r, home: filepath.Join(root, filepath.FromSlash(home)),
		earlier: newEarlierMessages(r.w.Earlier(mailSection + home)),
		reuse:   map[messageKey]*archive.Entry{}, copied: map[messageKey]string{},
	}
	var err error
	if a.s, err = r.w.Begin(mailSection + home); err != nil {
		return err
	}
	messages, err := snapshot.Messages(root, home)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for i := range messages {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.copyAhead(&messages[i]); err != nil {
			return err
		}
	}
	p, err := snapshot.Take(ctx, snapshot.Options{
		Root: root, Home: home, Staging: r.stage, Patience: lockPatience, Clock: r.clock, Have: a.has,
	})
	if errors.Is(err, snapshot.ErrNoAccount) {
		return a.removed()
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	for i := range p.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.archive(&p.Files[i]); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(a.home, p.Files[i].Path), err)
		}
	}
	if err := a.dropRest(); err != nil {
		return err
	}
	return a.s.End()
}

func (a *accountCopy) has(folder, base string) bool {
	k := messageKey{folder, base}
	return a.reuse[k] != nil || a.copied[k] != ""
}

// copyAhead copies a message, or notes that there is no need to. One that has gone
// or has another name meanwhile is the picture's.
func (a *accountCopy) copyAhead(f *snapshot.File) error {
	info, err := os.Lstat(f.From)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	k := keyOf(f)
	if old, ok := a.earlier.same(f, info); ok {
		a.reuse[k] = old
		return nil
	}
	e, err := a.s.Copy(f.Path, f.From)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	a.copied[k] = f.Path
	a.addDone(e.Size)
	return nil
}

func (a *accountCopy) addDone(size int64) {
	a.r.done += size
	a.r.progress(fmt.Sprintf("%s of %s, %s", configs.FormatSize(a.r.done), configs.FormatSize(a.r.total), a.home), a.r.done, a.r.total)
}

// archive gives a file of the picture its place in the archive.
func (a *accountCopy) archive(f *snapshot.File) error {
	switch {
	case f.Info != nil:
		return a.s.AddDir(f.Path, f.Info)
	case f.Target != "":
		return a.s.AddLink(f.Path, f.Target)
	case !f.Message:
		_, err := a.s.Copy(f.Path, f.From)
		return err
	}
	k := keyOf(f)
	if f.From != "" {
		e, err := a.s.Copy(f.Path, f.From)
		a.addDone(e.Size)
		return err
	}
	if at := a.copied[k]; at != "" {
		delete(a.copied, k)
		if at == f.Path {
			return nil
		}
		return a.s.Rename(at, f.Path)
	}
	old := a.reuse[k]
	a.addDone(old.Size)
	return a.s.Reuse(f.Path, a.earlier.from, *old)
}

// dropRest takes away what was copied and has left the account since.
func (a *accountCopy) dropRest() error {
	for _, path := range a.copied {
		if err := a.s.Drop(path); err != nil {
			return err
		}
	}
	return nil
}

// removed is for an account that was removed while it was copied.
func (a *accountCopy) removed() error {
	a.r.accounts--
	if err := a.dropRest(); err != nil {
		return err
	}
	return a.s.End()
}
