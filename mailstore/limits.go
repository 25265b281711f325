package mailstore

import (
	"strings"
)

// roomForFolders says whether the account may have more folders, and default
// folders that are not made yet. It reads one directory and looks into none.
// a.mu is held.
func (a *account) roomForFolders(more int) error {
	entries, err := a.store.fs.ReadDir(a.home)
	if err != nil {
		return err
	}
	n := more
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && e.IsDir() {
			n++
		}
	}
	if n > a.store.cfg.MaxFolders {
		return ErrTooManyFolders
	}
	return nil
}

// checkDir says whether a new folder's name is within the limits.
func (s *Store) checkDir(dir string) error {
	if strings.Count(dir, ".") > s.cfg.MaxFolderDepth || len(dir) > s.cfg.MaxFolderName {
		return ErrFolderName
	}
	return nil
}

// missingParents are the folders above name that are not there, the outermost
// first; a.mu is held.
func (a *account) missingParents(name string) (dirs []string, err error) {
	sep := string(a.store.sep)
	for i := range len(name) {
		if !strings.HasPrefix(name[i:], sep) {
			continue
		}
		dir, err := a.folderDir(name[:i])
		if err != nil {
			return nil, err
		}
		there, err := a.hasFolder(dir)
		if err != nil {
			return nil, err
		}
		if !there {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// makeParents makes the folders above name that are missing, if the account may
// have so many more, and others beside them; a.mu is held.
func (a *account) makeParents(name string, others int) error {
	missing, err := a.missingParents(name)
	if err != nil {
		return err
	}
	if more := len(missing) + others; more > 0 {
		if err := a.roomForFolders(more); err != nil {
			return err
		}
	}
	for _, dir := range missing {
		if err := a.makeFolder(dir); err != nil {
			return err
		}
	}
	return nil
}
