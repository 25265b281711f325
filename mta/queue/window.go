package queue

import (
	"errors"
	"time"

	"toastmaster/internal/envelope"
	"toastmaster/internal/fair"
)

// Window bounds the active window: messages, and their recipients (Postfix
// qmgr_message_active_limit, qmgr_message_recipient_limit). A message comes in while both have
// room, however many recipients it has. 0 is no bound.
//
// One sender domain, one destination, and what one sends to the other have parts of
// it, so that nobody fills it: when there is no room for the next of them it waits
// where it is, and others pass.
type Window struct{ Messages, Recipients int }

type (
	turns = fair.Turns[*message, struct{}]
	lane  = fair.Lane[*message, struct{}]
)

// What one may have of the window is times what is free: one lane half of it, one sender
// domain and one destination eight ninths. So a domain with several slow destinations reaches the
// others, and what is left is for who comes next. Whoever has less than the hundredth part, or
// leastPart messages, has room while anybody has.
const (
	laneTimes  = 1
	partTimes  = 8
	smallParts = 100
	leastPart  = 10
)

// roomDelay is how soon a message that is due, and for which there was no room, is
// looked at again, in memory. It is no parameter: the cost is a look at a list.
const roomDelay = time.Second

// errNoRoom is how the reading of a message ends that is due and has no room.
var errNoRoom = errors.New("queue: no room in the active window")

// whose is in whose lane a message stands.
type whose struct {
	tenant, site string
	weight       int // recipients, at least one
}

// whoseIs is the domain of the sender, and that of the first recipient. Who has no
// sender is reckoned to where it goes: reports belong to whom they are for.
func whoseIs(env *envelope.Envelope) whose {
	w := whose{tenant: env.Sender.Domain, weight: max(len(env.Recipients), 1)}
	if len(env.Recipients) > 0 {
		w.site = env.Recipients[0].Address.Domain
	}
	if env.Sender.IsNull() {
		w.tenant = w.site
	}
	return w
}

// full says that nothing more comes in.
func (w Window) full(out fair.Amount) bool {
	return w.Messages > 0 && out.Entries >= w.Messages || w.Recipients > 0 && out.Weight >= w.Recipients
}

// turnsOf are those of a window.
func turnsOf[E comparable](w Window) *fair.Turns[E, struct{}] {
	var t *fair.Turns[E, struct{}]
	enough := func(of fair.Amount, times int) bool {
		all := t.Out()
		return partUsed(of.Entries, all.Entries, w.Messages, times) || partUsed(of.Weight, all.Weight, w.Recipients, times)
	}
	t = fair.New(fair.Options[E, struct{}]{
		TenantFull: func(x *fair.Tenant[E, struct{}]) bool { return enough(x.Out(), partTimes) },
		SiteFull: func(x *fair.Site[E, struct{}]) bool {
			of := x.Out()
			of.Entries = x.Taken()
			return enough(of, partTimes)
		},
		LaneFull:   func(x *fair.Lane[E, struct{}]) bool { return enough(x.Out(), laneTimes) },
		SitesShare: true,
	})
	return t
}

func partUsed(used, all, limit, times int) bool {
	return limit > 0 && fair.Share(used, limit-all, times, max(limit/smallParts, leastPart))
}

// largestPart is the part of Window.Recipients that one message counts as at most, however many it has: one
// with more recipients than the window would keep everybody else's mail out until its last one is done.
const largestPart = 10

// weight is what a message counts as.
func (w Window) weight(recipients int) int {
	if w.Recipients == 0 {
		return recipients
	}
	return min(recipients, max(w.Recipients/largestPart, 1))
}

// enterLane counts m in its lane; mu is held.
func (x *index) enterLane(m *message, l *lane) {
	m.lane, m.out, m.full, m.weight = l, true, false, x.window.weight(m.whose.weight)
	l.Take(m.weight)
}

// enter counts a message that is due and is read now. false: there is no room for it.
func (x *index) enter(m *message, of whose) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if m.out || !m.at.inWindow() {
		return true
	}
	m.whose = of
	if l := x.new.Enter(of.tenant, of.site); l != nil {
		x.enterLane(m, l)
		return true
	}
	m.full = true
	return false
}
