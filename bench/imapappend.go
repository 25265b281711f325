package main

import (
	"context"
	"fmt"
)

const appendConnections = 10

// appendStage: mail in by IMAP, each connection into its own mailbox.
func appendStage() stage {
	return stage{
		name: "append", text: "IMAP APPEND from 10 connections, 4 KiB, each to its own INBOX, one command at a time",
		peer: peerDovecot, users: appendConnections, fresh: true,
		prepare: func(ctx context.Context, l *lab, s *side) error {
			_, err := appendRun(ctx, s, 100)
			return err
		},
		metrics: []metric{{title: "IMAP APPEND", unit: "messages/s", goal: 5,
			measure: func(ctx context.Context, l *lab, s *side) (float64, error) { return appendRun(ctx, s, l.n(20000)) }}},
	}
}

func appendRun(ctx context.Context, s *side, n int) (float64, error) {
	each := n / appendConnections
	contents := someMessages()
	return parallel(ctx, appendConnections, each, func(ctx context.Context, conn int) (func(i int) error, func(), error) {
		c, end, err := login(ctx, s, address(conn))
		if err != nil {
			return nil, nil, err
		}
		return func(i int) error {
			content := contents[(conn*each+i)%len(contents)]
			tag := c.nextTag()
			if err := c.write(fmt.Appendf(nil, "%s APPEND INBOX (\\Seen) {%d+}\r\n%s\r\n", tag, len(content), content)); err != nil {
				return err
			}
			_, err := c.until(tag)
			return err
		}, end, nil
	})
}
