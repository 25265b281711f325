package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"toastmaster/admin/model"
)

// TestQshapeAges: where ranges begin and end, doubling and linear. The columns were counted
// with Debian's qshape.
func TestQshapeAges(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 6, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		minutes          float64
		doubling, linear int
	}{
		{-3, 1, 1}, {0, 1, 1}, {4.99, 1, 1}, {5, 2, 2}, {9.99, 2, 2}, {10, 3, 3}, {19.9, 3, 4}, {20, 4, 5}, {39, 4, 8}, {40, 5, 9}, {1e7, 10, 10},
	} {
		at := now.Add(-time.Duration(c.minutes * float64(time.Minute)))
		s := shape{now: now, buckets: 10, tick: 5}
		doubling := s.bucket(at)
		s.linear = true
		if linear := s.bucket(at); doubling != c.doubling || linear != c.linear {
			t.Errorf("%v minutes: %d, linear %d, want %d and %d", c.minutes, doubling, linear, c.doubling, c.linear)
		}
	}
}

// TestQshapeNames: a long name keeps its end, parent domains need enough below them, the most
// comes first, and a null sender has Postfix's name.
func TestQshapeNames(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 6, 9, 0, 0, 0, time.UTC)
	s := shape{now: now, buckets: 2, tick: 5, width: 80, least: 3, parents: true, domains: map[string]*shapeRow{}, total: newShapeRow("TOTAL", 2)}
	long := strings.Repeat("long", 20) + ".test"
	for i, domain := range []string{"a.x.test", "B.X.test", "c.x.test", "a.y.test", long} {
		m := model.QueuedMessage{Arrived: now.Add(-time.Duration(i) * 3 * time.Minute)}
		m.Recipients = append(m.Recipients, model.QueuedRecipient{Address: "u@" + domain})
		s.add(m)
	}
	s.senders = true
	s.add(model.QueuedMessage{Arrived: now})
	var b strings.Builder
	if err := s.print(&b); err != nil {
		t.Fatal(err)
	}
	row := func(name, counts string) string { return fmt.Sprintf("%71s%s\n", name, counts) }
	want := row("", "  T  5 5+") + row("TOTAL", "  6  3  3") + row(".x.test", "  3  2  1") + row("a.x.test", "  1  1  0")
	if got := b.String(); !strings.HasPrefix(got, want) || !strings.Contains(got, row("MAILER-DAEMON", "  1  1  0")) ||
		!strings.Contains(got, "\n+"+long[len(long)-70:]+"  1  0  1\n") || strings.Contains(got, ".y.test  ") && strings.Contains(got, " .y.test") {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
