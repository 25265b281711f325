package box

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/logtest"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/volume"
)

// looker is a mailbox's stamps, with the folders that they are of.
type looker struct {
	t     *testing.T
	disk  *faultfs.Disk
	clock *clocktest.Clock
	files folder
	st    *index.State
	batch index.Batch
	stamps
}

func newLooker(t *testing.T) *looker {
	t.Helper()
	l := &looker{t: t, disk: faultfs.NewDisk(), clock: clocktest.New(time.Unix(1e9, 0)), st: index.NewState(7)}
	for _, sub := range []string{"new", "cur", "tmp"} {
		l.ok(l.disk.MkdirAll("/box/"+sub, 0o700))
	}
	vol := volume.New(volume.Options{Root: "/", FS: l.disk, Clock: l.clock, Log: msglog.New(slog.NewTextHandler(&logtest.Buffer{}, nil)), Config: configs.Default().Store})
	l.files = folder{vol, "/box"}
	l.stamps.files = &l.files
	l.touch("new", 0)
	l.touch("cur", 0)
	return l
}

func (l *looker) ok(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// touch changes a directory so long before now, as a program does that puts a file there.
func (l *looker) touch(sub string, ago time.Duration) {
	l.t.Helper()
	at := l.clock.Now().Add(-ago)
	l.ok(l.disk.Chtimes("/box/"+sub, at, at))
}

// look reads what is stale, and says what that was: "new cur", "new", "cur" or "".
func (l *looker) look() (read string) {
	l.t.Helper()
	n, c, err := l.files.mtimes()
	l.ok(err)
	d := &difference{}
	d.readNew, d.readCur = l.stale(l.st, n, c)
	switch {
	case d.readNew && d.readCur:
		read = "new cur"
	case d.readNew:
		read = "new"
	case d.readCur:
		read = "cur"
	default:
		return ""
	}
	l.scanned(l.st, &l.batch, d, n, c)
	l.apply()
	return read
}

func (l *looker) apply() {
	l.st.Apply(&l.batch)
	l.batch.Reset()
}

func (l *looker) reads(want, when string) {
	l.t.Helper()
	if got := l.look(); got != want {
		l.t.Errorf("%s: %q was read, want %q", when, got, want)
	}
}

// own is a change of our own, during which f may be another program.
func (l *looker) own(inNew, inCur bool, f func()) {
	l.t.Helper()
	o, err := l.beginOwn(inNew, inCur)
	l.ok(err)
	f()
	l.ok(l.endOwn(l.st, &l.batch, o))
	l.apply()
}

// TestDirectoriesAreReadWhenTheyChanged: each by itself, and once more after a tick of the
// file system's clock when the change was so young that another one may hide behind it.
func TestDirectoriesAreReadWhenTheyChanged(t *testing.T) {
	t.Parallel()
	l := newLooker(t)
	l.touch("new", time.Hour)
	l.touch("cur", time.Hour)
	l.reads("new cur", "the first time")
	l.reads("", "nothing changed")
	l.touch("cur", time.Minute)
	l.reads("cur", "one changed")
	l.touch("new", volume.Tick/2)
	l.reads("new", "a young change")
	l.reads("", "at once")
	l.clock.Advance(volume.Tick)
	l.reads("new", "a tick later")
	l.clock.Advance(time.Hour)
	l.reads("", "it is old now")
	// A clock that was ahead gives no reason to look all the time; one that is a little
	// ahead does.
	l.touch("new", -time.Hour)
	l.reads("new", "from far ahead")
	l.clock.Advance(volume.Tick)
	l.reads("", "from far ahead, later")
	l.touch("cur", -ahead/2)
	l.reads("cur", "a little ahead")
	l.clock.Advance(volume.Tick)
	l.reads("cur", "a little ahead, later")
	l.forget()
	l.reads("new cur", "when somebody says so")
}

// TestOwnChangesAreKnown: what this process did is not taken for another program's; what
// that did before, or meanwhile, is not hidden by it.
func TestOwnChangesAreKnown(t *testing.T) {
	t.Parallel()
	l := newLooker(t)
	settle := func() {
		l.clock.Advance(time.Hour)
		l.touch("new", time.Minute)
		l.touch("cur", time.Minute)
		l.reads("new cur", "settling")
		l.reads("", "settled")
	}
	settle()
	l.own(true, true, func() { l.touch("cur", 0) })
	l.reads("", "after a change of our own")
	if !l.st.Cur.Racy || l.st.New.Racy {
		t.Errorf("new %+v, cur %+v: who loads the index next must look at cur", l.st.New, l.st.Cur)
	}
	l.clock.Advance(l.files.vol.Config.VerifyInterval)
	l.reads("cur", "what others did at the same moment is found later")
	settle()
	l.touch("new", 0) // another program's, before
	l.own(true, false, func() { l.clock.Advance(time.Second); l.touch("new", 0) })
	l.reads("new", "another program was there before")
	settle()
	l.own(true, false, func() { l.touch("cur", 0) }) // in the other directory
	l.reads("cur", "another program was in the other directory")
	settle()
	l.own(false, false, func() {})
	l.reads("", "a change of nothing")
	// Whoever loads what another has left looks where that could not be sure.
	l.own(true, false, func() { l.touch("new", 0) })
	l.adopt(l.st)
	l.reads("new", "who loads the index")
}

// TestWhatCannotBeReadIsLookedForAgain: whoever gives a file its rights back changes no
// directory.
func TestWhatCannotBeReadIsLookedForAgain(t *testing.T) {
	t.Parallel()
	l := newLooker(t)
	l.touch("new", time.Hour)
	l.touch("cur", time.Hour)
	l.notRead("new/odd", os.ErrPermission)
	l.reads("new cur", "the first time")
	l.reads("", "too soon")
	if !l.st.New.Racy || !l.st.Cur.Racy {
		t.Error("who loads the index next does not look")
	}
	l.clock.Advance(l.files.vol.Config.VerifyInterval)
	l.unread = false // it could be read
	l.reads("new cur", "after verify_interval")
	l.clock.Advance(l.files.vol.Config.VerifyInterval)
	l.reads("", "it was read")
}

// TestWhoChangesAllTheTime does not make us read all the time: reading takes a twentieth of
// it at most. A clock that went back changes nothing.
func TestWhoChangesAllTheTime(t *testing.T) {
	t.Parallel()
	l := newLooker(t)
	l.lastScan, l.scanTook = l.clock.Now(), time.Second
	if !l.tooSoon() {
		t.Error("at once again")
	}
	l.clock.Advance(19 * time.Second)
	if !l.tooSoon() {
		t.Error("19 times what it took")
	}
	l.clock.Advance(time.Second)
	if l.tooSoon() {
		t.Error("20 times what it took")
	}
	l.lastScan = l.clock.Now().Add(time.Hour)
	if l.tooSoon() {
		t.Error("the clock went back, and nobody looks for an hour")
	}
}

// TestEpochs: a message is fresh until a checkpoint that began after it came, and so is all
// that came with it.
func TestEpochs(t *testing.T) {
	t.Parallel()
	l := newLooker(t)
	l.ok(l.disk.MkdirAll("/"+volume.Private, 0o700))
	l.ok(l.files.vol.Open(t.Context()))
	e := epochs{points: &l.files.vol.Points}
	checkpoint := func() { l.ok(l.files.vol.Checkpoint(t.Context())) }
	if !e.settled() || e.fresh(1) {
		t.Error("nothing happened")
	}
	e.changed()
	if e.settled() || e.fresh(1) {
		t.Error("a change, and no message")
	}
	e.came(5)
	e.came(3) // recovered
	e.came(9)
	for uid, want := range map[uint32]bool{2: false, 3: true, 5: true, 100: true} {
		if e.fresh(uid) != want {
			t.Errorf("UID %d is fresh: %v", uid, !want)
		}
	}
	checkpoint()
	if !e.settled() || e.fresh(100) {
		t.Error("a checkpoint covers all")
	}
	e.came(10)
	if e.fresh(9) || !e.fresh(10) {
		t.Error("what a checkpoint covered is fresh again")
	}
	e.changed()
	checkpoint()
	if e.fresh(10) || !e.settled() {
		t.Error("the next one, too")
	}
	l.ok(l.files.vol.Close())
}
