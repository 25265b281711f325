package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/identity"
	"toastmaster/internal/lockorder"
	"toastmaster/internal/msglog"
	"toastmaster/internal/spool"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/maildir"
)

// Volume is the ground that a store stands on. Safe for concurrent use.
type Volume struct {
	Options
	// Separator is between the levels of a mailbox's name.
	Separator rune
	// Points are the checkpoints.
	Points Checkpoints
	// Spool is for messages on their way in and mailboxes on their way out.
	Spool spool.Dir
	// Parents is held by who makes or removes folders above homes.
	Parents lockorder.Mutex[ParentsLock]

	host  string // in file names
	tag   string // in file names: process and random number
	names atomic.Uint64
	// root is the root, open as long as the store: see checkpoint.go.
	root    vfs.File
	reserve reserve
	// odd is what was passed over and is in the log.
	odd said
	// processes are those that have the store open.
	processes processes
	copyings  copyings
}

// Options are what a volume is made of.
type Options struct {
	// Root is the folder below which all accounts have their homes.
	Root  string
	FS    vfs.FS
	Clock clock.Clock
	Log   *msglog.Log
	// Hostname goes into the names of message files.
	Hostname string
	Config   configs.Store
	// Instance is the id that the store must have, "" for any.
	Instance identity.ID
}

// Private is the folder below the root that is no account's.
const Private = ".toastmaster"

// New makes a volume. It touches no file: see Open.
func New(o Options) *Volume {
	v := &Volume{Options: o, Separator: '/', host: maildir.Host(o.Hostname)}
	if o.Config.Separator == "." {
		v.Separator = '.'
	}
	v.tag = fmt.Sprintf("P%dR%xQ", os.Getpid(), rand.Uint32())
	v.Points.epoch.Store(1)
	v.Points.broken = make(chan struct{})
	v.Spool = spool.Dir{FS: o.FS, Path: filepath.Join(o.Root, Private, "spool"), Memory: int(o.Config.SpoolMemory)}
	return v
}

// Open opens the root, whose descriptor must be there before the first write, fills the
// reserve, and makes this process one of those on the store.
func (s *Volume) Open(ctx context.Context) (err error) {
	if s.root, err = s.FS.OpenFile(s.Root, os.O_RDONLY, 0); err != nil {
		return err
	}
	s.FillReserve(true)
	if err := s.join(ctx); err != nil {
		return errors.Join(err, s.root.Close())
	}
	return nil
}

// Close closes the root; this process is none of the store's any more.
func (s *Volume) Close() error { return errors.Join(s.root.Close(), s.processes.leave()) }

// Now is the time.
func (s *Volume) Now() time.Time { return s.Clock.Now() }

// Host is the name of this host in file names.
func (s *Volume) Host() string { return s.host }

// Last is the context of last work. It is nobody's request: the session that
// let a mailbox go, and the one that pushed it out of memory, may be over, and
// cancelling theirs must not leave the work undone.
func (s *Volume) Last() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.Config.CloseTimeout)
}

// UniqueName makes the unique part of a file name: time, process, a random
// number, counter (cr.yp.to/proto/maildir.html). Process ids repeat, in
// containers often, hence the number.
func (s *Volume) UniqueName() (seconds int64, unique string) {
	now := s.Clock.Now()
	return now.Unix(), "M" + strconv.Itoa(now.Nanosecond()/1000) + s.tag + strconv.FormatUint(s.names.Add(1), 10)
}

// IsUnique says that a unique part may be one of UniqueName's, of any process.
func IsUnique(part string) bool {
	micros, rest, process := strings.Cut(part, "P")
	_, rest, random := strings.Cut(rest, "R")
	_, _, counter := strings.Cut(rest, "Q")
	return strings.HasPrefix(micros, "M") && process && random && counter
}

// Present is ErrAbsent when the store is not in its place any more: its volume
// was unmounted, or another one is there. Whatever makes something near the root
// asks first, or it would make a new store in the mount point.
func (s *Volume) Present() error {
	own := filepath.Join(s.Root, Private)
	if s.Instance == "" {
		there, err := Exists(s.FS, own)
		if err == nil && !there {
			err = fmt.Errorf("%w: %s is missing", ErrAbsent, own)
		}
		return err
	}
	err := identity.VerifyFolder(ErrAbsent, s.FS, s.Root, own, s.Instance)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	return err
}
