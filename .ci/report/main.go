package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// event is one of test2json or of the build.
type event struct {
	Action, Package, Test, Output string
	ImportPath                    string
	Elapsed                       float64
}

// run is a package under way.
type run struct {
	began  time.Time
	tests  map[string]time.Time // that run now
	output map[string]*strings.Builder
	passed int
}

type report struct {
	out      io.Writer
	total    int // packages, 0 when not known
	began    time.Time
	packages map[string]*run
	ended    int
	failed   []string
	skipped  []string
	slowest  []ended
}

type ended struct {
	name string
	took time.Duration
}

// quiet is how long nothing may be said.
const quiet = 30 * time.Second

func main() {
	total := flag.Int("packages", 0, "how many packages there are")
	noskip := flag.Bool("noskip", false, "a test that is left out is a failure")
	flag.Parse()
	r := &report{out: os.Stdout, total: *total, began: time.Now(), packages: map[string]*run{}}
	r.read(os.Stdin)
	r.sum()
	if len(r.failed) > 0 || *noskip && len(r.skipped) > 0 {
		os.Exit(1)
	}
}

// read follows the events until their end.
func (r *report) read(in io.Reader) {
	lines := make(chan string)
	go func() {
		defer close(lines)
		s := bufio.NewReader(in)
		for {
			line, err := s.ReadString('\n')
			if line != "" {
				lines <- line
			}
			if err != nil {
				return
			}
		}
	}()
	tick := time.NewTicker(quiet)
	defer tick.Stop()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return
			}
			if r.line(line) {
				tick.Reset(quiet)
			}
		case <-tick.C:
			r.running()
		}
	}
}

// line takes one line; it says whether something was told.
func (r *report) line(line string) bool {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil {
		fmt.Fprint(r.out, line)
		return true
	}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
		return true
	case "build-fail":
		r.failed = append(r.failed, e.ImportPath+" (build)")
		return false
	}
	p := r.packages[e.Package]
	if p == nil {
		p = &run{began: time.Now(), tests: map[string]time.Time{}, output: map[string]*strings.Builder{}}
		r.packages[e.Package] = p
	}
	return r.event(p, e)
}

func (r *report) event(p *run, e event) bool {
	switch e.Action {
	case "run":
		p.tests[e.Test] = time.Now()
	case "output":
		b := p.output[e.Test]
		if b == nil {
			b = &strings.Builder{}
			p.output[e.Test] = b
		}
		b.WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test != "" {
			return r.testEnded(p, e)
		}
		r.packageEnded(p, e)
		return true
	}
	return false
}

func (r *report) testEnded(p *run, e event) bool {
	delete(p.tests, e.Test)
	output := p.output[e.Test]
	delete(p.output, e.Test)
	switch e.Action {
	case "pass":
		p.passed++
		return false
	case "skip":
		r.skipped = append(r.skipped, e.Package+" "+e.Test)
	case "fail":
		r.failed = append(r.failed, e.Package+" "+e.Test)
	}
	if output != nil {
		fmt.Fprint(r.out, output.String())
	}
	return output != nil
}

func (r *report) packageEnded(p *run, e event) {
	delete(r.packages, e.Package)
	r.ended++
	took := time.Duration(e.Elapsed * float64(time.Second))
	r.slowest = append(r.slowest, ended{e.Package, took})
	word := map[string]string{"pass": "ok  ", "fail": "FAIL", "skip": "-   "}[e.Action]
	if e.Action == "fail" {
		// Also what no test of the package said: a panic, a time-out.
		for name := range p.tests {
			if b := p.output[name]; b != nil {
				fmt.Fprint(r.out, b.String())
			}
			r.failed = append(r.failed, e.Package+" "+name)
		}
		if b := p.output[""]; b != nil {
			fmt.Fprint(r.out, b.String())
		}
		r.failed = append(r.failed, e.Package)
	}
	of := ""
	if r.total > 0 {
		of = fmt.Sprintf("/%d", r.total)
	}
	fmt.Fprintf(r.out, "%s %6s  %s %d%s %s (%d tests)\n", word, short(took), clock(time.Since(r.began)), r.ended, of, e.Package, p.passed)
}

// running says what takes so long.
func (r *report) running() {
	var parts []string
	for name, p := range r.packages {
		oldest, since := "", time.Now()
		for test, began := range p.tests {
			if began.Before(since) {
				oldest, since = test, began
			}
		}
		if oldest != "" {
			name += fmt.Sprintf(" %s for %s", oldest, short(time.Since(since)))
		}
		parts = append(parts, fmt.Sprintf("%s (%d tests done)", name, p.passed))
	}
	slices.Sort(parts)
	if len(parts) == 0 {
		parts = []string{"nothing yet, it is being built"}
	}
	fmt.Fprintf(r.out, "...          %s running: %s\n", clock(time.Since(r.began)), strings.Join(parts, ", "))
}

func (r *report) sum() {
	slices.SortFunc(r.slowest, func(a, b ended) int { return int(b.took - a.took) })
	var slow []string
	for _, s := range r.slowest[:min(3, len(r.slowest))] {
		slow = append(slow, s.name[strings.LastIndexByte(s.name, '/')+1:]+" "+short(s.took))
	}
	fmt.Fprintf(r.out, "%d packages in %s (slowest: %s), %d failures, %d tests left out\n", r.ended, short(time.Since(r.began)), strings.Join(slow, ", "),
		len(r.failed), len(r.skipped))
	for _, name := range r.failed {
		fmt.Fprintln(r.out, "FAIL", name)
	}
	for _, name := range r.skipped {
		fmt.Fprintln(r.out, "left out:", name)
	}
}

// clock is the time since the start, short a time of interest.
func clock(d time.Duration) string {
	return fmt.Sprintf("%2d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

func short(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
