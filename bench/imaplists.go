package main

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// listConnections are the clients of one user: a mail program, a telephone, a
// web mail.
const listConnections = 4

// listState is what the measurements of the stage share.
type listState struct {
	messages int
	// idle have nothing selected, reading have INBOX.
	idle, reading []*client
}

// listsStage: what clients ask without reading a message, in the middle of a
// big mailbox. Each connection has one command under way.
func listsStage() stage {
	return stage{
		name: "lists", text: "IMAP STATUS, header fields and header SEARCH from 4 connections on a mailbox with 20,000 messages",
		peer: peerDovecot, users: 1, prepare: listsPrepare,
		metrics: []metric{
			{title: "STATUS of 20,000, 4 connections", unit: "commands/s", goal: 1, measure: listsMeasure(askStatus, false, 4000)},
			{title: "FETCH of header fields, 50 messages", unit: "commands/s", goal: 2, measure: listsMeasure(askFields, true, 1000)},
			{title: "SEARCH of a header field in 20,000", unit: "commands/s", goal: 10, measure: listsMeasure(askSearch, true, 20)},
		},
	}
}

// listFields are what Thunderbird asks for to list a folder.
const listFields = "(UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])"

func askStatus(_ *listState, _ int) string {
	return "STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)"
}

// askFields goes through the mailbox, page by page.
func askFields(st *listState, i int) string {
	first := i * 50 % max(st.messages-50, 1)
	return fmt.Sprintf("FETCH %d:%d %s", first+1, first+50, listFields)
}

// askSearch looks for what few messages have, in one field after the other.
func askSearch(st *listState, i int) string {
	n := i * 7919 % st.messages
	switch i % 4 {
	case 0:
		return fmt.Sprintf(`SEARCH SUBJECT "message %d of"`, n)
	case 1:
		return fmt.Sprintf(`SEARCH FROM "sender%d@example.net"`, n%1000)
	case 2:
		return fmt.Sprintf(`SEARCH HEADER Message-ID ".%d@client"`, n)
	}
	return fmt.Sprintf(`SEARCH CC "copy%d@example.org"`, n%1000)
}

// listsPrepare makes the mailbox and lets the server fill its caches, by the very
// commands that are measured.
func listsPrepare(ctx context.Context, l *lab, s *side) error {
	st := &listState{messages: l.n(20000)}
	s.state = st
	l.say("  %s: writing %d messages and reading their headers", s.name, st.messages)
	if err := fillMaildir(s, address(0), st.messages, 2048); err != nil {
		return err
	}
	var ends []func()
	stop := s.stop
	s.stop = func() {
		for _, end := range ends {
			end()
		}
		stop()
	}
	for i := range 2 * listConnections {
		c, end, err := login(ctx, s, address(0))
		if err != nil {
			return err
		}
		ends = append(ends, end)
		if i < listConnections {
			st.idle = append(st.idle, c)
			continue
		}
		if _, err := c.command("SELECT INBOX"); err != nil {
			return err
		}
		st.reading = append(st.reading, c)
	}
	// Twice: Dovecot decides by the first what to cache. And what it caches for
	// one connection the others have to read.
	warm := []string{"FETCH 1:* " + listFields, "FETCH 1:* " + listFields, "FETCH 1:* (FLAGS ENVELOPE)", "FETCH 1:* (FLAGS ENVELOPE)"}
	for i := range 8 {
		warm = append(warm, askSearch(st, i))
	}
	for _, c := range st.reading {
		for _, command := range warm {
			if _, err := c.command("%s", command); err != nil {
				return err
			}
		}
	}
	// A sequence number beyond the last message is an error.
	if _, err := st.reading[0].command("FETCH %d UID", st.messages); err != nil {
		return fmt.Errorf("not all messages were found: %w", err)
	}
	return nil
}

// listsMeasure runs commands on all connections, in rounds of some each, for a
// second or longer.
func listsMeasure(ask func(st *listState, i int) string, selected bool, some int) func(context.Context, *lab, *side) (float64, error) {
	return func(ctx context.Context, l *lab, s *side) (float64, error) {
		st := s.state.(*listState)
		conns := st.idle
		if selected {
			conns = st.reading
		}
		begin, commands := time.Now(), 0
		for time.Since(begin) < measureFor {
			var all []*exchange
			for k, c := range conns {
				all = append(all, &exchange{
					c: c, read: make([]byte, 0, 1<<20), answered: listsAnswered,
					next: func(i int) []byte { return fmt.Appendf(nil, "%s%s\r\n", listsTag, ask(st, i*len(conns)+k)) },
				})
			}
			if _, err := oneLoop(ctx, all, some); err != nil {
				return 0, err
			}
			commands += some * len(conns)
		}
		return float64(commands) / time.Since(begin).Seconds(), nil
	}
}

// listsTag is the same for every command: each waits for the answer to the one
// before.
const listsTag = "list "

// listsAnswered looks for the tagged line at the end of what was read.
func listsAnswered(read []byte) (bool, error) {
	if !bytes.HasSuffix(read, []byte("\r\n")) {
		return false, nil
	}
	last := read[bytes.LastIndexByte(read[:len(read)-2], '\n')+1:]
	if !bytes.HasPrefix(last, []byte(listsTag)) {
		return false, nil
	}
	if !bytes.HasPrefix(last, []byte(listsTag+"OK ")) {
		return false, fmt.Errorf("%.200q", last)
	}
	if len(read) == len(last) {
		return false, fmt.Errorf("nothing but %.200q", last)
	}
	return true, nil
}
