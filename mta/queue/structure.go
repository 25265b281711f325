package queue

import (
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"

	"toastmaster/internal/envelope"
	"toastmaster/internal/vfs"
)

// look reads the folders of deferred/ and hold/ at the start: it counts the message files, but for those of which
// stray says that they are not the home of their message, and brings those that lie in another folder than theirs to
// where they are found, as postsuper -s of Postfix does. Somebody may have copied them there.
func (d *disk) look(stray func(envelope.QueueID) bool) error {
	for place, counter := range map[Place]*atomic.Int64{Deferred: &d.files.deferred, Hold: &d.files.hold} {
		n, misplaced, err := d.files.lookInto(place, stray)
		if err != nil {
			return err
		}
		counter.Store(n)
		for _, path := range misplaced {
			d.putRight(place, path)
		}
	}
	return nil
}

// putRight moves a message file to the folder in which it is looked for. It replaces none.
func (d *disk) putRight(place Place, path string) {
	id := envelope.QueueID(filepath.Base(path))
	to := d.files.path(place, id)
	err := d.files.bucket(to)
	if err == nil {
		if other, _, failed := d.files.where(id); failed != nil || other != "" {
			err = errors.Join(failed, fs.ErrExist)
		}
	}
	var moved bool
	if err == nil {
		moved, err = vfs.Move(d.fs, path, to)
	}
	if moved {
		d.files.count(to, 1)
		d.log.Warn("queue file was in a wrong folder, and is moved", "id", id, "from", path, "to", to)
	}
	if err != nil {
		d.log.Error("queue file in a wrong folder cannot be moved", "id", id, "file", path, "cause", err.Error())
	}
}

// readers is how many buckets are read at once at the start, when the disk has to seek for
// each part of a directory. It is no parameter: more than the disk does at once changes nothing.
const readers = 8

// lookInto counts the message files of a place, and lists those in a wrong folder.
func (p *files) lookInto(place Place, stray func(envelope.QueueID) bool) (count int64, misplaced []string, err error) {
	dir := filepath.Join(p.dir, string(place))
	entries, err := p.fs.ReadDir(dir)
	if err != nil {
		return 0, nil, err
	}
	var n atomic.Int64
	errs, wrong := make([]error, len(entries)), make([][]string, len(entries))
	turns := make(chan struct{}, readers)
	var wg sync.WaitGroup
	for i, e := range entries {
		if !e.IsDir() {
			if validID(envelope.QueueID(e.Name())) {
				misplaced = append(misplaced, filepath.Join(dir, e.Name()))
			}
			continue
		}
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			errs[i] = p.everyIn(place, e.Name(), func(id envelope.QueueID, _ fs.DirEntry) error {
				switch {
				case bucket(id) != e.Name():
					wrong[i] = append(wrong[i], filepath.Join(dir, e.Name(), string(id)))
				case !stray(id):
					n.Add(1)
				}
				return nil
			})
		})
	}
	wg.Wait()
	for _, list := range wrong {
		misplaced = append(misplaced, list...)
	}
	return n.Load(), misplaced, errors.Join(errs...)
}
