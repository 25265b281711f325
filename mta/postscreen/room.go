package postscreen

import (
	"sync"

	"toastmaster/internal/msglog"
	"toastmaster/internal/smtpserver"
)

// room is where clients are while they are tested. With nine tenths of its places taken those in it are
// hurried, until three tenths are free again, as with Postfix: the service has places left then, and is
// under no stress of its own.
type room struct {
	limit int // 0 is none
	log   *msglog.Log

	mu     sync.Mutex
	visits map[*visit]struct{}
	full   bool
}

// enter says whether there is a place.
func (r *room) enter(v *visit) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.limit > 0 && len(r.visits) >= r.limit {
		return false
	}
	r.visits[v] = struct{}{}
	v.hurry(r.full)
	if r.limit > 0 && !r.full && len(r.visits) >= max(r.limit*9/10, 1) {
		r.hurry(true, "postscreen enters stress: clients have less time until some places are free")
	}
	return true
}

// leave gives the place back.
func (r *room) leave(v *visit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.visits, v)
	v.conn = nil
	if r.full && len(r.visits) <= r.limit*7/10 {
		r.hurry(false, "postscreen leaves stress")
	}
}

// hurry tells everybody; mu is held, so that the last call tells what is.
func (r *room) hurry(on bool, text string) {
	r.full = on
	for v := range r.visits {
		v.hurry(on)
	}
	r.log.Warn(text, "service", "postscreen", "connections", len(r.visits), "limit", r.limit)
}

// converses says which connection of the dummy engine is the visit's.
func (r *room) converses(v *visit, c *smtpserver.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v.conn = c
	v.hurry(r.full)
}

// hurry does not wait; the room's lock is held.
func (v *visit) hurry(on bool) {
	if v.hurried.Swap(on) != on {
		v.tell()
	}
	if v.conn != nil {
		v.conn.Hurry(on)
	}
}
