package flush

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"toastmaster/internal/envelope"
	"toastmaster/internal/vfs"
)

// site is the log of a domain.
type site struct {
	name string
	// working is held by who works through the log, one at a time: for as long as that takes. mu is
	// for what changes the file, and never held over the queue. working comes first.
	working sync.Mutex
	mu      sync.Mutex
	// size is the length of the file, base that after it was rewritten; size is 0 before the
	// first use, too.
	size, base int64
	opened     bool
	removed    bool // by purge; a new one has its place
}

func (s *site) path(x *Index) string { return filepath.Join(x.o.Dir, s.name) }

// purged says that the log was removed, and another one may have its place.
func (s *site) purged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.removed
}

// minLong is how long a log may be in any case before it is rewritten.
const minLong = 64 << 10

// long says that the log has grown to more than twice what it was when every line of it was about
// a message that waits.
func (s *site) long() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened && s.size > 2*max(s.base, minLong)
}

// open finds out how long the file is; mu is held.
func (s *site) open(x *Index) error {
	if s.opened {
		return nil
	}
	info, err := x.o.FS.Stat(s.path(x))
	switch {
	case gone(err):
		s.size = 0
	case err != nil:
		return err
	default:
		s.size = info.Size()
	}
	s.opened = true
	return nil
}

// append adds a line. It reports whether the log is long.
func (s *site) append(x *Index, id envelope.QueueID) (long bool, err error) {
	s.mu.Lock()
	if s.removed {
		s.mu.Unlock()
		return false, x.add(s.name, id)
	}
	defer s.mu.Unlock()
	if err := s.open(x); err != nil {
		return false, err
	}
	line := string(id) + "\n"
	if s.size == 0 {
		line = s.head(x) + line
	}
	f, err := x.o.FS.OpenFile(s.path(x), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return false, err
	}
	n, err := f.WriteAt([]byte(line), s.size)
	if err != nil || n < len(line) {
		// A torn line would run into the next one.
		err = errors.Join(err, f.Truncate(s.size))
	} else {
		s.size += int64(n)
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return s.size > 2*max(s.base, minLong), err
}

// head is the first line of a log that begins now.
func (s *site) head(x *Index) string {
	return "# " + strconv.FormatInt(x.o.Clock.Now().Unix(), 10) + "\n"
}

// read is what the log has now.
func (s *site) read(x *Index) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed {
		return nil, nil // what has this name now is another's
	}
	if err := s.open(x); err != nil || s.size == 0 {
		return nil, err
	}
	f, err := x.o.FS.OpenFile(s.path(x), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	octets := make([]byte, s.size)
	n, err := f.ReadAt(octets, 0)
	if err == io.EOF {
		err = nil
	}
	return octets[:n], err
}

// parse is the messages of a log, each once, and since when it lists; zero when that is not known.
func parse(octets []byte) (ids []envelope.QueueID, since time.Time) {
	seen := map[envelope.QueueID]bool{}
	for line := range bytes.Lines(octets) {
		text := strings.TrimSpace(string(line))
		if number, ok := strings.CutPrefix(text, "# "); ok {
			if n, err := strconv.ParseInt(number, 10, 64); err == nil && since.IsZero() {
				since = time.Unix(n, 0)
			}
			continue
		}
		if id := envelope.QueueID(text); plausible(text) && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, since
}

// plausible says that a line is one of ours and whole, as far as can be seen; what it names is looked for.
func plausible(text string) bool {
	if text == "" || len(text) > 64 {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// send makes what the log lists due now, and empties it: what fails again is listed
// again. After an error, or a kill, everything is still there.
func (s *site) send(ctx context.Context, x *Index) (int, error) {
	s.working.Lock()
	defer s.working.Unlock()
	octets, err := s.read(x)
	if err != nil || len(octets) == 0 {
		return 0, err
	}
	ids, _ := parse(octets)
	n, err := x.o.Queue.FlushIDs(ctx, ids)
	if err != nil {
		return n, err
	}
	return n, s.rewrite(x, int64(len(octets)), s.head(x))
}

// compact leaves each message that waits once. Since when the log lists is as before.
func (s *site) compact(ctx context.Context, x *Index) error {
	s.working.Lock()
	defer s.working.Unlock()
	octets, err := s.read(x)
	if err != nil || len(octets) == 0 {
		return err
	}
	ids, since := parse(octets)
	var kept strings.Builder
	fmt.Fprintf(&kept, "# %d\n", max(since.Unix(), 0))
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		waits, err := x.o.Queue.Waits(id)
		if err != nil {
			return err
		}
		if waits {
			kept.WriteString(string(id) + "\n")
		}
	}
	return s.rewrite(x, int64(len(octets)), kept.String())
}

// rewrite puts text in the place of the first octets of the log; what came behind them stays.
func (s *site) rewrite(x *Index, octets int64, text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	content := []byte(text)
	if s.size > octets {
		f, err := x.o.FS.OpenFile(s.path(x), os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		rest := make([]byte, s.size-octets)
		if n, err := f.ReadAt(rest, octets); n < len(rest) {
			return err
		}
		content = append(content, rest...)
	}
	if err := vfs.Replace(x.o.FS, s.path(x), content); err != nil {
		return err
	}
	s.size = int64(len(content))
	s.base = s.size
	return nil
}

// look says whether the log lists nothing, and since when it lists.
func (s *site) look(x *Index) (empty bool, since time.Time, err error) {
	s.working.Lock()
	defer s.working.Unlock()
	octets, err := s.read(x)
	if err != nil {
		return false, time.Time{}, err
	}
	ids, since := parse(octets)
	return len(ids) == 0, since, nil
}

// purge removes the log, unless something has come meanwhile.
func (s *site) purge(x *Index) error {
	s.working.Lock()
	defer s.working.Unlock()
	octets, err := s.read(x)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if ids, _ := parse(octets); s.removed || len(ids) > 0 || s.size > int64(len(octets)) {
		return nil
	}
	if err := x.o.FS.Remove(s.path(x)); err != nil && !gone(err) {
		return err
	}
	s.removed = true
	delete(x.sites, s.name)
	delete(x.asked, s.name)
	return nil
}

// longestName is how long the name of a log may be; the rest of what a file may be called is for
// the suffix of a rewrite.
const longestName = 200

// fileName is the name of the log of a domain, which is in lower case.
func fileName(domain string) string {
	plain := domain != "" && len(domain) <= longestName && domain[0] != '.' && !strings.HasSuffix(domain, ".new") &&
		!strings.ContainsFunc(domain, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'a' || r > 'z') && !strings.ContainsRune("-._:", r)
		})
	if plain {
		return domain
	}
	sum := sha256.Sum256([]byte(domain))
	return "=" + hex.EncodeToString(sum[:])
}
