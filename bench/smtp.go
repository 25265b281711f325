package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
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
			{title: "SMTP to Maildir, a connection per message", unit: "messages/s", goal: 5, measure: smtpMeasure(false), count: (*lab).mails},
			{title: "SMTP to Maildir, connections kept (-d)", unit: "messages/s", goal: 5, measure: smtpMeasure(true), count: (*lab).mails},
		},
	}
}

func smtpMeasure(keep bool) func(context.Context, *lab, *side) (float64, error) {
	return func(ctx context.Context, l *lab, s *side) (float64, error) {
		return smtpRun(ctx, s, l.mails(s), keep)
	}
}

// smtpRun sends n messages and returns the rate until all lie in the Maildirs.
func smtpRun(ctx context.Context, s *side, n int, keep bool) (float64, error) {
	each := n / smtpProcesses
	n = each * smtpProcesses
	waits, err := expectEach(s, smtpProcesses, each)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	begin := time.Now()
	if err := smtpSend(ctx, s, each, keep); err != nil {
		return 0, err
	}
	if err := awaitEach(ctx, waits); err != nil {
		return 0, err
	}
	return float64(n) / time.Since(begin).Seconds(), nil
}

// smtpSend sends so many messages to each mailbox by smtp-source, and waits until the server
// has taken them.
func smtpSend(ctx context.Context, s *side, each int, keep bool) error {
	source, err := proc.Find("smtp-source")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
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
	return err
}
