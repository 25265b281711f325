package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"
)

const pop3Messages = 5000

// pop3Stage: everything is fetched, as by a program that leaves mail there.
func pop3Stage() stage {
	return stage{
		name: "pop3", text: "POP3 RETR of 5,000 messages of 4 KiB",
		peer: peerDovecot, users: 1,
		prepare: func(ctx context.Context, l *lab, s *side) error {
			if err := fillMaildir(s, address(0), l.n(pop3Messages), messageSize); err != nil {
				return err
			}
			_, err := pop3Run(ctx, s, l.n(pop3Messages), 1) // fills the caches
			return err
		},
		metrics: []metric{
			{title: "POP3 RETR of everything, one at a time", unit: "messages/s", goal: 1, measure: pop3Measure(1), count: func(l *lab, _ *side) int { return l.n(pop3Messages) }},
			{title: "POP3 RETR of everything, 20 pipelined", unit: "messages/s", goal: 1, measure: pop3Measure(20), count: func(l *lab, _ *side) int { return l.n(pop3Messages) }},
		},
	}
}

func pop3Measure(pipeline int) func(context.Context, *lab, *side) (float64, error) {
	return func(ctx context.Context, l *lab, s *side) (float64, error) {
		return pop3Run(ctx, s, l.n(pop3Messages), pipeline)
	}
}

// pop3Run fetches n messages and returns the rate; the log-in is not measured.
func pop3Run(ctx context.Context, s *side, n, pipeline int) (float64, error) {
	c, end, err := dialFor(ctx, s.pop3)
	if err != nil {
		return 0, err
	}
	defer end()
	if err := c.popOK(""); err != nil {
		return 0, err
	}
	for _, command := range []string{"USER " + address(0), "PASS " + password} {
		if err := c.popOK(command); err != nil {
			return 0, err
		}
	}
	begin := time.Now()
	for next := 1; next <= n; next += pipeline {
		var b bytes.Buffer
		last := min(next+pipeline-1, n)
		for i := next; i <= last; i++ {
			fmt.Fprintf(&b, "RETR %d\r\n", i)
		}
		if err := c.write(b.Bytes()); err != nil {
			return 0, err
		}
		if err := c.popMessages(last - next + 1); err != nil {
			return 0, err
		}
	}
	rate := float64(n) / time.Since(begin).Seconds()
	return rate, c.popOK("QUIT")
}

func (c *client) popOK(command string) error {
	if command != "" {
		if err := c.printf("%s\r\n", command); err != nil {
			return err
		}
	}
	s, err := c.line()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(s, "+OK") {
		return fmt.Errorf("%s", s)
	}
	return nil
}

// popMessages reads n multi-line answers: it counts their ends. The messages
// of the benchmark hold no line with a dot.
func (c *client) popMessages(n int) error {
	var kept [4]byte
	have := 0
	buf := make([]byte, 256<<10)
	for n > 0 {
		copy(buf, kept[:have])
		got, err := c.r.Read(buf[have:])
		if err != nil {
			return err
		}
		data := buf[:have+got]
		n -= bytes.Count(data, []byte("\r\n.\r\n"))
		if bytes.HasPrefix(data, []byte("-ERR")) {
			return fmt.Errorf("%s", data)
		}
		// The end of an answer may be cut, but must not be counted twice.
		have = 0
		if !bytes.HasSuffix(data, []byte("\r\n.\r\n")) {
			have = copy(kept[:], data[max(len(data)-4, 0):])
		}
	}
	return nil
}
