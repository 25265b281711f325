package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// arrivals waits for a number of messages in a Maildir: in new/, or in cur/,
// where an APPEND with flags puts them. No answer of a server is believed
// without.
type arrivals struct {
	maildir string
	want    int
}

// expectArrivals counts what is there, before a run that brings more.
func expectArrivals(maildir string, more int) (*arrivals, error) {
	a := &arrivals{maildir: maildir}
	have, err := a.count()
	a.want = have + more
	return a, err
}

// expectEach is expectArrivals for the mailboxes address(0) to
// address(users-1).
func expectEach(s *side, users, more int) ([]*arrivals, error) {
	all := make([]*arrivals, users)
	for i := range all {
		a, err := expectArrivals(s.maildir(address(i)), more)
		if err != nil {
			return nil, err
		}
		all[i] = a
	}
	return all, nil
}

// checkEach is awaitEach for a run whose messages were all answered, so they
// are there but for what the server may do behind its answer.
func checkEach(ctx context.Context, all []*arrivals) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return awaitEach(ctx, all)
}

// awaitEach waits until all have arrived.
func awaitEach(ctx context.Context, all []*arrivals) error {
	for _, a := range all {
		if err := a.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (a *arrivals) count() (int, error) {
	total := 0
	for _, folder := range []string{"new", "cur"} {
		n, err := countNames(filepath.Join(a.maildir, folder))
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// countNames is 0 for a folder that is not there: the first delivery makes it.
func countNames(dir string) (int, error) {
	f, err := os.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	return len(names), err
}

// wait looks 50 times a second; nothing is looked at while the load runs.
func (a *arrivals) wait(ctx context.Context) error {
	for {
		have, err := a.count()
		if err != nil {
			return err
		}
		if have == a.want {
			return nil
		}
		if have > a.want {
			return fmt.Errorf("%s: %d files, want %d", a.maildir, have, a.want)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %d of %d files: %w", a.maildir, have, a.want, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
