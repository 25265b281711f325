package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"toastmaster/internal/testkit/proc"
)

const (
	smtpProcesses = 20 // and as many mailboxes
	smtpSessions  = 5  // a process
	messageSize   = 4096
)

// smtpStage: mail in, by Postfix's own load generator.
func smtpStage() stage {
	return stage{
		name: "smtp", text: "smtp-source, 100 sessions in 20 processes, 4 KiB, 20 mailboxes, until the last message is in its Maildir",
		peer: peerPostfix, users: smtpProcesses, fresh: true,
		prepare: func(ctx context.Context, l *lab, s *side) error {
			_, err := smtpRun(ctx, s, 400, false)
			return err
		},
		metrics: []metric{
			{title: "SMTP to Maildir, a connection per message", unit: "messages/s", goal: 5, measure: smtpMeasure(false)},
			{title: "SMTP to Maildir, connections kept (-d)", unit: "messages/s", goal: 5, measure: smtpMeasure(true)},
		},
	}
}

func smtpMeasure(keep bool) func(context.Context, *lab, *side) (float64, error) {
	return func(ctx context.Context, l *lab, s *side) (float64, error) {
		n := l.n(10000)
		if !s.ours {
			n = l.n(4000) // it is the rate that is compared
		}
		return smtpRun(ctx, s, n, keep)
	}
}

// smtpRun sends n messages and returns the rate until all lie in new/.
func smtpRun(ctx context.Context, s *side, n int, keep bool) (float64, error) {
	each := n / smtpProcesses
	n = each * smtpProcesses
	source, err := proc.Find("smtp-source")
	if err != nil {
		return 0, err
	}
	waits := make([]*arrivals, smtpProcesses)
	for i := range waits {
		waits[i], err = expectArrivals(s.maildir(address(i)), each)
		if err != nil {
			return 0, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	begin := time.Now()
	errs := make(chan error, smtpProcesses)
	for i := range smtpProcesses {
		args := []string{"-s", fmt.Sprint(smtpSessions), "-m", fmt.Sprint(each), "-l", fmt.Sprint(messageSize),
			"-f", "sender@example.net", "-t", address(i), s.smtp}
		if keep {
			args = append([]string{"-d"}, args...)
		}
		cmd := exec.CommandContext(ctx, source, args...)
		go func() {
			out, err := cmd.CombinedOutput()
			if err != nil {
				err = fmt.Errorf("smtp-source: %w: %s", err, out)
				cancel()
			}
			errs <- err
		}()
	}
	for range smtpProcesses {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		return 0, err
	}
	for _, w := range waits {
		if err := w.wait(ctx); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(begin).Seconds(), nil
}

// arrivals waits for a number of files in a Maildir's new/.
type arrivals struct {
	dir  string
	want int
}

func expectArrivals(maildir string, more int) (*arrivals, error) {
	a := &arrivals{dir: filepath.Join(maildir, "new")}
	have, err := a.count()
	a.want = have + more
	return a, err
}

func (a *arrivals) count() (int, error) {
	f, err := os.Open(a.dir)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil // made by the first delivery
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
			return fmt.Errorf("%s: %d files, want %d", a.dir, have, a.want)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %d of %d files: %w", a.dir, have, a.want, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
