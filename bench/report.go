package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// report is the Markdown text.
func report(m machine, l *lab, results []result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Side by side, %s\n\n", time.Now().Format("2006-01-02"))
	if l.scale < 1 {
		b.WriteString("A quick run: a tenth of the load and one round. These figures are not for comparison.\n\n")
	}
	b.WriteString("| | |\n|---|---|\n")
	for _, row := range m.rows {
		fmt.Fprintf(&b, "| %s | %s |\n", row[0], row[1])
	}
	fmt.Fprintf(&b, "\nMedian of %d rounds, in brackets the lowest and the highest. Load generator and server share the machine.\n\n", l.rounds)
	b.WriteString("| What | Unit | Toastmaster | Peer | Ratio | Goal | |\n|---|---|---:|---:|---:|---:|---|\n")
	for _, r := range results {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.title, r.unit, figure(r.ours), r.theirFigure(), r.verdict())
	}
	return b.String()
}

// figure is the median with the lowest and the highest value.
func figure(values []float64) string {
	if len(values) == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%s-%s)", number(median(values)), number(slices.Min(values)), number(slices.Max(values)))
}

func (r result) theirFigure() string {
	if len(r.theirs) == 0 {
		return "-"
	}
	if r.peer == string(peerNone) {
		return otherName + " " + figure(r.theirs)
	}
	return r.peer + " " + figure(r.theirs)
}

// verdict is the columns ratio, goal and whether it is reached.
func (r result) verdict() string {
	reached := func(ok bool) string {
		if ok {
			return "reached"
		}
		return "missed"
	}
	switch {
	case len(r.ours) == 0:
		return fmt.Sprintf("- | %.0fx | not measured", r.goal)
	case r.peer == string(peerNone):
		return fmt.Sprintf("- | %.0f | %s", r.goal, reached(median(r.ours) <= r.goal))
	case len(r.theirs) == 0:
		return fmt.Sprintf("- | %.0fx | no peer", r.goal)
	}
	ratio := median(r.ours) / median(r.theirs)
	return fmt.Sprintf("**%.1fx** | %.0fx | %s", ratio, r.goal, reached(ratio >= r.goal))
}

// number writes a figure with three or more digits and groups of thousands.
func number(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.1f", v)
	}
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
