package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// stage is a group of measurements on servers that are prepared once, or with
// fresh set for every round.
type stage struct {
	name, text string
	peer       peerKind
	users      int
	fresh      bool
	// once: the figure does not vary, and takes minutes.
	once bool
	// next is what the servers hand mail on to, nil for nothing.
	next func(ctx context.Context, dir string, users int) (*nexthop, error)
	// prepare fills the mailboxes or warms up. It is not measured.
	prepare func(ctx context.Context, l *lab, s *side) error
	metrics []metric
}

// metric is one row of the table.
type metric struct {
	title string
	unit  string
	// goal is the ratio to the peer, or with a peer of "none" the limit in unit.
	goal    float64
	measure func(ctx context.Context, l *lab, s *side) (float64, error)
	// count is how many units one measurement is, for what each of them costs; nil
	// where that depends on the time.
	count func(l *lab, s *side) int
}

// lab is one run of the benchmark.
type lab struct {
	dir, program string
	rounds       int
	scale        float64
	ours, theirs bool
	// against is another program of ours that is the peer of every stage, "" for none.
	against  string
	progress io.Writer
	count    int
}

// n scales a number of messages.
func (l *lab) n(full int) int { return max(int(float64(full)*l.scale), 20) }

// mails is how many messages SMTP and LMTP send: fewer to a slower peer, whose run
// takes longer all the same. It is the rate that is compared.
func (l *lab) mails(s *side) int {
	if s.ours || l.against != "" {
		return l.n(10000)
	}
	return l.n(4000)
}

func (l *lab) say(format string, args ...any) {
	fmt.Fprintf(l.progress, "%s %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// result is one metric's figures, round by round.
type result struct {
	metric
	stage        string
	peer         string
	ours, theirs []float64
	// costs are what one unit cost each server, ours under true.
	costs map[bool][]cost
}

// allStages is the list that -list prints.
func allStages() []stage {
	return []stage{smtpStage(), relayStage(), storeStage(), lmtpStage(), appendStage(), fetchStage(), listsStage(), pop3Stage(), processesStage(), idleStage(), mailboxesStage(), tenantsStage(), backlogStage(), gateStage()}
}

// runAll runs stage after stage. What was measured before an error is
// returned with it.
func (l *lab) runAll(ctx context.Context, stages []stage) ([]result, error) {
	var all []result
	var failed error
	for _, st := range stages {
		l.say("%s: %s", st.name, st.text)
		results, err := l.runStage(ctx, st)
		for _, r := range results {
			if len(r.ours)+len(r.theirs) > 0 {
				all = append(all, r)
			}
		}
		if ctx.Err() != nil {
			return all, errors.New("interrupted")
		}
		if err != nil {
			l.say("%s: %v", st.name, err)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", st.name, err))
		}
	}
	return all, failed
}

// opponents are the sides of a stage, Toastmaster first.
func (l *lab) opponents(st stage) []starter {
	var all []starter
	if l.ours {
		all = append(all, startToastmaster)
	}
	switch {
	case l.against != "":
		all = append(all, startOther)
	case l.theirs && st.peer != peerNone:
		if err := st.peer.available(); err != nil {
			l.say("  %s is left out: %v", st.peer, err)
		} else {
			all = append(all, st.peer.starter())
		}
	}
	return all
}

func (l *lab) runStage(ctx context.Context, st stage) ([]result, error) {
	results := make([]result, len(st.metrics))
	for i, m := range st.metrics {
		results[i] = result{metric: m, stage: st.name, peer: string(st.peer), costs: map[bool][]cost{}}
		if l.against != "" && st.peer != peerNone {
			results[i].peer, results[i].goal = otherName, 1
		}
	}
	rounds := l.rounds
	if st.once {
		rounds = 1
	}
	if st.fresh {
		for round := range rounds {
			for _, start := range l.opponents(st) {
				if err := l.runFresh(ctx, st, start, round, results); err != nil {
					return results, err
				}
			}
		}
		return results, nil
	}
	var sides []*side
	defer func() {
		for _, s := range sides {
			s.stop()
		}
	}()
	for _, start := range l.opponents(st) {
		s, err := l.start(ctx, st, start)
		if err != nil {
			return results, err
		}
		sides = append(sides, s)
	}
	for round := range rounds {
		for i := range results {
			for _, s := range sides {
				if err := l.measure(ctx, s, round, &results[i]); err != nil {
					return results, err
				}
			}
		}
	}
	return results, nil
}

func (l *lab) runFresh(ctx context.Context, st stage, start starter, round int, results []result) error {
	s, err := l.start(ctx, st, start)
	if err != nil {
		return err
	}
	defer s.stop()
	for i := range results {
		if err := l.measure(ctx, s, round, &results[i]); err != nil {
			return err
		}
	}
	return nil
}

// start runs one side in a folder of its own and prepares it.
func (l *lab) start(ctx context.Context, st stage, start starter) (*side, error) {
	l.count++
	dir := filepath.Join(l.dir, fmt.Sprint(l.count))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	s, err := l.startSide(ctx, st, start, dir)
	if err != nil {
		return nil, err
	}
	// Its files stay until the end of the run: ext4 keeps the inodes of what was
	// deleted in the last minutes apart, and walks over them, one by one, for
	// each file that is created there, whoever creates it.
	if st.prepare == nil {
		return s, nil
	}
	if err := st.prepare(ctx, l, s); err != nil {
		err = fmt.Errorf("%s: prepare: %w\n%s", s.name, err, s.logTail(2000))
		s.stop()
		return nil, err
	}
	return s, nil
}

// startSide starts what comes behind the server, and the server.
func (l *lab) startSide(ctx context.Context, st stage, start starter, dir string) (*side, error) {
	if st.next == nil {
		return start(ctx, l, dir, setup{users: st.users})
	}
	behind := filepath.Join(dir, "next")
	if err := os.Mkdir(behind, 0o755); err != nil {
		return nil, err
	}
	next, err := st.next(ctx, behind, st.users)
	if err != nil {
		return nil, err
	}
	own := filepath.Join(dir, "own")
	if err = os.Mkdir(own, 0o755); err == nil {
		var s *side
		if s, err = start(ctx, l, own, setup{users: st.users, next: next}); err == nil {
			stop := s.stop
			s.next, s.stop = next, func() {
				stop()
				next.stop()
			}
			return s, nil
		}
	}
	next.stop()
	return nil, err
}

func (l *lab) measure(ctx context.Context, s *side, round int, r *result) error {
	syscall.Sync()
	costs, err := costsOf(l, s, r.count)
	var value float64
	if err == nil {
		value, err = r.metric.measure(ctx, l, s)
	}
	if err == nil {
		err = costs.end()
	}
	if err != nil {
		return fmt.Errorf("%s: %s: %w\n%s", s.name, r.title, err, s.logTail(2000))
	}
	l.say("  round %d/%d  %-12s %-44s %10.0f %s%s", round+1, l.rounds, s.name, r.title, value, r.unit, costs)
	if costs.known() {
		r.costs[s.ours] = append(r.costs[s.ours], costs.each)
	}
	if s.ours {
		r.ours = append(r.ours, value)
	} else {
		r.theirs = append(r.theirs, value)
	}
	return nil
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}
