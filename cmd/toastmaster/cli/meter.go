package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"toastmaster/internal/clock"
)

// meter shows how far long work is: a bar on a terminal, elsewhere a line now
// and then. It is for one goroutine.
type meter struct {
	out      io.Writer
	clock    clock.Clock
	terminal bool
	shown    time.Time
	// begun is when show was first called, with how much was done then: the time
	// that is left is reckoned from there.
	begun time.Time
	first int64
	// open: the last line of the terminal is a bar.
	open bool
}

const (
	barWidth  = 30
	barEvery  = 100 * time.Millisecond
	lineEvery = 10 * time.Second
)

// newMeter writes to standard error, so that what is asked for stays apart.
// quiet writes nothing.
func newMeter(env *Environment, quiet bool) *meter {
	p := &meter{out: env.Stderr, clock: clock.System{}}
	_, p.terminal = isTerminal(env.Stderr)
	if quiet {
		p.out = io.Discard
	}
	// The first line comes when the work turns out to be long.
	p.shown = p.clock.Now()
	return p
}

// show says that done of total are done, 0 for a total that is not known; text
// says what.
func (p *meter) show(text string, done, total int64) {
	every := lineEvery
	if p.terminal {
		every = barEvery
	}
	now := p.clock.Now()
	if p.begun.IsZero() {
		p.begun, p.first = now, done
	}
	if now.Sub(p.shown) < every {
		return
	}
	p.shown = now
	if !p.terminal {
		fmt.Fprintf(p.out, "%s\n", p.withShare(text, done, total))
		return
	}
	bar := ""
	if total > 0 {
		full := int(min(done, total) * barWidth / total)
		bar = "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "] "
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s%s", bar, p.withShare(text, done, total))
	p.open = true
}

// withShare is text with the share that is done and the time that is left.
func (p *meter) withShare(text string, done, total int64) string {
	if total <= 0 {
		return text
	}
	text = fmt.Sprintf("%3d %%  %s", min(done, total)*100/total, text)
	if done > p.first && done < total {
		each := float64(p.shown.Sub(p.begun)) / float64(done-p.first)
		text += fmt.Sprintf(", %v left", time.Duration(each*float64(total-done)).Round(time.Second))
	}
	return text
}

// end takes the bar away.
func (p *meter) end() {
	if p.open {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.open = false
	}
}
