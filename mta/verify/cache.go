package verify

import (
	"strconv"
	"strings"
	"time"

	"toastmaster/internal/addr"
)

// maxText bounds the reply that is kept of an address.
const maxText = 250

// recall is what is remembered of an address; refresh says that it is time to ask again.
func (v *Verifier) recall(a addr.Address) (known Answer, refresh bool) {
	e, ok := v.entry(a)
	if !ok {
		return Answer{}, true
	}
	after := v.now.Load().NegativeRefresh
	if e.State == Deliverable {
		after = v.now.Load().PositiveRefresh
	}
	now := v.o.Clock.Now()
	return e.Answer, now.Sub(e.updated) >= after && now.Sub(e.probed) >= probeTTL
}

// probeTTL is how long a probe that changed nothing keeps the next one from being made
// (Postfix has it as a constant, too).
const probeTTL = 1000 * time.Second

// entry is an answer with the time when it was found, and that of the last probe.
type entry struct {
	Answer
	updated, probed time.Time
}

// entry reads the cache: state, two times and a text between tabs.
func (v *Verifier) entry(a addr.Address) (e entry, ok bool) {
	value, ok := v.o.Cache.Get(a.String())
	fields := strings.SplitN(value, "\t", 4)
	if !ok || len(fields) != 4 {
		return entry{}, false
	}
	updated, err := strconv.ParseInt(fields[1], 10, 64)
	probed, err2 := strconv.ParseInt(fields[2], 10, 64)
	if err != nil || err2 != nil {
		return entry{}, false
	}
	for s := Deliverable; s <= Undeliverable; s++ {
		if s.word() == fields[0] {
			return entry{Answer{s, fields[3]}, time.Unix(updated, 0), time.Unix(probed, 0)}, true
		}
	}
	return entry{}, false
}

func (v *Verifier) put(a addr.Address, e entry, expire time.Duration) {
	text := strings.ToValidUTF8(e.Text[:min(len(e.Text), maxText)], "")
	seconds := func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
	v.o.Cache.Put(a.String(), strings.Join([]string{e.State.word(), seconds(e.updated), seconds(e.probed), text}, "\t"), e.updated.Add(expire))
}

// remember keeps what a probe found. A failure does not take the place of a success that
// still counts.
func (v *Verifier) remember(a addr.Address, answer Answer) {
	now := v.o.Clock.Now()
	expire := v.now.Load().PositiveExpire
	if answer.State != Deliverable {
		expire = v.now.Load().NegativeExpire
		switch known, ok := v.entry(a); {
		case ok && known.State == Deliverable:
			known.probed = now
			v.put(a, known, v.now.Load().PositiveExpire)
			return
		case !v.now.Load().NegativeCache:
			return
		}
	}
	v.put(a, entry{answer, now, now}, expire)
}
