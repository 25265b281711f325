package queue

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
)

// TestAReportIsItsMark: whoever is killed, or loses power, behind a report and before the mark of what it is about has no recipient
// twice and warns nobody twice: of a message in the journal, in its file, and active from there; also after more starts,
// and when the report itself has left. A report that was not accepted settles nothing.
func TestAReportIsItsMark(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, where := range []string{"active", "active from its file"} {
		for _, kind := range []string{"failure", "delay", "refused"} {
			t.Run(where+", "+kind, func(t *testing.T) {
				t.Parallel()
				d := faultfs.NewDisk()
				f := faultfs.Wrap(d)
				o := options(f)
				clk := clocktest.New(time.Unix(1_700_000_000, 0))
				o.Clock = clk
				q := open(t, o)
				id := wherever(t, q, clk, where)
				report := testEnvelope(q, "sender")
				report.Settles = &envelope.Settled{ID: id, Recipients: []int{1}}
				if kind == "delay" {
					report.Settles = &envelope.Settled{ID: id, Warned: true}
				}
				if kind == "refused" {
					// Its record got to the disk when nobody waited for it any more, and behind it the mark that withdraws it.
					must(t, q.Add(ctx, report, nil, envelope.Memory("report\n")))
					q.disk.disown(report.ID, false, context.Canceled)
					must(t, q.disk.ledger.j.Flush(ctx))
				} else {
					must(t, q.Add(ctx, report, nil, envelope.Memory("report\n")))
				}
				for name, crashed := range map[string]*faultfs.Disk{"killed": d.Clone(), "power lost": d.Crash()} {
					for start := range 3 {
						o.FS = crashed
						q := open(t, o)
						_, err := q.Flush(ctx, Filter{})
						must(t, err)
						var it *Item
						for next := tryTake(t, q); next != nil; next = tryTake(t, q) {
							if next.Envelope.ID == id {
								it = next
							} else { // the report leaves
								done(t, next, EffectFinal)
							}
						}
						want, warned := []int{0}, kind == "delay"
						if where != "active" {
							want = nil
						}
						if kind != "failure" {
							want = append(want, 1)
						}
						switch {
						case it == nil && len(want) > 0:
							t.Errorf("%s, start %d: it is gone", name, start)
						case it != nil && (!slices.Equal(it.Pending(), want) || it.Warned != warned):
							t.Errorf("%s, start %d: pending %v, want %v; warned %v", name, start, it.Pending(), want, it.Warned)
						}
						crashed = crashed.Clone()
						closeQueue(t, q)
					}
				}
				closeQueue(t, q)
			})
		}
	}
}

// TestSettledIsATag: the field is kept in records and files.
func TestSettledIsATag(t *testing.T) {
	t.Parallel()
	q := open(t, options(faultfs.NewDisk()))
	defer closeQueue(t, q)
	env := testEnvelope(q, "a")
	env.Settles = &envelope.Settled{ID: q.NewID(), Recipients: []int{0, 3, 70000}}
	must(t, q.Add(context.Background(), env, nil, envelope.Memory("report\n")))
	it := take(t, q)
	it.Failed(0, dsn.New(dsn.MailSystem, "not now"))
	closeItem(t, it, time.Now().Add(time.Hour))
	_, got, content, err := q.Get(context.Background(), env.ID)
	must(t, err)
	must(t, content.Close())
	if fmt.Sprint(got.Settles) != fmt.Sprint(env.Settles) {
		t.Errorf("%+v", got.Settles)
	}
	if golden := goldenFiles.Current(t, "settles-8", encodeMessage(&record{env: settlingEnvelope()})); len(golden) == 0 {
		t.Error("no golden record")
	} else if r, err := decodeMessage(golden[1:]); err != nil || fmt.Sprint(r.env.Settles) != fmt.Sprint(settlingEnvelope().Settles) {
		t.Errorf("%+v %v", r, err)
	}
}

func settlingEnvelope() *envelope.Envelope {
	env := goldenEnvelope()
	env.Settles = &envelope.Settled{ID: env.ID, Recipients: []int{0, 300}, Warned: true}
	return env
}
