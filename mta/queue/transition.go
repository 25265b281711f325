package queue

// next is the transition table: what becomes of a message in state s at event e,
// and what is to be done about it. It is pure, and total: a pair that cannot happen
// changes nothing. doc.go has it as a table, which a test makes from it.
func next(s state, e event) (state, []effect) {
	switch {
	case e >= evHold && e <= evDelete:
		return onCall(s, e)
	case s.moving && e >= evOK && e <= evDamaged:
		return afterMoving(s, e)
	case s.moving:
		// Its attempt ends when it has been moved, and nobody takes it.
		return s, nil
	case e == evTake:
		return onTake(s)
	case e == evShorten:
		return onShorten(s)
	}
	switch s.stage {
	case looking:
		return afterLooking(s, e)
	case reading:
		return afterReading(s, e)
	case active:
		return afterAttempt(s, e)
	case deferring:
		return afterDeferring(s, e)
	case holding:
		return afterHolding(s, e)
	case removing:
		return afterRemoving(s, e)
	case condemned, leaving:
		return afterLeaving(s, e)
	}
	return s, nil
}

// inMemory says that forgetting the message would lose something.
func (s state) inMemory() bool { return s.where == inJournal || s.loaded }

// to is s in another stage, with the work that this stage is.
func (s state) to(g stage, e ...effect) (state, []effect) {
	s.stage = g
	return s, e
}

// wanting is s with something else wanted.
func (s state) wanting(w want) state {
	s.want = w
	return s
}

// fulfil begins what is wanted of a message that nobody works on.
func (s state) fulfil() (state, []effect) {
	if s.want == wantDelete {
		return s.to(removing, doRemove)
	}
	return s.to(holding, doHold)
}

// urgent says that something is wanted that comes before an attempt.
func (s state) urgent() bool { return s.want == wantHold || s.want == wantDelete }

// onShorten brings a message out of the journal. A file in deferred/ would say something else of one that is to be
// on hold, or deleted.
func onShorten(s state) (state, []effect) {
	switch idle := s.stage == queued || s.stage == waiting; {
	case !s.inMemory() || !idle && s.stage != active:
		return s, nil
	case idle && s.urgent():
		return s.fulfil()
	}
	return s.copyOut()
}

// copyOut begins to bring a message to where it belongs while its stage goes on.
func (s state) copyOut(also ...effect) (state, []effect) {
	s.moving, s.toHold = true, s.want == wantHold
	if s.toHold {
		return s, append(also, doCopyToHold)
	}
	return s, append(also, doCopyOut)
}

func onTake(s state) (state, []effect) {
	switch {
	case s.stage != queued && s.stage != waiting && (s.stage != resting || s.where != inDeferred):
		return s, nil
	case s.urgent():
		return s.fulfil()
	}
	return s.wanting(wantNothing).to(reading, doRead)
}

// afterLooking is the end of a search that found nothing: what is found is resting.
func afterLooking(s state, e event) (state, []effect) {
	if e == evVanished || e == evFailed {
		return s.to(gone, forget)
	}
	return s, nil
}

func afterReading(s state, e event) (state, []effect) {
	switch {
	case e == evOK && s.where != inJournal:
		s.loaded = true
		fallthrough
	case e == evOK:
		if s.urgent() {
			return s.fulfil()
		}
		return s.to(active)
	case e == evDamaged:
		return s.to(condemned, doSetAside)
	case e == evVanished && !s.inMemory():
		return s.to(gone, forget)
	case e != evFailed:
		return s, nil
	case s.urgent():
		return s.fulfil()
	case s.inMemory() || s.where == inHold: // it was released
		return s.wanting(wantNothing).to(waiting, dueRetry, listDue)
	}
	return s.wanting(wantNothing).to(resting, dueRetry, rest)
}

// afterAttempt is the end of an attempt.
func afterAttempt(s state, e event) (state, []effect) {
	due := e == evDue || e == evLater && s.want == wantNow
	switch {
	case e == evDone:
		return s.wanting(wantNothing).to(leaving, doLeave)
	case e != evDue && e != evLater && e != evSpoiled:
		return s, nil
	case s.urgent():
		return s.fulfil()
	case due && s.where == inJournal:
		return s.wanting(wantNothing).to(queued, listNew)
	case due:
		return s.wanting(wantNothing).to(deferring, dueNow, doDefer)
	}
	return s.wanting(wantNothing).to(deferring, doDefer)
}

// afterDeferring is the end of doDefer or doReset.
func afterDeferring(s state, e event) (state, []effect) {
	switch e {
	case evOK:
		s.where, s.loaded = inDeferred, false
		switch {
		case s.urgent():
			return s.fulfil()
		case s.want == wantNow: // its file has another time
			return s.wanting(wantNothing).to(deferring, dueNow, doDefer)
		}
		return s.to(resting, rest)
	case evDamaged:
		return s.to(condemned, doSetAside)
	case evFailed:
		switch {
		case s.urgent():
			return s.fulfil()
		case s.inMemory() && s.want == wantNow:
			return s.wanting(wantNothing).to(waiting, dueNow, listDue)
		case s.inMemory():
			return s.to(waiting, listDue)
		case s.want == wantNow && s.where == inHold:
			return s.to(waiting, dueRetry, listDue)
		case s.want == wantNow:
			return s.wanting(wantNothing).to(resting, dueNow, rest)
		}
		return s.to(resting, rest)
	}
	return s, nil
}

// afterHolding is the end of doHold.
func afterHolding(s state, e event) (state, []effect) {
	switch e {
	case evOK:
		s.where, s.loaded = inHold, false
		switch s.want {
		case wantDelete:
			return s.fulfil()
		case wantNow:
			return s.to(deferring, doDefer)
		}
		return s.wanting(wantNothing).to(resting, rest)
	case evDamaged:
		return s.to(condemned, doSetAside)
	case evFailed:
		switch {
		case s.want == wantDelete:
			return s.fulfil()
		case s.want == wantHold:
			return s.to(waiting, dueRetry, listDue)
		case s.want == wantNow && s.inMemory():
			return s.wanting(wantNothing).to(waiting, dueNow, listDue)
		case s.want == wantNow && s.where == inHold:
			return s.to(waiting, dueRetry, listDue)
		case s.want == wantNow:
			return s.wanting(wantNothing).to(resting, dueNow, rest)
		case s.inMemory():
			return s.to(waiting, dueRetry, listDue)
		}
		return s.to(resting, rest)
	}
	return s, nil
}

// afterRemoving is the end of doRemove. A message that leaves with a deletion wanted was
// deleted.
func afterRemoving(s state, e event) (state, []effect) {
	switch {
	case e == evOK:
		s.loaded = false
		return s.wanting(wantDelete).to(leaving, doLeave)
	case e == evFailed && (s.want == wantDelete || s.inMemory()):
		return s.wanting(wantDelete).to(waiting, dueRetry, listDue)
	case e == evFailed:
		return s.to(resting, rest)
	}
	return s, nil
}

// afterLeaving is the end of doSetAside or doLeave, or the removal of the last file.
func afterLeaving(s state, e event) (state, []effect) {
	switch {
	case e == evOK && s.stage == condemned:
		return s.to(gone, forget, sayNone)
	case e == evCleared && s.stage == leaving:
		return s.to(gone, forget)
	case e == evFailed && (s.inMemory() || s.urgent() || s.stage == leaving):
		return s.to(waiting, dueRetry, listDue)
	case e == evFailed:
		return s.wanting(wantNothing).to(resting, dueRetry, rest)
	}
	return s, nil
}

// afterMoving is the end of doCopyOut or doCopyToHold. An active message goes on, with a file of its own
// or without one; a damaged one ends when its attempt does.
func afterMoving(s state, e event) (state, []effect) {
	if e == evOK {
		s.where, s.loaded = inDeferred, s.stage == active
		if s.toHold {
			s.where = inHold
		}
	}
	s.moving, s.toHold = false, false
	switch {
	case s.stage == active:
		return s, nil
	case e == evDamaged:
		return s.to(condemned, doSetAside)
	case e == evOK && s.urgent():
		return s.fulfil()
	case e == evOK:
		return s.wanting(wantNothing).to(resting, dueNow, rest)
	case s.stage == queued:
		return s, []effect{listNew}
	}
	return s, []effect{listDue}
}

// onCall is a call of an operator. Where somebody works on the message it is noted,
// and he does it.
func onCall(s state, e event) (state, []effect) {
	switch s.stage {
	case looking, removing, condemned:
		if s.stage == removing && e == evDelete {
			return s.wanting(wantDelete), nil
		}
		return s, []effect{sayBusy}
	case leaving, gone:
		return s, []effect{sayNone}
	case resting:
		return onCallOfFile(s, e)
	}
	if e == evExpire && s.want != wantDelete {
		return onExpire(s)
	}
	if s.want == wantDelete && e != evDelete {
		return s, []effect{sayNone} // it is as good as gone
	}
	switch e {
	case evHold:
		return onHold(s)
	case evRelease:
		return onRelease(s)
	case evRequeue:
		return onRequeue(s)
	}
	if s = s.wanting(wantDelete); s.idle() {
		return s.fulfil()
	}
	return s, s.soon()
}

// soon is for a message whose move is waited for: at its end it is listed as due.
func (s state) soon() []effect {
	if s.moving && s.stage != active {
		return []effect{dueNow}
	}
	return nil
}

// onCallOfFile is about a message that is not in memory. A call that fails has
// changed nothing, so nothing is wanted.
func onCallOfFile(s state, e event) (state, []effect) {
	switch {
	case e == evDelete:
		return s.to(removing, doRemove)
	case e == evRequeue:
		return s.to(deferring, noteFlush, doReset)
	case e == evExpire && s.where == inHold:
		return s.to(holding, noteExpire, doHold)
	case e == evExpire:
		return s.to(deferring, noteExpire, doDefer)
	case e == evHold && s.where == inDeferred:
		return s.to(holding, doHold)
	case e == evRelease && s.where == inHold:
		return s.to(deferring, noteFlush, doDefer)
	}
	return s, []effect{rest, sayUnchanged}
}

// onExpire notes it, unless the file is just read or written: then it may be too late for that, and the call is
// tried again behind it.
func onExpire(s state) (state, []effect) {
	if s.stage != active && (s.moving || s.stage != queued && s.stage != waiting) {
		return s, []effect{sayBusy}
	}
	return s, []effect{noteExpire}
}

// idle says that nobody works on a message that is in memory, or has it.
func (s state) idle() bool { return (s.stage == queued || s.stage == waiting) && !s.moving }

// held says that a message is on hold, or will be. The file of an active one may lie in hold/ still.
func (s state) held() bool {
	return s.want == wantHold || s.want == wantNothing && s.stage == holding || s.where == inHold && (s.idle() || s.stage == active)
}

// onHold, onRelease and onRequeue are those calls about a message in memory. What they answer with nil is on disk: who
// cannot see to that himself, because somebody works on the message, waits for that and calls again.
func onHold(s state) (state, []effect) {
	switch was := s.want; {
	case s.idle():
		return s.wanting(wantHold).fulfil()
	case s.stage != active || s.moving:
		return s.wanting(wantHold), append(s.soon(), sayLater)
	case was == wantHold && s.where == inHold:
		return s, []effect{sayUnchanged}
	}
	return s.wanting(wantHold).copyOut()
}

func onRelease(s state) (state, []effect) {
	switch {
	case !s.held():
		return s, []effect{sayUnchanged}
	case s.stage == deferring || s.stage == holding:
		return s.wanting(wantNow), []effect{noteFlush, sayLater}
	case s.idle():
		return s.release()
	case s.stage == active && !s.moving:
		return s.wanting(wantNothing).copyOut()
	}
	return s.wanting(wantNothing), []effect{sayLater}
}

// release brings an idle message into deferred/. From hold/ it is wanted until that is done.
func (s state) release() (state, []effect) {
	s.want = wantNothing
	if s.where == inHold {
		s.want = wantNow
	}
	return s.to(deferring, noteFlush, doDefer)
}

func onRequeue(s state) (state, []effect) {
	held := s.held()
	switch {
	case s.idle() && held:
		return s.release()
	case s.idle() && s.stage == waiting:
		return s.wanting(wantNothing), []effect{noteFlush, listDue}
	case s.idle():
		return s.wanting(wantNothing), []effect{noteFlush}
	case s.stage == active && !s.moving && held:
		return s.wanting(wantNow).copyOut(noteFlush)
	}
	do := []effect{noteFlush}
	if held {
		do = append(do, sayLater)
	}
	if s.moving && s.stage != active {
		return s.wanting(wantNothing), do
	}
	return s.wanting(wantNow), do
}
