package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/sql"
	archive "toastmaster/internal/backup"
	"toastmaster/internal/clock"
	"toastmaster/internal/run/parts"
	"toastmaster/internal/run/usage"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mailstore/snapshot"
)

// The sections of a backup. An account's is mailSection and its home.
const (
	configSection    = "config"
	directorySection = "directory"
	queueSection     = "queue"
	storeSection     = "store"
	mailSection      = "mail/"

	configFile    = "toastmaster.toml"
	directoryFile = "directory.db"
)

// The facts of a backup.
const (
	FactVersion  = "version"
	FactHostname = "hostname"
	FactConfig   = "configuration"
	FactBegan    = "began"
	FactEnded    = "ended"
	FactAccounts = "accounts"
	FactQueued   = "queued"
)

// Progress says how far the work is: done of total octets, 0 for a total that is not
// known; text says what.
type Progress func(text string, done, total int64)

// Options say what is backed up, and how.
type Options struct {
	// Config is the configuration of the instance.
	Config *configs.Config
	// Version is that of this program, which the backup notes.
	Version string
	// Dir is the folder of backups.
	Dir string
	// Full copies everything and links to no earlier archive.
	Full     bool
	Progress Progress
}

// making is a backup that is being made.
type making struct {
	c        *configs.Config
	w        *archive.Writer
	stage    *snapshot.Staging
	clock    clock.Clock
	version  string
	progress Progress

	accounts, queued int
	// total is what is expected, done what is copied or linked, in octets.
	total, done int64
}

// Result is what a backup has come to.
type Result struct {
	Path     string `json:"path"`
	Accounts int    `json:"accounts"`
	Queued   int    `json:"queued"`
	Files    int64  `json:"files"`
	Bytes    int64  `json:"bytes"`
	NewFiles int64  `json:"new_files"`
	NewBytes int64  `json:"new_bytes"`
	Duration string `json:"duration"`
}

// Make makes a backup of an instance in the folder Dir.
//
// The order decides what is in it. A mailbox of which somebody was told is in the
// database before mail for it is accepted; a message that leaves the queue is in
// the store before. So: database, queue, store. What was accepted before the
// backup began is in it, in the queue, in the store, or in both, which a replay of
// the delivery makes one.
func Make(ctx context.Context, o Options) (result Result, err error) {
	c, dir := o.Config, o.Dir
	inside, err := isInside(dir, c)
	if err != nil {
		return result, err
	}
	if inside != "" {
		return result, usage.Errorf("%s is inside of %s: a backup needs a folder of its own, on another disk if possible", dir, inside)
	}
	repo, err := archive.Open(dir)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, repo.Close()) }()
	r := &making{c: c, clock: clock.System{}, version: o.Version, progress: o.Progress}
	began := r.clock.Now()
	if r.w, err = repo.Begin(archive.BeginOptions{Clock: r.clock, Full: o.Full}); err != nil {
		return result, err
	}
	if err := r.all(ctx, dir, began); err != nil {
		return result, errors.Join(err, r.w.Abandon())
	}
	if err := r.w.Finish(); err != nil {
		return result, err
	}
	return Result{
		Path: r.w.Path(), Accounts: r.accounts, Queued: r.queued,
		Files: r.w.Copied.Files + r.w.Linked.Files, Bytes: r.w.Copied.Bytes + r.w.Linked.Bytes,
		NewFiles: r.w.Copied.Files, NewBytes: r.w.Copied.Bytes,
		Duration: r.clock.Now().Sub(began).Round(time.Millisecond).String(),
	}, nil
}

// isInside says in which folder of the instance dir lies, "" for none.
func isInside(dir string, c *configs.Config) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for _, own := range []string{c.Path(c.Store.Path), c.Path(configs.QueueDir)} {
		own, err := filepath.Abs(own)
		if err != nil {
			return "", err
		}
		if rel, err := filepath.Rel(own, dir); err == nil && filepath.IsLocal(rel) {
			return own, nil
		}
	}
	return "", nil
}

func (r *making) all(ctx context.Context, dir string, began time.Time) (err error) {
	root := r.c.Path(r.c.Store.Path)
	// Of what is not there, of a volume that is not mounted, there is no backup
	// without mail.
	if _, err := parts.Look(ctx, r.c); err != nil {
		return err
	}
	if r.stage, err = snapshot.NewStaging(root); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.stage.Close()) }()
	if err := r.measure(ctx, dir, root); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		make func(context.Context) error
	}{
		{"configuration", r.configuration},
		{"database", r.database},
		{"queue", r.queue},
		{"store", func(ctx context.Context) error { return r.store(ctx, root) }},
	} {
		if err := part.make(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	for name, value := range map[string]string{
		FactVersion: r.version, FactHostname: r.c.Main.Hostname, FactConfig: absolute(r.c.File),
		FactBegan: began.UTC().Format(time.RFC3339), FactEnded: r.clock.Now().UTC().Format(time.RFC3339),
		FactAccounts: strconv.Itoa(r.accounts), FactQueued: strconv.Itoa(r.queued),
	} {
		r.w.Fact(name, value)
	}
	return nil
}

// absolute is a path that says something outside of this process's folder, too.
func absolute(path string) string {
	if a, err := filepath.Abs(path); err == nil {
		return a
	}
	return path
}

// measure counts what is to be copied and looks whether there is room for it.
func (r *making) measure(ctx context.Context, dir, root string) error {
	var need int64
	err := snapshot.Homes(ctx, root, func(home string) error {
		files, err := snapshot.Messages(root, home)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		earlier := newEarlierMessages(r.w.Earlier(mailSection + home))
		for i := range files {
			info, err := os.Lstat(files[i].From)
			if err != nil {
				continue // gone, or to be found again
			}
			r.total += info.Size()
			if _, ok := earlier.same(&files[i], info); !ok {
				// A file takes whole blocks.
				need += (info.Size() + blockSize - 1) / blockSize * blockSize
			}
		}
		r.progress(fmt.Sprintf("looking at the store, %s", home), 0, 0)
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	more, err := treeSize(r.c.Path(configs.QueueDir), "journal")
	if err != nil {
		return err
	}
	if info, err := os.Stat(r.c.Path(r.c.Directory.Path)); err == nil {
		more += info.Size()
	}
	free, err := vfs.OS{}.Free(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if need += more; free < need+spareSpace {
		return fmt.Errorf("%s has %s free, and this backup needs %s: make room, or remove the oldest backup in it", dir, configs.FormatSize(free), configs.FormatSize(need+spareSpace))
	}
	return nil
}

const (
	blockSize = 4096
	// spareSpace is for folders, manifests and what arrives meanwhile.
	spareSpace = 8 << 20
)

// treeSize adds up the files below dir, but not those in a folder named skip.
func treeSize(dir, skip string) (int64, error) {
	var size int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir() && d.Name() == skip:
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		if info, err := d.Info(); err == nil {
			size += info.Size()
		}
		return nil
	})
	return size, err
}

// configuration copies the configuration file and the keys that it names.
func (r *making) configuration(context.Context) error {
	s, err := r.w.Begin(configSection)
	if err != nil {
		return err
	}
	if _, err := s.Copy(configFile, r.c.File); err != nil {
		return err
	}
	for i, entry := range r.c.TLS.Certificates {
		cert, key := configs.CertificateFiles(entry)
		names := tlsNames(i)
		for j, file := range []string{cert, key} {
			if s.Has(names[j]) || file == "" {
				continue
			}
			// The name may be a link, as certificate managers make them.
			path, err := filepath.EvalSymlinks(r.c.Path(file))
			if err == nil {
				_, err = s.Copy(names[j], path)
			}
			if err != nil {
				return err
			}
		}
	}
	return s.End()
}

// tlsNames are the names that the files of a pair have in a backup.
func tlsNames(i int) [2]string {
	return [2]string{fmt.Sprintf("tls/%d-cert.pem", i), fmt.Sprintf("tls/%d-key.pem", i)}
}

// errOnServer keeps a backup from being half of an instance.
var errOnServer = errors.New("the database is on a server, which a backup does not hold yet: save it with pg_dump, and the mail store and the queue with the file system's snapshots")

func (r *making) database(ctx context.Context) error {
	if r.c.Directory.Type != "sqlite" {
		return errOnServer
	}
	s, err := r.w.Begin(directorySection)
	if err != nil {
		return err
	}
	live := r.c.Path(r.c.Directory.Path)
	if err := sql.Snapshot(ctx, live, s.Where(directoryFile), r.c.Directory); err != nil {
		return err
	}
	info, err := os.Stat(live)
	if err != nil {
		return err
	}
	if err := s.Adopt(directoryFile, info); err != nil {
		return err
	}
	return s.End()
}

// store copies the accounts, and what the store keeps besides.
func (r *making) store(ctx context.Context, root string) error {
	s, err := r.w.Begin(storeSection)
	if err != nil {
		return err
	}
	private := filepath.Join(root, mailstore.Private)
	if err := copyTop(s, private); err != nil {
		return err
	}
	if err := copyTree(s, private, "corrupt"); err != nil {
		return err
	}
	if err := s.End(); err != nil {
		return err
	}
	return snapshot.Homes(ctx, root, func(home string) error {
		r.accounts++
		return r.account(ctx, root, home)
	})
}

// copyTop copies the regular files of a folder, but locks and what is made anew at
// need (the store's reserve is a megabyte of nothing).
func copyTop(s *archive.Section, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if !e.Type().IsRegular() || strings.Contains(name, "lock") || strings.HasSuffix(name, ".new") || strings.HasSuffix(name, ".tmp") {
			continue
		}
		if _, err := s.Copy(name, filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// copyTree copies the regular files below a folder of dir.
func copyTree(s *archive.Section, dir, name string) error {
	return filepath.WalkDir(filepath.Join(dir, name), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if _, err := s.Copy(filepath.ToSlash(rel), path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}
