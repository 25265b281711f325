package volume

import (
	"errors"
	"io/fs"
	"path/filepath"

	"toastmaster/mailstore/index"
)

// IsMaildir says whether path is a Maildir: it has cur, which is made last, or
// else what only one that was complete has. Somebody may have removed cur.
func (s *Volume) IsMaildir(path string) (bool, error) {
	for _, name := range []string{"cur", index.LogFile, "maildirfolder"} {
		if there, err := Exists(s.FS, filepath.Join(path, name)); there || err != nil {
			return there, err
		}
	}
	return false, nil
}

// MakeMissing makes the folders of a Maildir that are missing: after a crash, or
// because somebody removed them. It does not make the Maildir itself, which
// may be on its way out.
func (s *Volume) MakeMissing(path string) error {
	for _, d := range []string{"tmp", "new", "cur"} {
		d = filepath.Join(path, d)
		there, err := Exists(s.FS, d)
		if err == nil && !there {
			err = s.FS.Mkdir(d, 0o700)
			s.Points.Changed()
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// Mend completes a mailbox's Maildir after cause, an error of one of its
// folders. nil means that cause may be gone, and the call worth a second try.
func (s *Volume) Mend(path string, cause error) error {
	if !errors.Is(cause, fs.ErrNotExist) {
		return cause
	}
	if there, err := s.IsMaildir(path); err != nil || !there {
		return errors.Join(cause, err)
	}
	if err := s.MakeMissing(path); err != nil {
		return errors.Join(cause, err)
	}
	s.Log.Warn("folders of a Maildir were missing and are made again", "path", path)
	return nil
}
