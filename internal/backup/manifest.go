package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ErrDamaged is wrapped by every error about a backup that is not what it was.
var ErrDamaged = errors.New("the backup is damaged")

const (
	wholeTitle   = "toastmaster-backup 1"
	sectionTitle = "toastmaster-backup-section 1"
)

// Kind is what an entry is.
type Kind uint8

// The kinds of entries.
const (
	File Kind = iota + 1
	Dir
	Link
)

// Entry is one file, folder or symbolic link of a section.
type Entry struct {
	Kind Kind
	// Path is below the section's folder, with slashes.
	Path     string
	Mode     fs.FileMode
	UID, GID int
	// Size, Time and Sum are a File's.
	Size int64
	Time time.Time
	Sum  [sha256.Size]byte
	// Target is a Link's.
	Target string
}

// sectionLine is a section in the manifest of the whole.
type sectionLine struct {
	name  string
	sum   [sha256.Size]byte
	files int64
	bytes int64
}

func appendEntry(b []byte, e *Entry) []byte {
	switch e.Kind {
	case Dir:
		b = fmt.Appendf(b, "dir\t%o\t%d\t%d", e.Mode, e.UID, e.GID)
	case Link:
		b = fmt.Appendf(b, "link\t%q", e.Target)
	default:
		b = fmt.Appendf(b, "file\t%x\t%d\t%o\t%d\t%d\t%d", e.Sum, e.Size, e.Mode, e.UID, e.GID, e.Time.UnixNano())
	}
	b = append(b, '\t')
	return append(strconv.AppendQuote(b, e.Path), '\n')
}

func appendFact(b []byte, name, value string) []byte {
	return fmt.Appendf(b, "fact\t%s\t%q\n", name, value)
}

func appendSection(b []byte, s *sectionLine) []byte {
	return fmt.Appendf(b, "sect\t%x\t%d\t%d\t%q\n", s.sum, s.files, s.bytes, s.name)
}

// seal adds the last line.
func seal(b []byte) []byte {
	sum := sha256.Sum256(b)
	return fmt.Appendf(b, "end\t%d\t%x\n", bytes.Count(b, []byte("\n")), sum)
}

// lines checks the last line and the title, and returns what is between.
func lines(b []byte, title string) ([]string, error) {
	body := bytes.TrimSuffix(b, []byte("\n"))
	at := bytes.LastIndexByte(body, '\n') + 1
	last := strings.Split(string(body[at:]), "\t")
	sum := sha256.Sum256(b[:at])
	if len(last) != 3 || last[0] != "end" || last[2] != hex.EncodeToString(sum[:]) || last[1] != strconv.Itoa(bytes.Count(b[:at], []byte("\n"))) || !bytes.HasSuffix(b, []byte("\n")) {
		return nil, fmt.Errorf("%w: a manifest is cut off or altered", ErrDamaged)
	}
	all := strings.Split(string(bytes.TrimSuffix(b[:at], []byte("\n"))), "\n")
	if all[0] != title {
		return nil, fmt.Errorf("the manifest begins with %q, this program reads %q", all[0], title)
	}
	return all[1:], nil
}

// whole is the parsed manifest of a backup.
type whole struct {
	facts    map[string]string
	sections []sectionLine
}

func parseWhole(b []byte) (*whole, error) {
	all, err := lines(b, wholeTitle)
	if err != nil {
		return nil, err
	}
	w := &whole{facts: map[string]string{}}
	for _, line := range all {
		f := strings.Split(line, "\t")
		var err error
		switch {
		case f[0] == "fact" && len(f) == 3:
			w.facts[f[1]], err = strconv.Unquote(f[2])
		case f[0] == "sect" && len(f) == 5:
			s := sectionLine{}
			r := reader{}
			r.sum(&s.sum, f[1])
			s.files, s.bytes, s.name = r.int(f[2]), r.int(f[3]), r.text(f[4])
			if r.err == nil && !filepath.IsLocal(s.name) {
				r.err = errOut
			}
			w.sections, err = append(w.sections, s), r.err
		default:
			err = errors.New("unknown line")
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %q: %w", ErrDamaged, line, err)
		}
	}
	return w, nil
}

func parseSection(b []byte) ([]Entry, error) {
	all, err := lines(b, sectionTitle)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(all))
	for i, line := range all {
		if err := entries[i].parse(line); err != nil {
			return nil, fmt.Errorf("%w: %q: %w", ErrDamaged, line, err)
		}
	}
	links := map[string]bool{}
	for i := range entries {
		if e := &entries[i]; e.Kind == Link {
			links[filepath.Clean(e.Path)] = true
		}
	}
	for i := range entries {
		if at := linkAbove(links, entries[i].Path); at != "" {
			return nil, fmt.Errorf("%w: %q lies below the link %q: %w", ErrDamaged, entries[i].Path, at, errOut)
		}
	}
	return entries, nil
}

// errOut is a manifest that somebody wrote who wants a restore to write elsewhere.
var errOut = errors.New("the path leads out of the backup")

// linkAbove is the link that a path leads through, "" for none.
func linkAbove(links map[string]bool, path string) string {
	if len(links) == 0 {
		return ""
	}
	for p := filepath.Dir(path); p != "."; p = filepath.Dir(p) {
		if links[p] {
			return p
		}
	}
	return ""
}

func (e *Entry) parse(line string) error {
	f := strings.Split(line, "\t")
	r := reader{}
	switch {
	case f[0] == "dir" && len(f) == 5:
		e.Kind, e.Mode, e.UID, e.GID = Dir, r.mode(f[1]), int(r.int(f[2])), int(r.int(f[3]))
	case f[0] == "link" && len(f) == 3:
		e.Kind, e.Target = Link, r.text(f[1])
	case f[0] == "file" && len(f) == 8:
		e.Kind = File
		r.sum(&e.Sum, f[1])
		e.Size, e.Mode, e.UID, e.GID = r.int(f[2]), r.mode(f[3]), int(r.int(f[4])), int(r.int(f[5]))
		e.Time = time.Unix(0, r.int(f[6]))
	default:
		return errors.New("unknown line")
	}
	e.Path = r.text(f[len(f)-1])
	// A manifest that somebody wrote must not lead out of its folder.
	if r.err == nil && !filepath.IsLocal(e.Path) {
		return errOut
	}
	return r.err
}

// reader reads fields and keeps the first error.
type reader struct{ err error }

func (r *reader) note(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) int(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	r.note(err)
	return n
}

func (r *reader) mode(s string) fs.FileMode {
	n, err := strconv.ParseUint(s, 8, 32)
	r.note(err)
	return fs.FileMode(n) & fs.ModePerm
}

func (r *reader) text(s string) string {
	text, err := strconv.Unquote(s)
	r.note(err)
	return text
}

func (r *reader) sum(to *[sha256.Size]byte, s string) {
	b, err := hex.DecodeString(s)
	if err == nil && len(b) != len(to) {
		err = errors.New("wrong length of a checksum")
	}
	r.note(err)
	copy(to[:], b)
}

// readSection reads the manifest of a section below a backup's folder.
func readSection(dir, name string) (entries []Entry, sum [sha256.Size]byte, err error) {
	b, err := os.ReadFile(manifestPath(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, sum, fmt.Errorf("%w: section %s has no manifest: %w", ErrDamaged, name, err)
	}
	if err != nil {
		return nil, sum, err
	}
	entries, err = parseSection(b)
	return entries, sha256.Sum256(b), err
}

func manifestPath(dir, section string) string {
	return filepath.Join(dir, "manifests", filepath.FromSlash(section), ".manifest")
}
