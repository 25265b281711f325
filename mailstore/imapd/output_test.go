package imapd

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestDateTime holds the date that is written by hand against time.Format.
func TestDateTime(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	times := []time.Time{{}, time.Unix(0, 0), time.Unix(1<<40, 0), time.Unix(-1<<40, 0), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(7, 1, 1, 0, 0, 0, 0, time.UTC)}
	for range 20000 {
		times = append(times, time.Unix(r.Int64N(1<<36)-1<<34, 0).UTC())
	}
	for i, at := range times {
		zone := r.IntN(2*14*3600) - 14*3600
		for _, one := range []time.Time{at.UTC(), at.In(time.FixedZone("", zone)), at.In(time.FixedZone("", -30)), at.In(time.FixedZone("", -90*60))} {
			if got, want := string(appendDateTime(nil, one)), one.Format(dateTime); got != want {
				t.Fatalf("%d, %v: %s, want %s", i, one, got, want)
			}
		}
	}
}
