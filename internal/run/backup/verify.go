package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"toastmaster/configs"
	"toastmaster/directory/sql"
	archive "toastmaster/internal/backup"
)

// Verified is what a reading of a backup has come to.
type Verified struct {
	Path     string            `json:"path"`
	Files    int64             `json:"files"`
	Bytes    int64             `json:"bytes"`
	Problems []archive.Problem `json:"problems"`
}

// Verify reads every file of a backup and compares it with its checksum, then looks
// whether the database is one. It calls found with each problem when it meets it.
func Verify(ctx context.Context, b *archive.Backup, progress Progress, found func(archive.Problem)) (Verified, error) {
	v := Verified{Path: b.Path(), Problems: []archive.Problem{}}
	total := b.Total()
	problem := func(p archive.Problem) {
		v.Problems = append(v.Problems, p)
		found(p)
	}
	err := b.Verify(ctx, problem, func(c archive.Count) {
		v.Files += c.Files
		v.Bytes += c.Bytes
		progress(fmt.Sprintf("%s of %s read", configs.FormatSize(v.Bytes), configs.FormatSize(total.Bytes)), v.Bytes, total.Bytes)
	})
	if err != nil || len(v.Problems) > 0 {
		return v, err
	}
	// The octets are those that were written; are they a database?
	if err := checkDatabaseCopy(ctx, b); err != nil {
		problem(archive.Problem{Path: b.File(directorySection, directoryFile), What: err.Error()})
	}
	return v, nil
}

// checkDatabaseCopy looks into a copy of the copy: SQLite may write beside it.
func checkDatabaseCopy(ctx context.Context, b *archive.Backup) error {
	dir, err := os.MkdirTemp("", "toastmaster-verify-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	entries, err := b.Entries(directorySection)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Path == directoryFile {
			file := filepath.Join(dir, directoryFile)
			if err := b.ExtractFile(directorySection, e, file); err != nil {
				return err
			}
			return sql.CheckFile(ctx, file, configs.Default().Directory)
		}
	}
	return errors.New("there is no database in it")
}
