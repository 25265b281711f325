package store_test

import (
	"context"
	"testing"
	"time"
)

func TestTrimAudit(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	const many = 2500 // more than one transaction removes
	_, err := b.writer.Exec(b.database.Dialect.Bind(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO audit (at, actor, action, object, name) SELECT CAST(?2 AS BIGINT) - (?1 - i) * 1000, 'a', 'add', 'domain', CAST(i AS TEXT) FROM n`), many, b.clock.Now().UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	count := func() (n, oldest int) {
		t.Helper()
		if err := b.reader.QueryRow("SELECT count(*), COALESCE(min(id), 0) FROM audit").Scan(&n, &oldest); err != nil {
			t.Fatal(err)
		}
		return n, oldest
	}
	for _, step := range []struct {
		keep                  time.Duration
		rows                  int
		trimmed, left, oldest int
	}{
		{0, 0, 0, many, 1},
		{many * time.Second, many, 0, many, 1},
		{2000*time.Second + 500*time.Millisecond, 0, 499, 2001, 500},
		{0, 1500, 501, 1500, 1001},
		{time.Second / 2, 1000, 1499, 1, many},
		{0, 1, 0, 1, many},
	} {
		trimmed, err := b.TrimAudit(ctx, step.keep, step.rows)
		if n, oldest := count(); err != nil || int(trimmed) != step.trimmed || n != step.left || oldest != step.oldest {
			t.Errorf("%+v: %d trimmed, %d left from %d on, %v", step, trimmed, n, oldest, err)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := b.TrimAudit(ended, time.Nanosecond, 1); err == nil {
		t.Error("an ended context is no error")
	}
}
