package main

import (
	"fmt"

	"toastmaster/internal/testkit/proc"
)

// cost is what the server spends on one message or command. It says more than the
// rate on a machine where others work too: a thread that waits for its turn spends
// nothing.
type cost struct {
	micros, user float64 // of a processor, and how many of them in the program itself
	waits, turns float64 // context switches
	calls        float64 // system calls that read and write
}

// costing is one measurement of it.
type costing struct {
	s     *side
	count int
	begin proc.Usage
	each  cost
}

// costsOf begins a measurement; it does nothing where count is nil or the side does
// not know what it spends.
func costsOf(l *lab, s *side, count func(*lab, *side) int) (*costing, error) {
	c := &costing{s: s}
	if count == nil || s.usage == nil {
		return c, nil
	}
	c.count = count(l, s)
	var err error
	c.begin, err = s.usage()
	return c, err
}

func (c *costing) known() bool { return c.count > 0 }

func (c *costing) end() error {
	if !c.known() {
		return nil
	}
	now, err := c.s.usage()
	n := float64(c.count)
	c.each = cost{
		micros: float64((now.Processor - c.begin.Processor).Microseconds()) / n,
		user:   float64((now.User - c.begin.User).Microseconds()) / n,
		waits:  float64(now.Waits-c.begin.Waits) / n,
		turns:  float64(now.Turns-c.begin.Turns) / n,
		calls:  float64(now.Reads-c.begin.Reads+now.Writes-c.begin.Writes) / n,
	}
	return err
}

func (c *costing) String() string {
	if !c.known() {
		return ""
	}
	return fmt.Sprintf("  %6.1f us, %.1f of them user, %.2f waits, %.2f turns, %.2f calls", c.each.micros, c.each.user, c.each.waits, c.each.turns, c.each.calls)
}
