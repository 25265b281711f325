package main

import (
	"context"
	"fmt"
	"time"
)

// idleStage: what a connection costs that waits for mail. Two steps of
// connections are opened, and the growth between them is divided: what the
// server needs once is not charged to a connection.
func idleStage() stage {
	const users = 10
	return stage{
		name: "idle", text: "memory of an IMAP connection in IDLE, over 1,000 of them",
		peer: peerNone, users: users, fresh: true, once: true,
		metrics: []metric{{title: "RSS of an idle IMAP connection (IDLE)", unit: "KiB, at most", goal: 40,
			measure: func(ctx context.Context, l *lab, s *side) (float64, error) {
				const step = 500
				first, err := idleConnections(ctx, l, s, step)
				defer first.close()
				if err != nil {
					return 0, err
				}
				before, err := settledRSS(ctx, l, s)
				if err != nil {
					return 0, err
				}
				second, err := idleConnections(ctx, l, s, 2*step)
				defer second.close()
				if err != nil {
					return 0, err
				}
				after, err := settledRSS(ctx, l, s)
				return float64(after-before) / 1024 / (2 * step), err
			}}},
	}
}

type connections []func()

func (c connections) close() {
	for _, end := range c {
		end()
	}
}

// idleConnections opens n connections that have INBOX selected and wait in
// IDLE.
func idleConnections(ctx context.Context, l *lab, s *side, n int) (connections, error) {
	var all connections
	for i := range n {
		c, end, err := login(ctx, s, address(i%s.users))
		if err != nil {
			return all, fmt.Errorf("connection %d: %w", i, err)
		}
		all = append(all, end)
		if _, err := c.command("SELECT INBOX"); err != nil {
			return all, err
		}
		if err := c.printf("i IDLE\r\n"); err != nil {
			return all, err
		}
		line, err := c.line()
		if err != nil || line == "" || line[0] != '+' {
			return all, fmt.Errorf("IDLE: %q, %v", line, err)
		}
		c.r, c.last = nil, nil // the bench's own memory
	}
	return all, nil
}

// settledRSS waits until the server has given back what the load before has
// left: the Go runtime collects at the latest after two minutes of rest.
func settledRSS(ctx context.Context, l *lab, s *side) (int64, error) {
	wait := 150 * time.Second
	if l.scale < 1 {
		wait = 5 * time.Second
	}
	l.say("  waiting %s for the memory to settle", wait)
	least := int64(0)
	for end := time.Now().Add(wait); time.Now().Before(end); {
		m, err := s.memory()
		if err != nil {
			return 0, err
		}
		if least == 0 || m.RSS < least {
			least = m.RSS
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
	return least, nil
}

// mailboxesStage: a server with many mailboxes and nothing to do.
func mailboxesStage() stage {
	const users = 1000
	rss := func(before func(context.Context, *side) error) func(context.Context, *lab, *side) (float64, error) {
		return func(ctx context.Context, l *lab, s *side) (float64, error) {
			if err := before(ctx, s); err != nil {
				return 0, err
			}
			n, err := settledRSS(ctx, l, s)
			return float64(n) / (1 << 20), err
		}
	}
	return stage{
		name: "mailboxes", text: "memory of an idle server with 1,000 mailboxes",
		peer: peerNone, users: users, fresh: true, once: true,
		metrics: []metric{
			{title: "RSS, after a message to each of 1,000 mailboxes", unit: "MiB, at most", goal: 60, measure: rss(deliverToAll)},
			{title: "RSS, after a restart", unit: "MiB, at most", goal: 60,
				measure: rss(func(ctx context.Context, s *side) error { return s.restart(ctx) })},
		},
	}
}

func deliverToAll(ctx context.Context, s *side) error {
	c, end, err := dialLMTP(ctx, s)
	if err != nil {
		return err
	}
	defer end()
	for i := range s.users {
		if err := c.lmtpSend(address(i), message(i, messageSize)); err != nil {
			return err
		}
	}
	return nil
}
