package queue

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
)

// actionsEnvelope is taggedEnvelope with all that a restriction may ask for.
func actionsEnvelope() *envelope.Envelope {
	env := taggedEnvelope()
	env.Hold, env.Filter = true, &envelope.Route{Transport: "scan", Nexthop: "[127.0.0.1]:10025"}
	env.Redirect = addr.Address{Local: "to", Domain: "example.test"}
	env.BCC = []addr.Address{{Local: "one", Domain: "example.test"}, {Local: "two", Domain: "elsewhere.test"}}
	return env
}

// prependEnvelope has what PREPEND wanted.
func prependEnvelope() *envelope.Envelope {
	env := taggedEnvelope()
	env.Prepend = []string{"X-Greylist: delayed 301 seconds", "X-Other: \u00e4"}
	return env
}

// forwardedOrigin is what XFORWARD told.
func forwardedOrigin() *envelope.Forwarded {
	return &envelope.Forwarded{Name: "n.test", Addr: "192.0.2.7", Port: "25", Proto: "ESMTP", Helo: "h.test", Ident: "ABC", Source: "REMOTE"}
}

// TestTagsOfActionsAreKept: each field alone, and all together, beside those that are not
// known.
func TestTagsOfActionsAreKept(t *testing.T) {
	t.Parallel()
	all := actionsEnvelope()
	for name, set := range map[string]func(v *envelope.Envelope){
		"hold":     func(v *envelope.Envelope) { v.Hold = true },
		"filter":   func(v *envelope.Envelope) { v.Filter = all.Filter },
		"nexthop":  func(v *envelope.Envelope) { v.Filter = &envelope.Route{Transport: "scan"} },
		"redirect": func(v *envelope.Envelope) { v.Redirect = all.Redirect },
		"bcc":      func(v *envelope.Envelope) { v.BCC = all.BCC },
		"prepend":  func(v *envelope.Envelope) { v.Prepend = prependEnvelope().Prepend },
		"forward":  func(v *envelope.Envelope) { v.Origin.Forwarded = forwardedOrigin() },
		"port":     func(v *envelope.Envelope) { v.Origin.ClientPort = 65535 },
		"all":      func(v *envelope.Envelope) { *v = *all; v.Prepend = prependEnvelope().Prepend },
	} {
		env := fullEnvelope()
		set(env)
		for range 2 {
			e := encoder{}
			e.envelope(env)
			got, err := newDecoder(e.b).envelope()
			if err != nil || !reflect.DeepEqual(got, env) || e.b[0] != taggedVersion {
				t.Fatalf("%s: %+v, %v", name, got, err)
			}
			env = got
		}
	}
}

// addHeld hands in a message that is to be held.
func addHeld(q *Queue, text string) (*envelope.Envelope, error) {
	env := testEnvelope(q, "a")
	env.Hold = true
	b := q.Spool().New()
	if _, err := io.WriteString(b, text); err != nil {
		return env, err
	}
	return env, q.Add(context.Background(), env, []byte(prefix), b)
}

// TestAMessageThatComesOnHold is in hold/ when Add returns, is handed out after its
// release and not before, and is not held again.
func TestAMessageThatComesOnHold(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"small": "small\n", "large": large} {
		d := faultfs.NewDisk()
		q := open(t, options(d))
		env, err := addHeld(q, text)
		must(t, err)
		nothing(t, q)
		if info, _, c, err := q.Get(t.Context(), env.ID); err != nil || info.Place != Hold || c.Close() != nil {
			t.Fatalf("%s: %+v, %v", name, info, err)
		}
		closeQueue(t, q)
		q = open(t, options(d.Crash()))
		nothing(t, q)
		must(t, q.Release(t.Context(), env.ID))
		it := take(t, q)
		if it.Envelope.ID != env.ID || it.Envelope.Hold {
			t.Errorf("%s: %+v", name, it.Envelope)
		}
		closeItem(t, it, time.Now().Add(-time.Second))
		it = take(t, q) // deferred, and due
		if it.Envelope.ID != env.ID {
			t.Errorf("%s: it is held again", name)
		}
		must(t, it.Done(0, EffectFinal))
		closeItem(t, it, time.Time{})
		closeQueue(t, q)
	}
}

// TestAHoldOutlivesEachFailure: whatever operation fails, once or from then on, and
// whether the process is killed or the power lost: what was accepted on hold is handed out to
// nobody, and an operator finds it and releases it.
func TestAHoldOutlivesEachFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for n := 1; !t.Failed(); n++ {
			reached := false
			for _, forever := range []bool{false, true} {
				d := faultfs.NewDisk()
				f := faultfs.Wrap(d)
				if forever {
					f.FailFrom(faultfs.Any, n, faultfs.EIO)
				} else {
					f.FailNth(faultfs.Any, n, faultfs.EIO)
				}
				accepted := heldWorkload(t, f)
				reached = reached || f.Count(faultfs.Any) >= n
				heldStill(t, d.Clone(), accepted, fmt.Sprintf("killed, %d, for good %v", n, forever))
				heldStill(t, d.Crash(), accepted, fmt.Sprintf("power lost, %d, for good %v", n, forever))
			}
			if !reached {
				break
			}
		}
	})
}

// heldWorkload hands in held mail, and has the journal moved out from under it. It
// returns what was accepted.
func heldWorkload(t *testing.T, fsys vfs.FS) (accepted []envelope.QueueID) {
	o := options(fsys)
	o.Config.SegmentSize, o.Config.MoveSegments = 32<<10, 1
	q, err := Open(context.Background(), o)
	if err != nil {
		return nil
	}
	defer q.Close()
	for i := range 12 {
		env, err := addHeld(q, fmt.Sprintf("%d %s\n", i, strings.Repeat("x", 6000)))
		if err == nil {
			accepted = append(accepted, env.ID)
		}
	}
	q.shorten(context.Background())
	if it := tryTake(t, q); it != nil {
		t.Errorf("handed out %s", it.Envelope.ID)
	}
	return accepted
}

func heldStill(t *testing.T, d *faultfs.Disk, accepted []envelope.QueueID, when string) {
	q, err := Open(context.Background(), options(d))
	if err != nil {
		t.Errorf("%s: %v", when, err)
		return
	}
	defer q.Close()
	if it := tryTake(t, q); it != nil {
		t.Errorf("%s: handed out %s", when, it.Envelope.ID)
	}
	for _, id := range accepted {
		if info, _, c, err := q.Get(context.Background(), id); err != nil || info.Place != Hold {
			t.Errorf("%s: %+v, %v", when, info.Place, err)
		} else {
			_ = c.Close()
		}
		if err := q.Release(context.Background(), id); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
}
