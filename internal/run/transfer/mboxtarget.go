package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"toastmaster/admin/model"
	"toastmaster/internal/mbox"
	"toastmaster/internal/plainmaildir"
	"toastmaster/internal/vfs"
)

// noFollow opens no symbolic link, and waits for no pipe.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// mboxTarget is an mbox that is written. What it has is known from itself.
type mboxTarget struct {
	file *os.File // nil for standard output
	path string
	w    *mbox.Writer
	have map[messageKey]bool
	// gap is what has to be written before the first message: another program may have
	// left out the blank line behind the last one.
	gap     string
	current model.MailFolder
	address string
}

type messageKey struct {
	folder        string
	validity, uid uint32
}

func openMboxTarget(o *ExportOptions, folders []model.MailFolder) (*mboxTarget, error) {
	t := &mboxTarget{path: o.To, have: map[messageKey]bool{}, address: o.Address}
	if o.To == "-" {
		t.begin(o.Out, folders)
		return t, nil
	}
	var err error
	if t.path, err = ownPlace(o.To); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(t.path, os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if errors.Is(err, syscall.ELOOP) {
		err = fmt.Errorf("%s: %w: it is a symbolic link: name a file of your own", t.path, plainmaildir.ErrNotOurs)
	}
	if err != nil {
		return nil, err
	}
	t.file = f
	var end int64
	if err = lock(f); err == nil {
		end, err = t.read()
	}
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err == nil {
		err = f.Truncate(end)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if end > 0 {
		folders = nil
	}
	t.begin(f, folders)
	return t, nil
}

// begin makes the writer, of a new file with the keywords of the folders.
func (t *mboxTarget) begin(w io.Writer, folders []model.MailFolder) {
	t.w = mbox.NewWriter(w)
	var keywords []string
	for _, f := range folders {
		for _, k := range f.Keywords {
			if !slices.Contains(keywords, k) {
				keywords = append(keywords, k)
			}
		}
	}
	if len(folders) > 0 {
		t.w.Begin(folders[0].UIDValidity, keywords)
	}
}

// read finds out what the file has; end is behind its last whole message. What an
// interrupted export left of one is cut off: the beginning of what a Writer writes, and
// nothing else. What no export wrote is not touched.
func (t *mboxTarget) read() (end int64, err error) {
	info, err := t.file.Stat()
	if err != nil {
		return 0, err
	}
	if err := ownFile(t.path, info); err != nil {
		return 0, err
	}
	size, err := t.withoutZeros(info.Size())
	if err == nil {
		size, err = t.withoutMark(size)
	}
	if err != nil {
		return 0, err
	}
	r := mbox.NewReader(t.file, size, mbox.RD)
	for {
		m, err := r.Next()
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if errors.Is(err, mbox.ErrNotMbox) || err == nil && m.Skipped > 0 {
			return 0, t.notOurs(0)
		}
		if err != nil {
			return 0, err
		}
		last := m.End == size
		if m.Export == nil && last {
			cut, err := t.beginning(m.Offset, size)
			if cut || err != nil {
				return m.Offset, err
			}
		}
		if m.Export == nil || m.Export.Account != t.address {
			return 0, t.notOurs(m.Offset)
		}
		if last {
			whole, err := t.whole(m, size)
			if !whole || err != nil {
				return m.Offset, err
			}
		}
		t.have[messageKey{m.Export.Folder, m.Export.Validity, m.Export.UID}] = true
		end = m.End
	}
}

func (t *mboxTarget) notOurs(at int64) error {
	if at == 0 {
		return fmt.Errorf("%s exists, and is no export of %s: name another file", t.path, t.address)
	}
	return fmt.Errorf("%s: the message at octet %d is no export of %s: it is not touched, name another file", t.path, at, t.address)
}

// maxMark is longer than the first line of a message, maxHead than what is before its
// content.
const (
	maxMark = 1 << 10
	maxHead = 1 << 20
)

// withoutZeros is the size of the file without zeros at its end: after a power loss it may
// be longer than what was written. A file of nothing else is not ours.
func (t *mboxTarget) withoutZeros(size int64) (int64, error) {
	block := make([]byte, 64<<10)
	for end := size; end > 0; {
		p := block[:min(end, int64(len(block)))]
		if _, err := t.file.ReadAt(p, end-int64(len(p))); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		left := bytes.TrimRight(p, "\x00")
		if end -= int64(len(p) - len(left)); len(left) > 0 {
			return end, nil
		}
	}
	return size, nil
}

// withoutMark is the size of the file without a last line that is a part of the first one
// of a message: a reader takes it for text of the message before.
func (t *mboxTarget) withoutMark(size int64) (int64, error) {
	tail := make([]byte, min(size, maxMark))
	if _, err := t.file.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	start := bytes.LastIndexByte(tail, '\n') + 1
	line := tail[start:]
	blankBefore := int64(len(line)) == size || bytes.HasSuffix(tail[:start], []byte("\n\n"))
	if !blankBefore || !mbox.IsBeginning(line) {
		return size, nil
	}
	return size - int64(len(line)), nil
}

// beginning says that what is from at on is the beginning of what a Writer writes.
func (t *mboxTarget) beginning(at, size int64) (bool, error) {
	if size-at > maxHead {
		return false, nil
	}
	text := make([]byte, size-at)
	if _, err := t.file.ReadAt(text, at); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return mbox.IsBeginning(text), nil
}

// whole says that the last message is no part of what a Writer wrote. What is cut off is
// less, and never more; what has other fields before it, another program wrote.
func (t *mboxTarget) whole(m *mbox.Message, size int64) (bool, error) {
	tail := make([]byte, min(size, 2))
	if _, err := t.file.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	gap := "\n\n"
	switch {
	case string(tail) == "\n\n":
		gap = ""
	case tail[len(tail)-1] == '\n':
		gap = "\n"
	}
	written, err := m.AsWritten()
	if err != nil {
		return false, err
	}
	if written {
		n, err := m.WriteTo(io.Discard)
		if err != nil {
			return false, err
		}
		if _, ok := m.Export.Trim(n); n <= m.Export.Size+1 && (!ok || gap != "") {
			return false, nil
		}
	}
	t.gap = gap
	return true, nil
}

// ownFile says whether a file is only here, and only this user's to write.
func ownFile(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no plain file", path)
	}
	why := ""
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return fmt.Errorf("%s: its owner is not known", path)
	case int(st.Uid) != os.Geteuid():
		why = fmt.Sprintf("it belongs to user %d", st.Uid)
	case info.Mode().Perm()&0o022 != 0:
		why = fmt.Sprintf("its mode is %v", info.Mode().Perm())
	case st.Nlink != 1:
		why = "it has another name, too"
	default:
		return nil
	}
	return fmt.Errorf("%s: %w: %s: export to a new file, and give it away afterwards", path, plainmaildir.ErrNotOurs, why)
}

func (t *mboxTarget) folder(f model.MailFolder) error {
	t.current = f
	return nil
}

func (t *mboxTarget) key(m *model.MailMessage) messageKey {
	return messageKey{t.current.Name, t.current.UIDValidity, m.UID}
}

func (t *mboxTarget) has(m *model.MailMessage) (bool, error) { return t.have[t.key(m)], nil }

func (t *mboxTarget) put(m *model.MailMessage, size int64, content io.Reader) error {
	e := mbox.Export{Size: size, Account: t.address, Folder: t.current.Name, Validity: t.current.UIDValidity, UID: m.UID, Date: m.Date, Flags: m.Flags}
	var flags mbox.Flags
	var keywords []string
	for _, f := range m.Flags {
		switch letterOf(f) {
		case 'S':
			flags.Seen = true
		case 'R':
			flags.Answered = true
		case 'F':
			flags.Flagged = true
		case 'D':
			flags.Draft = true
		case 'T':
			flags.Deleted = true
		default:
			if !strings.HasPrefix(f, `\`) {
				keywords = append(keywords, f)
			}
		}
	}
	if t.gap != "" {
		if _, err := io.WriteString(t.file, t.gap); err != nil {
			return err
		}
		t.gap = ""
	}
	return t.w.Write(e, flags, keywords, content)
}

// lock keeps a second export out.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("%s: another export writes to it now", f.Name())
	}
	return err
}

// commit makes durable what is whole; what is cut off then is found by the next run.
func (t *mboxTarget) commit() error {
	if err := t.w.Flush(); err != nil || t.file == nil {
		return err
	}
	return t.file.Sync()
}

func (t *mboxTarget) done() error { return nil }

func (t *mboxTarget) finish([]model.MailFolder) error {
	if err := t.w.Flush(); err != nil {
		return err
	}
	if t.file == nil {
		return nil
	}
	if err := t.file.Sync(); err != nil {
		return err
	}
	return vfs.OS{}.SyncDir(filepath.Dir(t.path))
}

func (t *mboxTarget) close() error {
	if t.file == nil {
		return nil
	}
	err := t.file.Close()
	if errors.Is(err, fs.ErrClosed) {
		err = nil
	}
	return err
}
