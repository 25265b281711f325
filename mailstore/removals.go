package mailstore

import "time"

// removals are when accounts were removed, under Store.mu. Who asked the
// directory before that has an answer that is not true any more: a delivery
// that goes on would make the account again, for nobody.
type removals struct{ at map[string]time.Time }

const (
	// removalMemory is longer than a command takes from its question to its
	// delivery: LMTP asks at RCPT and delivers after the content. It is no
	// parameter: a message that takes an hour is nobody's custom.
	removalMemory = time.Hour
	// maxRemovals bounds them; beyond it some are forgotten before their hour,
	// which matters only to a delivery that was under way at that moment. It is no
	// parameter: removing so many accounts takes longer than any delivery.
	maxRemovals = 100_000
)

func (r *removals) note(home string, now time.Time) {
	if r.at == nil {
		r.at = map[string]time.Time{}
	}
	if len(r.at) >= maxRemovals {
		for h, t := range r.at {
			if now.Sub(t) > removalMemory || len(r.at) >= maxRemovals {
				delete(r.at, h)
			}
		}
	}
	r.at[home] = now
}

// since says that the account was removed after the directory was asked.
func (r *removals) since(home string, asked time.Time) bool {
	t, ok := r.at[home]
	return ok && !asked.IsZero() && !asked.After(t)
}
