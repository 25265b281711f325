package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
)

const qshapeUsage = "usage: qshape [-s] [-p] [-m min_subdomains] [-l] [-b bucket_count] [-t bucket_time] [-w terminal_width] [-c config_file] [queue...]"

// qshapeFatal is the exit code of Postfix's qshape for a mistake in its line.
const qshapeFatal = 255

// newQshapeCommand has the command line of Postfix's qshape(1).
func newQshapeCommand(env *Environment) *cobra.Command {
	return newQueueProgramCommand(env, "qshape [-s] [-p] [-m N] [-l] [-b N] [-t MINUTES] [-w WIDTH] [QUEUE...]", "Count queued mail by domain and age, as Postfix's qshape does",
		"Counts as Postfix's qshape(1) does: a row for each domain of recipients, or with -s of senders, a\n"+
			"column for each range of ages, which double, or with -l do not. -t is the first range in minutes\n"+
			"(5), -b how many ranges there are (10), -w the width of the table (80 and more), -p counts parent\n"+
			"domains of at least -m (5) others, too. QUEUE is incoming, active, deferred or hold; without, it\n"+
			"is the first two. -c FILE names the configuration. Called as qshape the exit code is 0, or 255.", Qshape)
}

// Qshape is the program when it is called as qshape.
func Qshape(ctx context.Context, env *Environment, args []string) int {
	p := newQueueProgram(env, "qshape")
	return p.end(p.qshape(ctx, args), qshapeFatal)
}

func (p *queueProgram) qshape(ctx context.Context, args []string) error {
	s := shape{now: time.Now(), domains: map[string]*shapeRow{}}
	p.flags.BoolVarP(&s.senders, "senders", "s", false, "")
	p.flags.BoolVarP(&s.linear, "linear", "l", false, "")
	p.flags.BoolVarP(&s.parents, "parents", "p", false, "")
	buckets := p.flags.IntP("buckets", "b", 10, "")
	tick := p.flags.IntP("tick", "t", 5, "")
	width := p.flags.IntP("width", "w", 80, "")
	least := p.flags.IntP("min-subdomains", "m", 5, "")
	for _, letter := range []string{"n", "N"} {
		p.flags.IntP("batch-"+letter, letter, 0, "") // the table is printed once
	}
	if err := p.flags.Parse(args); errors.Is(err, pflag.ErrHelp) {
		return p.help(qshapeUsage)
	} else if err != nil {
		return fmt.Errorf("%w; %s", err, qshapeUsage)
	}
	for _, n := range []int{*buckets, *tick, *least} {
		if n < 1 || n > 100_000 {
			return fmt.Errorf("-b, -t and -m are from 1 to 100000; %s", qshapeUsage)
		}
	}
	if *buckets > 100 {
		return fmt.Errorf("-b is at most 100; %s", qshapeUsage)
	}
	s.buckets, s.tick, s.width, s.least = *buckets, *tick, max(*width, 80), *least
	s.total = newShapeRow("TOTAL", s.buckets)
	queues := p.flags.Args()
	if len(queues) == 0 {
		queues = []string{"incoming", "active"}
	}
	for _, name := range queues {
		if !slices.Contains(queueNames, name) {
			return fmt.Errorf("there is no queue %s: it is incoming, active, deferred or hold", name)
		}
	}
	return p.admin().withQueue(ctx, readsQueue, func() {}, func(q mailQueue) error {
		err := client.Each(ctx, q.Queue, model.QueueFilter{}, func(m model.QueuedMessage) error {
			if slices.Contains(queues, m.Place) {
				s.add(m)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return s.print(p.stdout)
	})
}

// shape counts addresses by domain and age.
type shape struct {
	now                         time.Time
	senders, linear, parents    bool
	buckets, tick, width, least int
	total                       *shapeRow
	domains                     map[string]*shapeRow
}

// shapeRow is what a domain has: all, and what is in each bucket.
type shapeRow struct {
	name       string
	counts     []int
	subdomains int
}

func newShapeRow(name string, buckets int) *shapeRow {
	return &shapeRow{name: name, counts: make([]int, buckets+1)}
}

func (r *shapeRow) add(bucket int) {
	r.counts[0]++
	r.counts[bucket]++
}

// bucket is the column, from 1, of what arrived then.
func (s *shape) bucket(arrived time.Time) int {
	ticks := s.now.Sub(arrived).Minutes() / float64(s.tick)
	switch {
	case ticks < 1:
		return 1
	case s.linear:
		return min(int(min(ticks, 1e9))+1, s.buckets)
	}
	return min(2+int(math.Log2(ticks)), s.buckets)
}

func (s *shape) add(m model.QueuedMessage) {
	bucket := s.bucket(m.Arrived)
	if s.senders {
		s.addAddress(m.Sender, bucket)
		return
	}
	for _, r := range m.Recipients {
		s.addAddress(r.Address, bucket)
	}
}

// addAddress counts an address for its domain, and with -p for each domain above that is no
// TLD.
func (s *shape) addAddress(address string, bucket int) {
	s.total.add(bucket)
	name := strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
	if address == "" {
		name = "MAILER-DAEMON"
	}
	for isNew := false; ; {
		row := s.domains[name]
		known := row != nil
		if !known {
			row = newShapeRow(name, s.buckets)
			s.domains[name] = row
		}
		row.add(bucket)
		if isNew {
			row.subdomains++
		}
		isNew = !known
		_, above, found := strings.Cut(strings.TrimPrefix(name, "."), ".")
		if !s.parents || !found || !strings.Contains(above, ".") {
			return
		}
		name = "." + above
	}
}

// print writes the table: the most first, of equals the shortest name.
func (s *shape) print(w io.Writer) error {
	widths, heads := s.columns()
	left := s.width
	for _, n := range widths {
		left -= n
	}
	left = max(left, 18)
	if err := printShapeRow(w, left, widths, "", heads); err != nil {
		return err
	}
	rows := []*shapeRow{}
	for _, r := range s.domains {
		if !strings.HasPrefix(r.name, ".") || r.subdomains >= s.least {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b *shapeRow) int {
		if a.counts[0] != b.counts[0] {
			return b.counts[0] - a.counts[0]
		}
		if len(a.name) != len(b.name) {
			return len(a.name) - len(b.name)
		}
		return strings.Compare(a.name, b.name)
	})
	for _, r := range append([]*shapeRow{s.total}, rows...) {
		cells := make([]string, len(r.counts))
		for i, n := range r.counts {
			cells[i] = strconv.Itoa(n)
		}
		if err := printShapeRow(w, left, widths, r.name, cells); err != nil {
			return err
		}
	}
	return nil
}

// columns are the widths and the heads: T, and the age at which each range ends.
func (s *shape) columns() (widths []int, heads []string) {
	age := 0
	for i, n := range s.total.counts {
		head := "T"
		switch {
		case i == s.buckets:
			head = strconv.Itoa(age) + "+"
		case i > 0 && s.linear || i == 1:
			age += s.tick
			head = strconv.Itoa(age)
		case i > 1:
			age = min(2*age, math.MaxInt/4)
			head = strconv.Itoa(age)
		}
		width := max(len(strconv.Itoa(n)), len(head))
		if width > 2 {
			width++
		} else {
			width = 3
		}
		widths, heads = append(widths, width), append(heads, head)
	}
	return widths, heads
}

// printShapeRow writes a line; of a long name it has the end, behind a plus.
func printShapeRow(w io.Writer, left int, widths []int, name string, cells []string) error {
	switch {
	case len(name) > left && name[0] == '.':
		name = ".+" + name[len(name)-left+2:]
	case len(name) > left:
		name = "+" + name[len(name)-left+1:]
	}
	line := fmt.Sprintf("%*s", left, name)
	for i, c := range cells {
		line += fmt.Sprintf("%*s", widths[i], c)
	}
	_, err := fmt.Fprintln(w, line)
	return err
}
