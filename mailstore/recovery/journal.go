package recovery

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"toastmaster/internal/journal"
	"toastmaster/mailstore/volume"
)

// Journal is the store's. Recover comes first. Safe for concurrent use after it.
type Journal struct {
	vol *volume.Volume
	// own is this process's, marks are its.
	own        *journal.Journal
	marks      *doneMarks
	unfinished unfinished
	// promised is what clients were told of messages, by folder and base name,
	// while Recover runs.
	promised map[Folder]map[string]Promise
}

// New makes a journal on a volume.
func New(vol *volume.Volume) *Journal { return &Journal{vol: vol} }

// maxJournals bounds the processes on one store. It is no parameter: a store has one
// process, and for moments two.
const maxJournals = 64

// Recover opens a journal of our own and finishes what is in those that no process
// uses; hands do it.
func (j *Journal) Recover(ctx context.Context, hands Hands) error {
	all, err := j.orphans(ctx)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("mailstore: %d processes have the store open", maxJournals)
	}
	if err == nil {
		err = j.recoverAll(ctx, all, hands)
	}
	if err == nil {
		j.own, j.marks = all[0].journal, all[0].marks
		if len(j.unfinished.list()) == 0 {
			// Should it not be noted, a start believes less of what it finds.
			if noteErr := j.vol.NoteJournalEra(all[0].n); noteErr != nil {
				j.vol.Log.Warn("table of processes not written", "cause", noteErr)
			}
		}
		all = all[1:]
	}
	for _, l := range all {
		if closeErr := l.journal.Close(context.WithoutCancel(ctx)); err != nil {
			err = errors.Join(err, closeErr)
		} else if closeErr != nil {
			// The next start has more to read.
			j.vol.Log.Warn("journal of another process not closed", "dir", l.dir, "cause", closeErr)
		}
	}
	return err
}

// Close ends it.
func (j *Journal) Close(ctx context.Context) error { return j.own.Close(ctx) }

// Checkpoint makes durable what is in it, and lets segments be used again.
func (j *Journal) Checkpoint(ctx context.Context) error { return j.own.Checkpoint(ctx) }

// Flush makes durable what was written lazily.
func (j *Journal) Flush(ctx context.Context) error { return j.own.Flush(ctx) }

// Usage is how full it is.
func (j *Journal) Usage() journal.Usage { return j.own.Usage() }

// Takes says that a content of so many octets goes into the journal. A larger one,
// which would be written twice, is synced at once.
func (j *Journal) Takes(octets int64) bool { return octets <= j.own.MaxRecord()/4 }

// Promised is what clients were told of the messages of a folder, by their base
// names. It is nil when all is recovered.
func (j *Journal) Promised(f Folder) map[string]Promise { return j.promised[f] }

// depart writes a record of Left and drops what was to be finished. The order of
// the account is held, if it is in use.
func (j *Journal) depart(ctx context.Context, d Departure) error {
	if err := j.own.AppendLazy(d.record()); err != nil {
		return err
	}
	// A rename that waits is not for who makes a folder of that name anew.
	for _, r := range j.unfinished.list() {
		if r.Kind == Renamed && (Folder{r.Home, r.Dir}) == d.Folder {
			if err := j.own.AppendLazy(appendUndone(r.operation)); err != nil {
				return err
			}
		}
	}
	if err := j.own.Flush(ctx); err != nil {
		return err
	}
	j.unfinished.forget(d.Folder)
	return nil
}

func (j *Journal) dir(n int) string {
	return filepath.Join(j.vol.Root, volume.Private, "journal-"+strconv.Itoa(n))
}

// corrupt is the folder of what was damaged in the journal in dir.
func (j *Journal) corrupt(dir string) string {
	return filepath.Join(j.vol.Root, volume.Private, "corrupt", filepath.Base(dir))
}

// saveRecord keeps a record that is of no use to us. It reports whether it lies
// there now.
func (j *Journal) saveRecord(dir string, pos journal.Position, payload []byte, why error) bool {
	path := filepath.Join(j.corrupt(dir), fmt.Sprintf("record-%d-%d", pos.Segment, pos.Offset))
	fs := j.vol.FS
	f, err := fs.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.WriteAt(payload, 0)
		err = errors.Join(err, f.Sync(), f.Close(), fs.SyncDir(j.corrupt(dir)))
	}
	if err != nil {
		j.vol.Log.Error("record of the store's journal cannot be kept", "file", path, "why", why.Error(), "cause", err.Error())
		return false
	}
	j.vol.Log.Error("record of the store's journal kept in corrupt", "file", path, "why", why.Error())
	return true
}
