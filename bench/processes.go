package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"time"

	"toastmaster/internal/testkit/binary"
)

// processesState is what the measurements of the stage share.
type processesState struct {
	second   *side
	messages int
}

// processesStage: the same work on the same store by one process and by two. There is no
// peer; the figure is the time that two take, and 200 would be that they hinder each other
// as much as they help.
func processesStage() stage {
	return stage{
		name: "processes", text: "two processes on one store against one: 20 LMTP connections, FETCH by 4 sessions",
		peer: peerNone, users: lmtpConnections, prepare: processesPrepare,
		metrics: []metric{
			{title: "LMTP delivery by two processes on one store", unit: "% of the time of one", goal: 150, measure: processesLMTP},
			{title: "FETCH 1:* FLAGS by two processes on one store", unit: "% of the time of one", goal: 150, measure: processesFetch},
		},
	}
}

func processesPrepare(ctx context.Context, l *lab, s *side) (err error) {
	st := &processesState{messages: l.n(20000)}
	s.state = st
	if st.second, err = s.second(ctx); err != nil {
		return err
	}
	if err := fillMaildir(s, address(0), st.messages, 2048); err != nil {
		return err
	}
	_, err = lmtpRunBy(ctx, 200, s, st.second)
	return err
}

func processesLMTP(ctx context.Context, l *lab, s *side) (float64, error) {
	st := s.state.(*processesState)
	one, err := lmtpRun(ctx, s, l.mails(s))
	if err != nil {
		return 0, err
	}
	two, err := lmtpRunBy(ctx, l.mails(s), s, st.second)
	if err != nil {
		return 0, err
	}
	l.say("  one process %.0f messages/s, two %.0f", one, two)
	return 100 * one / two, nil
}

func processesFetch(ctx context.Context, l *lab, s *side) (float64, error) {
	st := s.state.(*processesState)
	one, err := fetchBy(ctx, st.messages, s)
	if err != nil {
		return 0, err
	}
	two, err := fetchBy(ctx, st.messages, s, st.second)
	if err != nil {
		return 0, err
	}
	l.say("  one process %.0f messages/s, two %.0f", one, two)
	return 100 * one / two, nil
}

const fetchSessions = 4

// fetchBy is the rate of all sessions together, each with the server whose turn it is.
func fetchBy(ctx context.Context, messages int, sides ...*side) (float64, error) {
	var conns []*client
	for n := range fetchSessions {
		c, end, err := login(ctx, sides[n%len(sides)], address(0))
		if err != nil {
			return 0, err
		}
		defer end()
		if _, err := c.command("SELECT INBOX"); err != nil {
			return 0, err
		}
		conns = append(conns, c)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	total := 0
	var failed error
	begin := time.Now()
	for _, c := range conns {
		all.Go(func() {
			for time.Since(begin) < measureFor {
				_, err := c.command("FETCH 1:* FLAGS")
				mu.Lock()
				total += messages
				failed = errors.Join(failed, err)
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return float64(total) / time.Since(begin).Seconds(), failed
}

// startSecond serves the store of first by one more process, as docs/processes.md has it.
func startSecond(ctx context.Context, program string, first *side, instance *binary.Instance) (*side, error) {
	text, err := os.ReadFile(instance.ConfigFile())
	if err != nil {
		return nil, err
	}
	id := regexp.MustCompile(`(?m)^instance = (".*")$`).FindSubmatch(text)
	if id == nil {
		return nil, errors.New("the configuration has no main.instance")
	}
	i, err := binary.Create(ctx, binary.Options{
		Program: program, Dir: filepath.Join(instance.Data(), "..", "second"), Hostname: "mx.example.test",
		Params: map[string]string{
			"main.instance": string(id[1]), "store.path": strconv.Quote(filepath.Join(instance.Data(), "mail")),
			"directory.path": strconv.Quote(filepath.Join(instance.Data(), "directory.db")),
		},
	})
	if err != nil {
		return nil, err
	}
	// init made a whole instance, whose queue has an id of its own.
	err = os.RemoveAll(filepath.Join(i.Data(), "queue"))
	if err == nil {
		_, err = i.Run(ctx, "", "init", "--new", "queue")
	}
	if err == nil {
		err = i.Start(ctx)
	}
	if err != nil {
		i.Close()
		return nil, err
	}
	stop := first.stop
	first.stop = func() { i.Close(); stop() }
	return &side{name: "Toastmaster, second process", ours: true, lmtp: i.LMTP(), imap: i.IMAP(), maildir: first.maildir, logTail: i.LogTail}, nil
}
