package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"toastmaster/admin/model"
	"toastmaster/internal/utf7"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/packed"
)

// maildirSource reads a Maildir, with the folders below it: Maildir++ (".A.B") and those
// that lie in one another ("A/B", Dovecot's LAYOUT=fs, mutt). Everything is opened below
// root, which the kernel holds to, and no link is followed.
type maildirSource struct {
	root  *os.Root
	at    int64
	total int64
	list  []sourceFolder
	names []model.NewMailFolder
	// messages are those left of the first of list.
	messages []sourceMessage
	keywords folderKeywords
	begun    bool
}

type sourceFolder struct{ dir, name string }

type sourceMessage struct {
	path, base string
	flags      maildir.Flags
}

// folderKeywords are what letters, and toastmaster.keywords, mean in a folder.
type folderKeywords struct {
	letters []string
	more    maildir.MoreKeywords
}

// maxDepth bounds how deep folders lie in one another; store.max_folder_depth is asked
// when they are made.
const maxDepth = 32

func openMaildirSource(w *walked) (source, error) {
	dir := w.last().path
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	s := &maildirSource{root: root}
	info, err := root.Stat(".")
	if err == nil {
		err = w.same(info)
	}
	if err == nil {
		err = s.find(".", "", 0)
	}
	if err == nil && len(s.list) == 0 {
		err = fmt.Errorf("%s is no Maildir: nothing in it has a folder cur or new", dir)
	}
	if err == nil {
		err = s.subscriptions()
	}
	if err == nil {
		err = s.measure()
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return s, nil
}

// isDir says that there is a folder, and no link.
func (s *maildirSource) isDir(name string) bool {
	info, err := s.root.Lstat(name)
	return err == nil && info.IsDir()
}

// find lists the folders at and below dir.
func (s *maildirSource) find(dir, name string, depth int) error {
	if s.isDir(path.Join(dir, "cur")) || s.isDir(path.Join(dir, "new")) {
		s.list = append(s.list, sourceFolder{dir, cmp.Or(name, maildir.Inbox)})
	}
	if depth > maxDepth {
		return nil
	}
	entries, err := s.readDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		below := path.Join(dir, e.Name())
		if !e.IsDir() || e.Name() == "cur" || e.Name() == "new" || e.Name() == "tmp" || !s.isDir(below) {
			continue
		}
		folder, dotted := "", strings.HasPrefix(e.Name(), ".")
		if dotted && depth == 0 {
			var ok bool
			if folder, ok = maildir.FolderName(e.Name(), separator); !ok {
				continue
			}
			if s.isDir(path.Join(below, "cur")) || s.isDir(path.Join(below, "new")) {
				s.list = append(s.list, sourceFolder{below, folder})
			}
			continue
		}
		if dotted {
			continue
		}
		folder = e.Name()
		if plain, ok := utf7.Decode(folder); ok {
			folder = plain
		}
		if name != "" {
			folder = name + string(separator) + folder
		}
		if err := s.find(below, maildir.Canonical(folder, separator), depth+1); err != nil {
			return err
		}
	}
	return nil
}

// readDir lists a folder in order; one that cannot be read, or is none any more, has
// nothing in it for who may not see it.
func (s *maildirSource) readDir(dir string) ([]fs.DirEntry, error) {
	f, err := s.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return entries, err
}

// small reads a file of the tree, nothing when it is not there or no plain file.
func (s *maildirSource) small(name string) ([]byte, error) {
	f, _, err := s.plain(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotPlain) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSmallFile))
}

var errNotPlain = errors.New("it is no plain file, and is not read: a link may lead to what is not the mailbox's")

// plain opens a plain file, and nothing else.
func (s *maildirSource) plain(name string) (*os.File, fs.FileInfo, error) {
	info, err := s.root.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errNotPlain
	}
	f, err := s.root.OpenFile(name, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, nil, err
	}
	now, err := f.Stat()
	if err == nil && !os.SameFile(info, now) {
		err = errNotPlain // somebody has put another one there
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, now, nil
}

// subscriptions makes the list of the folders. Without the file all are subscribed.
func (s *maildirSource) subscriptions() error {
	text, err := s.small(subscriptionsFile)
	if err != nil {
		return err
	}
	subscribed := maildir.ParseSubscriptions(text, separator)
	for _, f := range s.list {
		on := text == nil || slices.Contains(subscribed, f.name)
		s.names = append(s.names, model.NewMailFolder{Name: f.name, Subscribe: on})
	}
	return nil
}

// measure adds up the sizes, for the progress.
func (s *maildirSource) measure() error {
	for _, f := range s.list {
		for _, sub := range []string{"new", "cur"} {
			dir := path.Join(f.dir, sub)
			if !s.isDir(dir) {
				continue
			}
			entries, err := s.readDir(dir)
			if err != nil {
				return err
			}
			for _, e := range entries {
				if info, err := s.root.Lstat(path.Join(dir, e.Name())); err == nil && info.Mode().IsRegular() {
					s.total += info.Size()
				}
			}
		}
	}
	return nil
}

func (s *maildirSource) size() int64                    { return s.total }
func (s *maildirSource) folders() []model.NewMailFolder { return s.names }
func (s *maildirSource) close() error                   { return s.root.Close() }

func (s *maildirSource) next(ctx context.Context, fail func(what, why string)) (*found, error) {
	for len(s.messages) == 0 {
		if s.begun {
			s.list = s.list[1:]
		}
		if len(s.list) == 0 {
			return nil, io.EOF
		}
		s.begun = true
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := s.folder(fail); err != nil {
			return nil, err
		}
	}
	m := s.messages[0]
	s.messages = s.messages[1:]
	return s.found(m), nil
}

// folder lists the messages of a folder in the order in which they arrived, as far as
// their names say.
func (s *maildirSource) folder(fail func(what, why string)) error {
	f := s.list[0]
	text, err := s.small(path.Join(f.dir, keywordsFile))
	if err != nil {
		return err
	}
	s.keywords.letters = maildir.ParseKeywords(text)
	if text, err = s.small(path.Join(f.dir, moreKeywordsFile)); err != nil {
		return err
	}
	s.keywords.more = maildir.ParseMoreKeywords(text, maxKeywords)
	for _, sub := range []string{"new", "cur"} {
		dir := path.Join(f.dir, sub)
		info, err := s.root.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && !info.IsDir() {
			fail(dir, errNotPlain.Error())
			continue
		}
		var entries []fs.DirEntry
		if err == nil {
			entries, err = s.readDir(dir)
		}
		if err != nil {
			fail(dir, err.Error())
			continue
		}
		for _, e := range entries {
			base, flags, ok := maildir.Split(e.Name())
			if !ok && e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") {
				base, ok = e.Name(), true
			}
			if ok {
				s.messages = append(s.messages, sourceMessage{path.Join(dir, e.Name()), base, flags})
			}
		}
	}
	slices.SortStableFunc(s.messages, func(a, b sourceMessage) int {
		return cmp.Or(cmp.Compare(maildir.Seconds(a.base), maildir.Seconds(b.base)), cmp.Compare(a.base, b.base))
	})
	return nil
}

func (s *maildirSource) found(m sourceMessage) *found {
	f := &found{what: filepath.FromSlash(m.path), folder: s.list[0].name}
	for k := range len("DFPRST") {
		if m.flags&(maildir.Draft<<k) != 0 {
			f.flags = append(f.flags, flagOf("DFPRST"[k]))
		}
	}
	for k, name := range s.keywords.letters {
		if name != "" && m.flags&(1<<k) != 0 {
			f.flags = append(f.flags, name)
		}
	}
	for _, n := range s.keywords.more.Messages[m.base] {
		if name := s.keywords.more.Names[n]; name != "" {
			f.flags = append(f.flags, name)
		}
	}
	if info, err := s.root.Lstat(m.path); err == nil {
		f.date = info.ModTime()
		if info.Mode().IsRegular() {
			s.at += info.Size()
		}
	}
	f.at = s.at
	f.write = func(w io.Writer) error { return s.write(m, w) }
	return f
}

// write writes a message; one that Dovecot has compressed as the mail that it is.
func (s *maildirSource) write(m sourceMessage, w io.Writer) error {
	file, info, err := s.plain(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		// It got other flags, or has gone, since it was listed.
		if file, info, err = s.again(m); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	defer file.Close()
	var head [packed.HeadSize]byte
	n, err := file.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	form := packed.Detect(head[:n])
	if stored, _ := maildir.Sizes(m.base); form == packed.None || stored == info.Size() {
		_, err := io.Copy(w, file)
		return err
	}
	r, err := form.Reader(io.NewSectionReader(file, 0, info.Size()))
	if err != nil {
		return fmt.Errorf("compressed, and cannot be read: %w", err)
	}
	defer r.Close()
	if n, err := io.Copy(w, io.LimitReader(r, maxUnpacked)); err != nil || n == maxUnpacked {
		return fmt.Errorf("compressed, and cannot be read: %w", cmp.Or(err, errUnpacked))
	}
	return nil
}

// maxUnpacked bounds what a few octets can become.
const maxUnpacked = 1 << 30

var errUnpacked = errors.New("it is larger than a gigabyte")

// again looks for a message under other flags.
func (s *maildirSource) again(m sourceMessage) (*os.File, fs.FileInfo, error) {
	dir := path.Join(path.Dir(path.Dir(m.path)), "cur")
	entries, err := s.readDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if base, _, ok := maildir.Split(e.Name()); ok && base == m.base {
			return s.plain(path.Join(dir, e.Name()))
		}
	}
	return nil, nil, errors.New("it has gone since it was listed")
}
