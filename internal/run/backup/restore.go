package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"toastmaster/configs"
	archive "toastmaster/internal/backup"
	"toastmaster/internal/identity"
	"toastmaster/internal/run/check"
	"toastmaster/internal/run/rights"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mta/queue"
)

// RestoreOptions say what is restored, and to where.
type RestoreOptions struct {
	// From is a backup, or a folder of backups, of which the newest is taken.
	From string
	// Config is a configuration that exists: its places are those of the data, and
	// configuration and keys are not restored. nil restores them, too.
	Config *configs.Config
	// To, if Config is nil, is the folder below which all goes; "" is where it was.
	To       string
	Progress Progress
}

// restoring is a restore under way.
type restoring struct {
	b *archive.Backup
	c *configs.Config
	// text is the configuration to be written, nil when it is there.
	text        []byte
	progress    Progress
	done, total int64
}

// Restored is what Restore has done.
type Restored struct {
	// Backup is what was restored.
	Backup *archive.Backup
	// Config is the file of the configuration to start with.
	Config string
}

// Restore brings a backup back. Nothing that exists is overwritten; while it is not
// done the instance cannot be started, and the same call goes on with it.
func Restore(ctx context.Context, o RestoreOptions) (Restored, error) {
	b, err := archive.Find(o.From)
	if err != nil {
		return Restored{}, err
	}
	r := &restoring{b: b, total: b.Total().Bytes, progress: o.Progress}
	if err := r.target(o); err != nil {
		return Restored{}, err
	}
	again, err := r.mayRestore()
	if err != nil {
		return Restored{}, err
	}
	if err := r.room(again); err != nil {
		return Restored{}, err
	}
	if err := r.all(ctx); err != nil {
		return Restored{}, err
	}
	return Restored{Backup: b, Config: r.c.File}, nil
}

// target finds out where everything goes.
func (r *restoring) target(o RestoreOptions) error {
	if o.Config != nil {
		r.c = o.Config
		return nil
	}
	entries, err := r.b.Entries(configSection)
	if err != nil {
		return err
	}
	file := r.b.Fact(FactConfig)
	if o.To != "" {
		file = filepath.Join(o.To, configFile)
	}
	for _, e := range entries {
		if e.Path != configFile {
			continue
		}
		if r.text, err = os.ReadFile(r.b.File(configSection, e.Path)); err != nil {
			return err
		}
	}
	if r.text == nil || file == "" {
		return fmt.Errorf("%s has no configuration: say with -c which is to be used", r.b.Path())
	}
	if r.c, err = configs.Parse(file, r.text); err != nil {
		return fmt.Errorf("the configuration in the backup is not understood by this version; mend a copy of it and use -c: %w", err)
	}
	if o.To == "" {
		return nil
	}
	return r.staysInside(o.To)
}

// staysInside refuses a configuration whose places are not below dir: what was
// asked for would overwrite, or serve, the instance that the backup is of.
func (r *restoring) staysInside(dir string) error {
	places := map[string]string{
		"main.data_dir": r.c.Dir(), "directory.path": r.c.Path(r.c.Directory.Path), "store.path": r.c.Path(r.c.Store.Path),
	}
	for i, entry := range r.c.TLS.Certificates {
		cert, key := configs.CertificateFiles(entry)
		places[fmt.Sprintf("tls.certificates %d", i+1)] = r.c.Path(cert)
		places[fmt.Sprintf("tls.certificates %d, key", i+1)] = r.c.Path(key)
	}
	var outside []string
	for name, place := range places {
		if rel, err := filepath.Rel(dir, place); err != nil || !filepath.IsLocal(rel) {
			outside = append(outside, name+" = "+place)
		}
	}
	if len(outside) > 0 {
		return fmt.Errorf("the configuration names places outside of %s (%s): change them in a copy of %s and use -c instead of --to",
			dir, strings.Join(outside, "; "), r.b.File(configSection, configFile))
	}
	return nil
}

// mayRestore refuses to overwrite; again says that an interrupted restore of the
// same backup goes on.
func (r *restoring) mayRestore() (again bool, err error) {
	served, err := isServed(r.c.Path(configs.QueueDir))
	if err != nil {
		return false, err
	}
	if served {
		return false, fmt.Errorf("an instance runs in %s: stop it, and move its data away", r.c.Dir())
	}
	if r.text != nil {
		if there, err := os.ReadFile(r.c.File); err == nil && !bytes.Equal(there, r.text) {
			return false, fmt.Errorf("%s exists and is another configuration: move it away, or use it with -c %s", r.c.File, r.c.File)
		}
	}
	text, err := os.ReadFile(check.RestoreMarker(r.c))
	switch {
	case err == nil && strings.TrimSpace(string(text)) == r.identity():
		return true, nil
	case err == nil:
		return false, fmt.Errorf("a restore of another backup (%s) was interrupted in %s: do that again, or move the data away", strings.TrimSpace(string(text)), r.c.Dir())
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	if _, err := os.Lstat(r.c.Path(r.c.Directory.Path)); !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("%s exists: nothing is overwritten, move it away", r.c.Path(r.c.Directory.Path))
	}
	for _, dir := range []string{r.c.Path(configs.QueueDir), r.c.Path(r.c.Store.Path)} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		for _, e := range entries {
			if e.Name() != "lost+found" {
				return false, fmt.Errorf("%s has %s in it: nothing is overwritten, move it away", dir, e.Name())
			}
		}
	}
	return false, nil
}

// identity is what tells this backup from others.
func (r *restoring) identity() string {
	return filepath.Base(r.b.Path()) + " of " + r.b.Fact(FactHostname)
}

// room looks whether the disk has room; what an interrupted restore has written
// is written over.
func (r *restoring) room(again bool) error {
	if again {
		return nil
	}
	return roomFor(r.c.Dir(), r.b.Total())
}

// all copies everything. The database comes last, and the marker goes when all of
// it is on the disk.
func (r *restoring) all(ctx context.Context) error {
	database, err := r.b.Entries(directorySection)
	if err != nil {
		return err
	}
	o := archive.ExtractOptions{Owner: os.Geteuid() == 0, Progress: func(c archive.Count) {
		r.done += c.Bytes
		r.progress(fmt.Sprintf("%s of %s", configs.FormatSize(r.done), configs.FormatSize(r.total)), r.done, r.total)
	}}
	for _, e := range database {
		o.UID, o.GID = e.UID, e.GID // whoever has the database has all
	}
	if err := o.MakeDirs(r.c.Dir()); err != nil {
		return err
	}
	if err := os.WriteFile(check.RestoreMarker(r.c), []byte(r.identity()+"\n"), 0o600); err != nil {
		return err
	}
	if err := archive.SyncFS(r.c.Dir()); err != nil {
		return err
	}
	root := r.c.Path(r.c.Store.Path)
	for _, section := range r.b.Sections() {
		to := ""
		switch {
		case section == storeSection:
			to = filepath.Join(root, mailstore.Private)
		case section == queueSection:
			to = r.c.Path(configs.QueueDir)
		case strings.HasPrefix(section, mailSection):
			to = filepath.Join(root, filepath.FromSlash(strings.TrimPrefix(section, mailSection)))
		case section == configSection || section == directorySection:
			continue
		default:
			return fmt.Errorf("the backup has a part %q that this version does not know", section)
		}
		if err := r.b.Extract(ctx, section, to, o); err != nil {
			return err
		}
	}
	if err := r.makeEmpty(root, o); err != nil {
		return err
	}
	if r.text != nil {
		if err := r.configuration(o); err != nil {
			return err
		}
	}
	for _, e := range database {
		if err := r.file(directorySection, e, r.c.Path(r.c.Directory.Path), o); err != nil {
			return err
		}
	}
	if err := r.sync(root); err != nil {
		return err
	}
	if err := os.Remove(check.RestoreMarker(r.c)); err != nil {
		return err
	}
	return archive.SyncFS(r.c.Dir())
}

// makeEmpty makes the empty folders and journals that store and queue have, and a
// backup has not.
func (r *restoring) makeEmpty(root string, o archive.ExtractOptions) error {
	disk := vfs.OS{}
	id, err := identity.Read(disk, filepath.Join(root, mailstore.Private))
	if err != nil || id == "" {
		return err // of before there were ids: the first start gives it one
	}
	queueAt := r.c.Path(configs.QueueDir)
	if err := errors.Join(mailstore.Create(rights.StoreFS(r.c), root, id, false), queue.Create(rights.QueueFS(r.c), queueAt, id)); err != nil {
		return err
	}
	if !o.Owner {
		return nil
	}
	for _, dir := range []string{filepath.Join(root, mailstore.Private), queueAt} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, o.UID, o.GID))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sync syncs every file system that something was written to.
func (r *restoring) sync(root string) error {
	dirs := []string{root, r.c.Path(configs.QueueDir), filepath.Dir(r.c.Path(r.c.Directory.Path))}
	if r.text != nil {
		dirs = append(dirs, filepath.Dir(r.c.File))
	}
	for _, dir := range dirs {
		if err := archive.SyncFS(dir); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	return nil
}

// configuration writes the configuration and the files of its certificates.
func (r *restoring) configuration(o archive.ExtractOptions) error {
	entries, err := r.b.Entries(configSection)
	if err != nil {
		return err
	}
	where := map[string]string{configFile: r.c.File}
	for i, entry := range r.c.TLS.Certificates {
		cert, key := configs.CertificateFiles(entry)
		names := tlsNames(i)
		where[names[0]], where[names[1]] = r.c.Path(cert), r.c.Path(key)
	}
	for _, e := range entries {
		to := where[e.Path]
		if to == "" {
			return fmt.Errorf("the backup has a file %s that its configuration does not name", e.Path)
		}
		if _, err := os.Lstat(to); err == nil && e.Path != configFile {
			continue // a certificate that is there may be newer
		}
		if err := r.file(configSection, e, to, o); err != nil {
			return err
		}
	}
	return nil
}

func (r *restoring) file(section string, e archive.Entry, to string, o archive.ExtractOptions) error {
	if err := o.MakeDirs(filepath.Dir(to)); err != nil {
		return err
	}
	if err := r.b.ExtractFile(section, e, to); err != nil {
		return err
	}
	if o.Owner {
		return os.Lchown(to, e.UID, e.GID)
	}
	return nil
}
