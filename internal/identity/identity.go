package identity

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"toastmaster/internal/vfs"
)

// File is the name of the file with the id in a part's folder.
const File = "instance"

// ID is the id of an instance; "" is none.
type ID string

// idLength is that of crypto/rand.Text: 26 letters and digits, 128 bits.
const idLength = 26

// New makes an id that no other instance has.
func New() ID { return ID(rand.Text()) }

// Parse accepts what New makes, and no other text.
func Parse(s string) (ID, error) {
	if len(s) != idLength || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return "", fmt.Errorf("%q is no instance id: %d of the letters A to Z and digits 2 to 7", s, idLength)
	}
	return ID(s), nil
}

// State is how far what lies in a part's place is a part.
type State uint8

// The states, from nothing to everything.
const (
	// Absent: the place does not exist, or there is nothing in it.
	Absent State = iota
	// Claimed: empty, but made for us on purpose: the next start may use it.
	Claimed
	// Unmarked: a part without an id, as versions before ids made it.
	Unmarked
	// Adopting: an id is on its way into all parts, and a start that was
	// interrupted goes on with it.
	Adopting
	// Marked: a part with its id.
	Marked
)

// Found is what lies in a part's place.
type Found struct {
	State State
	// ID is that of a part that is Adopting or Marked.
	ID ID
	// Used: there may be something in it that nobody wants to lose.
	Used bool
	// Lacks is what a part that is there should have and has not, "" for
	// nothing: a path.
	Lacks string
}

// Read reads the id of a folder, "" when it has none.
func Read(fsys vfs.FS, dir string) (ID, error) { return readFile(fsys, filepath.Join(dir, File)) }

// Intended reads the id that Intend left in a folder, "" for none.
func Intended(fsys vfs.FS, dir string) (ID, error) {
	return readFile(fsys, filepath.Join(dir, intent))
}

func readFile(fsys vfs.FS, name string) (ID, error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, 2*idLength))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	id, err := Parse(strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return id, nil
}

// intent is the name of an id that is to be everywhere and may not be yet.
const intent = File + ".adopt"

// Intend notes in a folder that id is about to be given to all parts.
func Intend(fsys vfs.FS, dir string, id ID) error { return write(fsys, dir, intent, id) }

// Write gives a folder its id, whatever it had before, and ends an intention.
// It is durable when Write returns.
func Write(fsys vfs.FS, dir string, id ID) error {
	if err := write(fsys, dir, File, id); err != nil {
		return err
	}
	err := fsys.Remove(filepath.Join(dir, intent))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, fsys.SyncDir(dir))
}

func write(fsys vfs.FS, dir, name string, id ID) error {
	return vfs.Replace(fsys, filepath.Join(dir, name), []byte(string(id)+"\n"))
}

// Entries lists a folder without what any file system's root has. A folder
// that does not exist has none.
func Entries(fsys vfs.FS, dir string) ([]string, error) {
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.Name() != "lost+found" {
			names = append(names, e.Name())
		}
	}
	return names, err
}
