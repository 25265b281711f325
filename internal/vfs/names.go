package vfs

import (
	"context"
	"errors"
	"io"
	"os"
)

// pageOfNames is how many names are in memory at once.
const pageOfNames = 1000

// EachName calls f with the names in a directory, in no order, until ctx ends. The real file system has them in
// pages, so that a directory may have more names than memory; ReadDir is what another one has.
func EachName(ctx context.Context, fsys FS, dir string, f func(name string)) error {
	if paged, ok := fsys.(interface {
		EachName(ctx context.Context, dir string, f func(name string)) error
	}); ok {
		return paged.EachName(ctx, dir, f)
	}
	entries, err := fsys.ReadDir(dir)
	for _, e := range entries {
		f(e.Name())
	}
	return err
}

// EachName is described at the function of this name.
func (OS) EachName(ctx context.Context, dir string, f func(name string)) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(pageOfNames)
		for _, name := range names {
			f(name)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
	}
}
