package queue

// state is what the transition table knows of a message. It is about messages in
// memory; one in stage resting is its file and nothing else.
type state struct {
	stage stage
	where where
	// loaded: memory knows more of the message than its file does.
	loaded bool
	// moving: it is being copied out of the journal, or its file is brought to another
	// place, while its stage goes on: queued, waiting or active. toHold: that place is hold/.
	moving, toHold bool
	want           want
}

// accepted is the state of a message in the journal that was not handed out yet.
func accepted(hold bool) state {
	s := state{}
	if hold {
		s.want = wantHold
	}
	return s
}

// where is where the truth about a message lies.
type where uint8

const (
	inJournal where = iota
	inDeferred
	inHold
)

// stage is what happens to a message.
type stage uint8

const (
	// queued: new, in the journal, waits for Next.
	queued stage = iota
	// waiting: in memory until its time, because the disk did not do what it
	// should.
	waiting
	// resting: its file says all that is known, and it is not in memory.
	resting
	// looking: a call looks for the file of a message that is not in memory.
	looking
	// reading: Next has taken it and it is being read.
	reading
	// active: it was handed out.
	active
	// deferring: its file in deferred/ is being written, or it is moved there.
	deferring
	// holding: the same for hold/.
	holding
	// removing: it is being deleted.
	removing
	// condemned: it is damaged and on its way to corrupt/.
	condemned
	// leaving: nobody is pending. What it has on disk goes after a checkpoint.
	leaving
	// gone: the queue does not have it any more.
	gone
	stages
)

// want is what an operator asked for that is not done yet. The last word counts,
// but for a deletion, which is final.
type want uint8

const (
	wantNothing want = iota
	wantNow          // a try at once
	wantHold
	wantDelete
	wants
)

// event is what happens to a message from outside, or how work on it ended.
type event uint8

const (
	evNone event = iota
	// evTake: Next takes it.
	evTake
	// The ends of an attempt: nobody is pending, it is due at once, it is due
	// later, it was found to be damaged.
	evDone
	evDue
	evLater
	evSpoiled
	// The calls of an operator.
	evHold
	evRelease
	evRequeue
	evExpire
	evDelete
	// evShorten: the journal needs its oldest segment.
	evShorten
	// How work ended: as it should; not, and it may be tried again; not, because
	// the message is damaged, or because its file is not there.
	evOK
	evFailed
	evDamaged
	evVanished
	// evCleared: nothing of a message that left is on the disk any more.
	evCleared
	events
)

// effect is what a transition wants done. The first group is work on the disk,
// which ends with an event; a transition has one of them at most, as its last. The
// others are done at once, under the lock of the index.
type effect uint8

const (
	doNothing effect = iota
	// doRead reads what is not in memory.
	doRead
	// doDefer brings the message into a file of deferred/, doHold into one of
	// hold/: written, brought up to date or moved, whatever it needs.
	doDefer
	doHold
	// doReset brings it into deferred/ and forgets attempts and reasons.
	doReset
	// doCopyOut is doDefer for a message whose stage goes on, doCopyToHold is doHold for one that
	// is active.
	doCopyOut
	doCopyToHold
	// doRemove deletes it durably.
	doRemove
	// doSetAside brings what there is of it to corrupt/.
	doSetAside
	// doLeave gives back what it holds, and has its files removed after the next
	// checkpoint.
	doLeave

	// listNew puts it among the new messages, listDue among the deferred ones.
	listNew
	listDue
	// dueNow makes it due at once, dueRetry after queue.run_delay.
	dueNow
	dueRetry
	// noteFlush notes that a try was asked for (Item.Flushed), at once.
	noteFlush
	// noteExpire notes that it is made to expire: whatever is written of it from here on says so.
	noteExpire
	// rest forgets it, but for its time if that is near.
	rest
	// forget forgets it.
	forget
	// sayLater lets a call wait for the next transition and come again: what it is about is noted, and
	// not on disk yet.
	sayLater
	// What a call is answered that has nothing to do, comes too early or too late.
	sayUnchanged
	sayBusy
	sayNone
	effects
)

// work says that e is work on the disk.
func (e effect) work() bool { return e > doNothing && e <= doLeave }

// place is the folder.
func (w where) place() Place { return [...]Place{Incoming, Deferred, Hold}[w] }

// inWindow says that a message counts in the active window.
func (s state) inWindow() bool { return s.stage == reading || s.stage == active }

// place is where the listing shows a message in memory.
func (s state) place() Place {
	switch s.stage {
	case queued:
		return Incoming
	case waiting:
		return Deferred
	}
	return Active
}
