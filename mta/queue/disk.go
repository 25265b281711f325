package queue

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/envelope"
	"toastmaster/internal/journal"
	"toastmaster/internal/msglog"
	"toastmaster/internal/vfs"
	"toastmaster/mta/queue/salvage"
)

// disk is where messages lie, and does the work of a transition there: the journal,
// files of their own, and corrupt/.
type disk struct {
	fs      vfs.FS
	dir     string // of the queue
	clock   clock.Clock
	log     *msglog.Log
	files   *files
	ledger  *ledger
	budget  *budget
	corrupt *salvage.Folder
	// memoryLimit is queue.memory_limit.
	memoryLimit int64
}

func newDisk(o Options, closing <-chan struct{}) *disk {
	f := &files{fs: o.FS, dir: o.Dir, ready: map[string]bool{}}
	return &disk{
		fs: o.FS, dir: o.Dir, clock: o.Clock, log: o.Log, files: f, ledger: newLedger(o, f),
		budget:      newBudget(o.Config, o.Clock, closing),
		corrupt:     &salvage.Folder{FS: o.FS, Path: filepath.Join(o.Dir, dirCorrupt), Log: o.Log, Valid: validID},
		memoryLimit: o.Config.MemoryLimit,
	}
}

// readBack makes sure that m is in memory as far as an attempt needs it; with
// content set it looks at that, too.
func (d *disk) readBack(m *message, content bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.env == nil {
		if err := d.load(m); err != nil {
			return m.noteDamage(err)
		}
	}
	if !content || m.place != Incoming {
		return nil
	}
	c, err := d.content(m)
	if err != nil {
		return err
	}
	return c.Close()
}

// load reads a message from its file or its record; m.mu is held.
func (d *disk) load(m *message) error {
	if m.place == Incoming {
		r, err := d.loadRecord(m)
		if err != nil {
			return err
		}
		m.env, m.text = r.env, r.text
		d.budget.keep(m)
		return nil
	}
	f, mf, err := d.files.read(m.place, m.id)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	m.env, m.progress, m.size = mf.env, *mf.progress, mf.contentSize
	m.replay = mf.progress.boot != d.ledger.boot
	if mf.progress.expired {
		m.expire.Store(true)
	}
	// Marks of this time in the active window must stay in the journal until
	// the file has the new progress.
	m.pos = d.ledger.j.Pin()
	return nil
}

// putOff forgets what load read of a message in a file, and has the file say that it is
// due at next.
func (d *disk) putOff(m *message, next time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d.ledger.j.Unpin(m.pos)
	m.pos, m.env, m.progress = journal.Position{}, nil, progress{}
	if err := d.fs.Chtimes(d.files.path(m.place, m.id), next, next); err != nil {
		d.log.Warn("queue file takes no other time", "id", m.id, "cause", err.Error())
	}
}

func (d *disk) loadRecord(m *message) (*record, error) {
	payload, err := d.ledger.j.Load(m.pos)
	if err != nil {
		return nil, err
	}
	return decodeMessage(payload[1:])
}

// settle returns when what was delivered into the store of m is durable.
func (d *disk) settle(ctx context.Context, m *message) error {
	m.mu.Lock()
	open := m.unsettled(d.ledger.durable.Load())
	m.mu.Unlock()
	if !open {
		return nil
	}
	return d.ledger.j.Checkpoint(ctx)
}

// toFile brings a message into its file in place, durably: written from the
// journal, brought up to date, or moved. The recipients that are done in the
// store are settled first, so that the file needs no second kind of done.
func (d *disk) toFile(ctx context.Context, t task, place Place) error {
	m := t.m
	next := t.next
	if next.IsZero() {
		next = d.clock.Now()
	}
	if err := d.settle(ctx, m); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.place == Incoming:
		return d.writeFile(m, place, next)
	case !t.at.loaded:
		if m.expire.Load() && !m.marked {
			already, err := d.markFile(m, next)
			if err != nil {
				return m.noteDamage(err)
			}
			if m.marked = true; already && place == m.place {
				return ErrUnchanged
			}
		}
		return d.moveFile(m, place, next)
	case m.damage != nil:
		return m.damage
	}
	m.ensureProgress()
	if err := d.files.update(m.place, m.id, m.snapshot(d.ledger.boot, d.ledger.durable.Load()), next); err != nil {
		return m.noteDamage(err)
	}
	if place != m.place {
		if err := d.rename(m, place); err != nil {
			return err
		}
	}
	d.ledger.j.Unpin(m.pos)
	m.pos = journal.Position{}
	return nil
}

// placed is the envelope of a message that has a file: that it is on hold is where it
// lies, from here on.
func placed(env *envelope.Envelope) *envelope.Envelope {
	if !env.Hold {
		return env
	}
	in := *env
	in.Hold = false
	return &in
}

// writeFile makes the file of a message in the journal and lets go of its record;
// m.mu is held. Should the mark be lost, recovery finds the file.
func (d *disk) writeFile(m *message, place Place, next time.Time) error {
	if m.env == nil {
		if err := d.load(m); err != nil {
			return m.noteDamage(err)
		}
	}
	m.ensureProgress()
	content, err := d.wholeContent(m)
	if err != nil {
		return err
	}
	defer content.Close()
	if m.stray != "" && m.stray != place {
		if err := d.files.discard(m.stray, m.id); err != nil {
			return err
		}
	}
	m.stray = place
	m.env = placed(m.env)
	if err := d.files.create(place, m.env, content, m.snapshot(d.ledger.boot, d.ledger.durable.Load()), next); err != nil {
		return err
	}
	m.stray = ""
	d.ledger.farewell(m.id, leftMoved)
	if m.external {
		d.ledger.depart(departure{paths: []string{d.files.content(m.id)}})
	}
	d.ledger.j.Unpin(m.pos)
	m.pos, m.place, m.external = journal.Position{}, place, false
	d.budget.giveBack(m)
	return nil
}

// copyOut is toFile for a message whose stage goes on, due now. What
// an active one is marked with from now on stays in the journal: the pin is taken
// before its progress is written, so no mark falls between.
func (d *disk) copyOut(ctx context.Context, t task, place Place) error {
	m := t.m
	if err := d.readBack(m, true); err != nil {
		return d.judge(m, t.at.stage == active, err)
	}
	t.next = d.clock.Now()
	pin := d.ledger.j.Pin()
	err := d.toFile(ctx, t, place)
	if t.at.stage == active && err == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.pos = pin
		return nil
	}
	d.ledger.j.Unpin(pin)
	if errors.Is(err, errContent) || errors.Is(err, errSpoiled) {
		return d.judge(m, t.at.stage == active, err)
	}
	return err
}

// markFile writes into the file of a message that is in its file only that it is made to expire;
// already: it says so. m.mu is held.
func (d *disk) markFile(m *message, next time.Time) (already bool, err error) {
	f, mf, err := d.files.read(m.place, m.id)
	if err != nil {
		return false, err
	}
	if err := f.Close(); err != nil || mf.progress.expired {
		return true, err
	}
	mf.progress.expired = true
	return false, d.files.update(m.place, m.id, mf.progress, next)
}

// moveFile moves a message that is in its file only, due at next; m.mu is held.
func (d *disk) moveFile(m *message, place Place, next time.Time) error {
	if place == Deferred {
		if err := d.fs.Chtimes(d.files.path(m.place, m.id), next, next); err != nil {
			return err
		}
	}
	if place == m.place {
		return nil
	}
	return d.rename(m, place)
}

// rename moves the file of m; m.mu is held.
func (d *disk) rename(m *message, place Place) (err error) {
	m.place, err = d.files.move(m.place, place, m.id)
	return err
}

// reset forgets attempts and reasons of a message that is in its file only, and
// brings it into deferred/, due at next.
func (d *disk) reset(m *message, next time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, mf, err := d.files.read(m.place, m.id)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	s := mf.progress
	s.attempts, s.warned = 0, false
	for i := range s.rcpts {
		s.rcpts[i].last = nil
	}
	if err := d.files.update(m.place, m.id, s, next); err != nil {
		return err
	}
	if m.place != Hold {
		return nil
	}
	return d.moveFile(m, Deferred, next)
}

// remove deletes a message that is pending, durably. What it delivered into the
// store is settled first: the queue has the only durable copy.
func (d *disk) remove(ctx context.Context, m *message) error {
	if err := d.settle(ctx, m); err != nil {
		return err
	}
	m.mu.Lock()
	place, file := m.place, m.stray
	m.mu.Unlock()
	if place == Incoming {
		if err := d.ledger.deleted(ctx, m.id); err != nil {
			return err
		}
	} else {
		file = place
	}
	if file != "" {
		// Marks in the journal that speak of an older home of the message
		// must not outlive its file.
		if err := d.ledger.j.Flush(ctx); err != nil {
			return err
		}
		if err := d.removeFile(place, file, m.id); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removed = true
	return nil
}

// removeFile removes the file of a message that lives in place.
func (d *disk) removeFile(place, file Place, id envelope.QueueID) error {
	if place == Incoming {
		return d.files.discard(file, id)
	}
	return d.files.removeDurably(file, id)
}

// leave takes a message out of the queue that has nobody pending. Its files stay
// until a checkpoint has made the store durable and the marks are on disk. It
// reports whether it has none.
func (d *disk) leave(m *message) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := departure{m: m, pin: m.pos}
	if m.place != Incoming && !m.removed {
		c.paths = append(c.paths, d.files.path(m.place, m.id))
	}
	if m.stray != "" && !m.removed {
		c.stray = d.files.path(m.stray, m.id)
	}
	if m.place == Incoming && m.external {
		c.paths = append(c.paths, d.files.content(m.id))
	}
	d.budget.giveBack(m)
	d.ledger.forgetAsked(m)
	if len(c.paths) == 0 && c.stray == "" {
		d.ledger.j.Unpin(c.pin)
		return true
	}
	d.ledger.depart(c)
	return false
}
