package main

import (
	"bytes"
	"context"
	"fmt"
	"time"
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

// appendRun appends n messages and checks afterwards that all lie there.
func appendRun(ctx context.Context, s *side, n int) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	commands := appendCommands()
	each := n / appendConnections
	waits, err := expectEach(s, appendConnections, each)
	if err != nil {
		return 0, err
	}
	var all []*exchange
	for conn := range appendConnections {
		c, end, err := login(ctx, s, address(conn))
		if err != nil {
			return 0, err
		}
		defer end()
		all = append(all, &exchange{
			c:        c,
			next:     func(i int) []byte { return commands[(conn*each+i)%len(commands)] },
			answered: appendAnswered,
		})
	}
	rate, err := oneLoop(ctx, all, each)
	if err != nil {
		return 0, err
	}
	return rate, checkEach(ctx, waits)
}

// appendTag is the same for every command: each waits for the answer to the
// one before.
const appendTag = "append "

// appendCommands are made before the measurement, like the messages in them.
func appendCommands() [][]byte {
	var all [][]byte
	for _, content := range someMessages() {
		all = append(all, fmt.Appendf(nil, appendTag+"APPEND INBOX (\\Seen) {%d+}\r\n%s\r\n", len(content), content))
	}
	return all
}

// appendAnswered wants the tagged OK. No mailbox is selected, so nothing else
// is to come.
func appendAnswered(read []byte) (bool, error) {
	if !bytes.HasSuffix(read, []byte("\r\n")) {
		return false, nil
	}
	if !bytes.HasPrefix(read, []byte(appendTag+"OK ")) {
		return false, fmt.Errorf("%.200q", read)
	}
	return true, nil
}
