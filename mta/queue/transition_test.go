package queue

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// The words of the table and of failures.
var (
	stageNames = [stages]string{"queued", "waiting", "resting", "looking", "reading", "active", "deferring", "holding", "removing", "condemned", "leaving", "gone"}
	whereNames = [...]string{"journal", "deferred", "hold"}
	wantNames  = [wants]string{"nothing", "now", "hold", "delete"}
	eventNames = [events]string{"", "take", "done", "due", "later", "spoiled", "Hold", "Release", "Requeue", "Expire", "Delete", "shorten", "ok", "failed", "damaged", "vanished", "cleared"}
	doNames    = [effects]string{"", "read", "defer", "hold", "reset", "copy out", "copy to hold", "remove", "set aside", "leave",
		"list new", "list due", "due now", "due in run_delay", "note flush", "note expire", "rest", "forget", "say later", "say unchanged", "say busy", "say none"}
)

func (s state) String() string {
	text := stageNames[s.stage] + " in " + whereNames[s.where]
	if s.loaded {
		text += " loaded"
	}
	if s.moving {
		text += " moving"
	}
	if s.toHold {
		text += " to hold"
	}
	return text + ", wanted " + wantNames[s.want]
}

func doText(do []effect) string {
	var names []string
	for _, e := range do {
		names = append(names, doNames[e])
	}
	return strings.Join(names, ", ")
}

// everyState is every state that makes sense.
func everyState() (all []state) {
	for g := range stages {
		for w := inJournal; w <= inHold; w++ {
			for want := range wants {
				for _, loaded := range []bool{false, true} {
					for _, moving := range [][2]bool{{false, false}, {true, false}, {true, true}} {
						if s := (state{g, w, loaded, moving[0], moving[1], want}); s.makesSense() {
							all = append(all, s)
						}
					}
				}
			}
		}
	}
	return all
}

// makesSense: what is loaded has a file, and so has what rests; what is new has
// none; and a message is moved while it is idle or active.
func (s state) makesSense() bool {
	switch {
	case s.loaded && s.where == inJournal, s.stage == queued && s.where != inJournal:
		return false
	case s.stage == resting && (s.inMemory() || s.want != wantNothing):
		return false
	}
	if s.toHold {
		return s.moving && s.stage == active
	}
	return !s.moving || s.stage == queued || s.stage == waiting || s.stage == active
}

// can says that e can happen to a message in s: what comes from outside comes when
// it likes, and work ends where work is.
func can(s state, e event) bool {
	idle := (s.stage == queued || s.stage == waiting || s.stage == active) && !s.moving
	switch e {
	case evTake:
		return s.stage == resting && s.where == inDeferred || idle && s.stage != active
	case evDone, evDue, evLater, evSpoiled:
		return s.stage == active && !s.moving
	case evHold, evRelease, evRequeue, evExpire, evDelete:
		return s.stage != gone
	case evShorten:
		return idle && s.inMemory()
	case evOK:
		return s.moving || s.stage >= reading && s.stage <= condemned && s.stage != active
	case evFailed:
		return s.moving || s.stage >= looking && s.stage <= leaving && s.stage != active
	case evDamaged:
		return s.moving || s.stage == reading || s.stage == deferring || s.stage == holding
	case evVanished:
		return s.stage == looking || s.stage == reading && !s.inMemory()
	case evCleared:
		return s.stage == leaving
	}
	return false
}

// reachable are the states that a message can get into.
func reachable() []state {
	seen := map[state]bool{}
	todo := []state{{stage: queued}, {stage: looking}, {stage: resting, where: inDeferred}, {stage: resting, where: inHold}}
	for len(todo) > 0 {
		s := todo[0]
		todo = todo[1:]
		if seen[s] {
			continue
		}
		seen[s] = true
		for e := evNone + 1; e < events; e++ {
			if can(s, e) {
				to, _ := next(s, e)
				todo = append(todo, to)
			}
		}
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b state) int { return strings.Compare(a.key(), b.key()) })
}

func (s state) key() string {
	return fmt.Sprintf("%02d%d%d%v%v%v", s.stage, s.want, s.where, s.loaded, s.moving, s.toHold)
}

// working says that somebody works on a message in s.
func (s state) working() bool {
	return s.moving || s.stage >= looking && s.stage <= leaving && s.stage != active
}

// TestEveryPair holds every state that makes sense, with every event,
// against what must be true of a transition.
func TestEveryPair(t *testing.T) {
	t.Parallel()
	works := [stages]effect{reading: doRead, deferring: doDefer, holding: doHold, removing: doRemove, condemned: doSetAside, leaving: doLeave}
	enters := [stages]effect{queued: listNew, waiting: listDue, resting: rest, gone: forget}
	possible := map[state]bool{}
	for _, s := range reachable() {
		possible[s] = true
	}
	t.Logf("%d states, %d of them reachable, %d events", len(everyState()), len(possible), events-1)
	for s := range possible {
		if !s.makesSense() {
			t.Errorf("%v: how did it get there?", s)
		}
	}
	for _, s := range everyState() {
		for e := evNone; e < events; e++ {
			to, do := next(s, e)
			bad := func(what string) {
				t.Errorf("%v, %s -> %v, %s: %s", s, eventNames[e], to, doText(do), what)
			}
			call := e >= evHold && e <= evDelete
			if possible[s] && !can(s, e) && !call && (to != s || len(do) > 0) {
				bad("cannot happen, and does something")
			}
			work := doNothing
			for i, one := range do {
				if one.work() {
					if work = one; i != len(do)-1 {
						bad("work is not last")
					}
				}
			}
			said := slices.ContainsFunc(do, func(e effect) bool { return e >= sayUnchanged })
			switch {
			case said && call && to != s:
				bad("refused, and changed")
			case call && s.working() && work != doNothing:
				bad("two work on one message")
			case call && !said && to == s && !slices.Contains(do, noteFlush) && !slices.Contains(do, noteExpire) && !slices.Contains(do, sayLater) && s.want != wantDelete && s.stage != holding:
				bad("accepted, and nothing noted")
			}
			if !possible[s] || !can(s, e) {
				continue
			}
			if (to.stage != s.stage || work != doNothing) && !to.moving {
				if want := works[to.stage]; want != work && (work != doReset || to.stage != deferring) {
					bad("the work is not that of the stage")
				}
				if want := enters[to.stage]; want != doNothing && !slices.Contains(do, want) {
					bad("not where it would be found again")
				}
			}
			switch {
			case to.moving && (to.stage != queued && to.stage != waiting && to.stage != active):
				bad("moving in this stage")
			case to.moving && !s.moving && work != doCopyOut && work != doCopyToHold, !to.moving && (work == doCopyOut || work == doCopyToHold):
				bad("moving without the work, or the other way round")
			case to.moving && !s.moving && to.toHold != (work == doCopyToHold), to.moving && to.toHold != (to.want == wantHold) && !s.moving:
				bad("it goes to another place than what is wanted")
			case to.stage == resting && to.inMemory() && s.stage != resting:
				bad("what memory knows is forgotten")
			case to.stage == resting && to.want != wantNothing:
				bad("what is wanted is forgotten")
			case to.stage == reading && s.urgent() && s.stage != reading:
				bad("handed out in spite of what is wanted")
			case to.stage == queued && to.where != inJournal:
				bad("a new message without a record")
			case to.where != s.where && e != evOK:
				bad("it changes its place without work")
			case to.loaded && to.where == inJournal:
				bad("loaded without a file")
			case s.moving && to.moving && (to.stage != s.stage || work != doNothing):
				bad("something else happens while it moves")
			}
		}
	}
}

// TestNothingWantedIsForgotten follows each state that a message can get into, with
// nobody asking for anything else, along every way on which work fails as often as
// it likes. What is found to be damaged goes to corrupt/, whatever was wanted.
func TestNothingWantedIsForgotten(t *testing.T) {
	t.Parallel()
	for _, s := range reachable() {
		if s.stage == looking || s.stage == condemned || s.stage == gone {
			continue
		}
		for _, call := range []event{evNone, evHold, evRelease, evRequeue, evExpire, evDelete} {
			to, do := next(s, call)
			if call != evNone && slices.ContainsFunc(do, func(e effect) bool { return e >= sayUnchanged }) {
				continue
			}
			follow(t, s, call, to, map[state]bool{})
		}
	}
}

// follow looks at every state behind s, without a call, for one that has forgotten
// what was wanted.
func follow(t *testing.T, from state, call event, s state, seen map[state]bool, way ...string) {
	if seen[s] {
		return
	}
	seen[s] = true
	direct := from.stage == resting // a call about a file that fails has changed nothing
	bad := func(what string) {
		t.Errorf("%v, %s: gets to %v: %s, by %s", from, eventNames[call], s, what, strings.Join(way, "; "))
	}
	switch {
	case from.want == wantDelete || direct:
	case call == evHold && (s.stage == active && s.want != wantHold || s.stage == reading && s.want != wantHold || s.stage == resting && s.where != inHold):
		bad("the hold is forgotten")
	case (call == evRelease || call == evRequeue) && s.stage == resting && s.where == inHold:
		bad("it is held still")
	}
	if (call == evDelete || from.want == wantDelete) && !direct {
		if s.stage == resting || s.stage == active && s.want != wantDelete || s.stage == reading && s.want != wantDelete {
			bad("the deletion is forgotten")
		}
	}
	if s.stage == resting || s.stage == gone {
		return
	}
	for e := evNone + 1; e < events; e++ {
		if can(s, e) && (e < evHold || e > evDelete) && e != evDone && e != evDamaged {
			to, _ := next(s, e)
			follow(t, from, call, to, seen, append(way[:len(way):len(way)], fmt.Sprintf("%s: %v", eventNames[e], to))...)
		}
	}
}
