package box

import (
	"path/filepath"
	"time"

	"toastmaster/mailstore/index"
	"toastmaster/mailstore/volume"
)

// ahead is how far the clock of whoever changes a directory may be ahead of ours.
const ahead = time.Minute

// stamps are what is known of the mtimes of new and cur: whether they say that another
// program changed something, and when the directories are to be read again although they did not
// change. Zero is never.
type stamps struct {
	files          *folder
	newDue, curDue time.Time
	lastScan       time.Time
	scanTook       time.Duration
	// unread: the last scan met a new message that cannot be read.
	unread bool
	// expungedLeft: files of expunged messages could not be removed. They are
	// no new messages.
	expungedLeft bool
}

// adopt begins anew with what the index says.
func (s *stamps) adopt(st *index.State) {
	*s = stamps{files: s.files}
	if st.New.Racy {
		s.newDue = s.files.vol.Clock.Now()
	}
	if st.Cur.Racy {
		s.curDue = s.files.vol.Clock.Now()
	}
}

// tooSoon says that somebody changes the directories all the time, who must not make us
// read them all the time.
func (s *stamps) tooSoon() bool {
	age := s.files.vol.Clock.Now().Sub(s.lastScan)
	return age >= 0 && age < 20*s.scanTook
}

// stale says which directories must be read.
func (s *stamps) stale(st *index.State, n, c int64) (scanNew, scanCur bool) {
	due := func(t time.Time) bool { return !t.IsZero() && !s.files.vol.Clock.Now().Before(t) }
	return n != st.New.MTime || due(s.newDue), c != st.Cur.MTime || due(s.curDue)
}

// scanned notes the mtimes from before the scan. One that is too young to be
// trusted is looked at again after a tick.
func (s *stamps) scanned(st *index.State, batch *index.Batch, d *difference, n, c int64) {
	now := s.files.vol.Clock.Now()
	young := func(mtime int64) (index.Stamp, time.Time) {
		// One that lies far ahead is of a clock that was wrong: what changes
		// now gets another.
		if age := now.Sub(time.Unix(0, mtime)); age < volume.Tick && age > -ahead {
			return index.Stamp{MTime: mtime, Racy: true}, now.Add(volume.Tick)
		}
		return index.Stamp{MTime: mtime}, time.Time{}
	}
	stampNew, stampCur := st.New, st.Cur
	if d.readNew {
		stampNew, s.newDue = young(n)
	}
	if d.readCur {
		stampCur, s.curDue = young(c)
	}
	if s.unread {
		due := now.Add(s.files.vol.Config.VerifyInterval)
		s.newDue, s.curDue = earlier(s.newDue, due), earlier(s.curDue, due)
		stampNew.Racy, stampCur.Racy = true, true // for who loads the index next
	}
	batch.Stamps(stampNew, stampCur)
}

// own brackets a change that this process makes in the directories, so that
// it is not taken for somebody else's.
type own struct {
	inNew, inCur bool
	n, c         int64 // mtimes before
}

// beginOwn notes the mtimes of the directories that are about to change.
func (s *stamps) beginOwn(inNew, inCur bool) (o own, err error) {
	o.inNew, o.inCur = inNew, inCur
	if inNew {
		if o.n, err = s.files.mtime("new"); err != nil {
			return o, err
		}
	}
	if inCur {
		o.c, err = s.files.mtime("cur")
	}
	return o, err
}

// endOwn logs the mtimes as known if they were known before. What others did
// between the two calls, or in the same volume.Tick, cannot be seen in the mtime:
// the directory is read again after verify_interval.
func (s *stamps) endOwn(st *index.State, batch *index.Batch, o own) error {
	due := s.files.vol.Clock.Now().Add(s.files.vol.Config.VerifyInterval)
	stampNew, stampCur := st.New, st.Cur
	if o.inNew && o.n == stampNew.MTime {
		n, err := s.files.mtime("new")
		if err != nil {
			return err
		}
		if n != o.n {
			stampNew = index.Stamp{MTime: n, Racy: true}
			s.newDue = earlier(s.newDue, due)
		}
	}
	if o.inCur && o.c == stampCur.MTime {
		c, err := s.files.mtime("cur")
		if err != nil {
			return err
		}
		if c != o.c {
			stampCur = index.Stamp{MTime: c, Racy: true}
			s.curDue = earlier(s.curDue, due)
		}
	}
	if stampNew != st.New || stampCur != st.Cur {
		batch.Stamps(stampNew, stampCur)
	}
	return nil
}

// forget makes the next comparison read both directories.
func (s *stamps) forget() {
	s.newDue, s.curDue = s.files.vol.Clock.Now(), s.files.vol.Clock.Now()
}

// notRead notes that an unknown file cannot be read now. Whoever gives it its
// rights back changes no directory, so both are read again after
// verify_interval.
func (s *stamps) notRead(file string, cause error) {
	s.files.vol.SayOnce(filepath.Join(s.files.path, file), "cannot be read", cause)
	s.unread = true
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
