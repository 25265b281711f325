package main

import (
	"context"
	"fmt"
	"time"
)

// fetchState is what the measurements of the stage share.
type fetchState struct {
	messages int
	conn     *client
}

// fetchStage: a big mailbox is opened and listed. The client reads octets and
// looks only for the tagged line.
func fetchStage() stage {
	return stage{
		name: "fetch", text: "IMAP SELECT and FETCH of a mailbox with 20,000 messages",
		peer: peerDovecot, users: 1, prepare: fetchPrepare,
		metrics: []metric{
			{title: "FETCH 1:* FLAGS of 20,000", unit: "messages/s", goal: 1, measure: fetchMeasure("FLAGS")},
			{title: "FETCH 1:* ENVELOPE of 20,000", unit: "messages/s", goal: 1, measure: fetchMeasure("ENVELOPE")},
			{title: "FETCH 1:* as a mail program's list", unit: "messages/s", goal: 1,
				measure: fetchMeasure("(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)")},
			{title: "SELECT of 20,000, same connection", unit: "commands/s", goal: 1, measure: selectAgain},
			{title: "SELECT of 20,000, new connection", unit: "commands/s", goal: 1, measure: selectNew},
		},
	}
}

// fetchPrepare makes the mailbox and lets the server fill its caches.
func fetchPrepare(ctx context.Context, l *lab, s *side) error {
	st := &fetchState{messages: l.n(20000)}
	s.state = st
	l.say("  %s: writing %d messages and reading them once", s.name, st.messages)
	if err := fillMaildir(s, address(0), st.messages, 2048); err != nil {
		return err
	}
	c, end, err := login(ctx, s, address(0))
	if err != nil {
		return err
	}
	st.conn = c
	stop := s.stop
	s.stop = func() { end(); stop() }
	const list = "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"
	// Twice: Dovecot decides by the first what to cache.
	for _, command := range []string{"SELECT INBOX", list, list} {
		if _, err := c.command("%s", command); err != nil {
			return err
		}
	}
	// A sequence number beyond the last message is an error.
	if _, err := c.command("FETCH %d UID", st.messages); err != nil {
		return fmt.Errorf("not all messages were found: %w", err)
	}
	return nil
}

// measureFor is how long a measurement repeats its command: one is too short.
const measureFor = time.Second

func fetchMeasure(items string) func(context.Context, *lab, *side) (float64, error) {
	return func(ctx context.Context, l *lab, s *side) (float64, error) {
		st := s.state.(*fetchState)
		begin, messages := time.Now(), 0
		for time.Since(begin) < measureFor {
			octets, err := st.conn.command("FETCH 1:* %s", items)
			if err != nil {
				return 0, err
			}
			if octets < st.messages*15 {
				return 0, fmt.Errorf("only %d octets for %d messages", octets, st.messages)
			}
			messages += st.messages
		}
		return float64(messages) / time.Since(begin).Seconds(), nil
	}
}

func selectAgain(ctx context.Context, l *lab, s *side) (float64, error) {
	st := s.state.(*fetchState)
	begin, times := time.Now(), 0
	for ; time.Since(begin) < measureFor; times++ {
		if _, err := st.conn.command("SELECT INBOX"); err != nil {
			return 0, err
		}
	}
	return float64(times) / time.Since(begin).Seconds(), nil
}

// selectNew measures the SELECT only; the log-in before it pays for the
// password hash, which is a choice and no speed.
func selectNew(ctx context.Context, l *lab, s *side) (float64, error) {
	const times = 20
	var spent time.Duration
	for range times {
		c, end, err := login(ctx, s, address(0))
		if err != nil {
			return 0, err
		}
		begin := time.Now()
		_, err = c.command("SELECT INBOX")
		spent += time.Since(begin)
		end()
		if err != nil {
			return 0, err
		}
	}
	return times / spent.Seconds(), nil
}
