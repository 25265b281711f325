package volume

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// An account that was removed leaves a note for a while, for all processes: who asked
// the directory before that must not make it again, and who makes it again must not give
// the UIDVALIDITYs of before.

// removedDir, below Private, has a file for each, named by a hash of its home: the time in
// nanoseconds since 1970, and the last UIDVALIDITY in hex, "" for not known.
const removedDir = "removed"

// RemovalMemory is longer than a command takes from its question to its delivery: LMTP asks
// at RCPT and delivers after the content; and far longer than UIDVALIDITYs run before the
// clock. It is no parameter: a message that takes an hour is nobody's custom.
const RemovalMemory = time.Hour

func (s *Volume) removedFile(home string) (dir, name string) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(home)) // never fails
	return filepath.Join(s.Root, Private, removedDir), strconv.FormatUint(h.Sum64(), 16)
}

// NoteRemoved notes that the account in home, below the root, is removed now.
func (s *Volume) NoteRemoved(home, validity string) error {
	dir, name := s.removedFile(home)
	if err := s.FS.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return s.ReplaceFile(dir, name, fmt.Appendf(nil, "%d %s\n", s.Clock.Now().UnixNano(), validity))
}

// Removed is when the account in home was removed, zero for never or long ago, and its last
// UIDVALIDITY.
func (s *Volume) Removed(home string) (at time.Time, validity string, err error) {
	dir, name := s.removedFile(home)
	data, err := ReadFile(s.FS, filepath.Join(dir, name))
	if err != nil || len(data) == 0 {
		return at, "", err
	}
	when, validity, _ := strings.Cut(strings.TrimSuffix(string(data), "\n"), " ")
	if n, err := strconv.ParseInt(when, 10, 64); err == nil {
		at = time.Unix(0, n)
	}
	return at, validity, nil
}

// ForgetRemoved removes the notes that nobody needs any more.
func (s *Volume) ForgetRemoved() error {
	dir := filepath.Join(s.Root, Private, removedDir)
	entries, err := s.FS.ReadDir(dir)
	if there, _ := Exists(s.FS, dir); err != nil && !there {
		return nil
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		info, err := s.FS.Stat(name)
		if err != nil {
			continue // another process has removed it
		}
		if age := s.Clock.Now().Sub(info.ModTime()); age > RemovalMemory || age < -RemovalMemory {
			if err := s.FS.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return err
}
