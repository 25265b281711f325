package tables

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// content is what a file says.
type content interface {
	lookup(ctx context.Context, key string) (string, error)
}

// parser reads the text of a file.
type parser func(n name, s *source, l limits) (content, error)

// stamp is by what a changed file is known.
type stamp struct {
	device, inode uint64
	size          int64
	modified      time.Time
}

// file is a table whose content is a file, which is read again when it has changed. A
// version that cannot be read leaves the one before in use.
type file struct {
	name
	path  string
	parse parser
	set   *Set

	now atomic.Pointer[loaded]
	// look is held by who looks at the file; nobody waits for it.
	look sync.Mutex
	// guarded by look
	seen stamp
	// bad says that the version seen is not in use, which has been said.
	bad bool
	// settled is false while the file is so young that another change might leave its
	// stamp as it is.
	settled bool
	next    time.Time
}

type loaded struct {
	content
	sum [sha256.Size]byte
}

// lookEvery is how often a file is looked at, and young how old it must be so that the
// next change shows in its time.
const (
	lookEvery = time.Second
	young     = 2 * time.Second
)

// openFile reads the file once. The caller holds s.mu.
func openFile(s *Set, n name, path string, parse parser) (Table, error) {
	f := &file{name: n, path: s.path(path), parse: parse, set: s}
	f.look.Lock()
	defer f.look.Unlock()
	if err := f.load(); err != nil {
		return nil, err
	}
	s.files = append(s.files, f.path)
	return f, nil
}

// Lookup asks the newest version that can be read.
func (f *file) Lookup(ctx context.Context, key string) (string, error) {
	if key == "" {
		return "", f.missing(key)
	}
	return f.fresh().lookup(ctx, key)
}

// List is Lister's; a table of patterns has nothing to list.
func (f *file) List(yield func(key, text string) bool) {
	if l, ok := f.fresh().content.(Lister); ok {
		l.List(yield)
	}
}

func (f *file) wantsWhole() bool {
	w, ok := f.now.Load().content.(whole)
	return ok && w.wantsWhole()
}

func (f *file) quotesKey() bool {
	q, ok := f.fresh().content.(quoting)
	return ok && q.quotesKey()
}

// fresh is the content in use, after a look at the file where one is due.
func (f *file) fresh() *loaded {
	if f.look.TryLock() {
		defer f.look.Unlock()
		if now := f.set.clock.Now(); !now.Before(f.next) || f.next.Sub(now) > lookEvery {
			f.refresh()
		}
	}
	return f.now.Load()
}

// refresh reads the file when it has changed, and says so once for each version.
func (f *file) refresh() {
	f.next = f.set.clock.Now().Add(lookEvery)
	info, err := os.Stat(f.path)
	if err == nil && stampOf(info) == f.seen && f.settled {
		return
	}
	before, wasBad, was := f.now.Load(), f.bad, f.seen
	if err == nil {
		err = f.load()
	} else {
		f.seen = stamp{}
	}
	f.bad = err != nil
	switch {
	case err != nil && (!wasBad || f.seen != was):
		f.set.log.Error("table", "table", string(f.name), "status", "reload failed", "cause", err, "consequence", "the version before stays in use")
	case err == nil && (wasBad || f.now.Load() != before):
		f.set.log.Info("table", "table", string(f.name), "status", "reloaded")
	}
}

// load reads the file and puts its content in use.
func (f *file) load() error {
	f.next = f.set.clock.Now().Add(lookEvery)
	text, seen, err := f.read()
	f.seen = seen
	f.settled = err != nil && seen != stamp{} || f.set.clock.Now().Sub(seen.modified) >= young
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	if now := f.now.Load(); now != nil && now.sum == sum {
		return nil
	}
	s := &source{file: f.path, rest: string(text), maxLine: f.set.limits.maxLine}
	c, err := f.parse(f.name, s, f.set.limits)
	for _, w := range s.warnings {
		f.set.warn(w)
	}
	if err != nil {
		return err
	}
	f.now.Store(&loaded{c, sum})
	return nil
}

// read reads the whole of the file, which may grow while it is read.
func (f *file) read() ([]byte, stamp, error) {
	h, err := os.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // no FIFO makes it wait
	if err != nil {
		return nil, stamp{}, err
	}
	defer h.Close()
	info, err := h.Stat()
	if err != nil {
		return nil, stamp{}, err
	}
	if !info.Mode().IsRegular() {
		return nil, stampOf(info), &fs.PathError{Op: "read", Path: f.path, Err: errors.New("is no file")}
	}
	most := f.set.limits.maxFile
	text, err := io.ReadAll(io.LimitReader(h, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s is larger than %d octets (tables.max_file_size)", f.path, most)
	}
	return text, stampOf(info), err
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{size: info.Size(), modified: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.device, s.inode = uint64(sys.Dev), sys.Ino
	}
	return s
}
