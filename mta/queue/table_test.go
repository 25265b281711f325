package queue

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update-table", false, "write the table in doc.go and the drawing in docs/internals/queue.md anew")

// TestTheTableInTheManual: the table in doc.go and the drawing in docs/internals are
// those of the function.
func TestTheTableInTheManual(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	for _, line := range transitionTable() {
		fmt.Fprintf(&table, "//\t%s\n", line)
	}
	compare(t, "doc.go", "// # Transitions\n", "//\tevent ", "//\n", table.String())
	compare(t, filepath.Join("..", "..", "docs", "internals", "queue.md"), "```mermaid\n", "stateDiagram-v2\n", "```\n", drawing())
}

// compare holds what lies in a file behind a heading, from the line that begins with
// begin up to end, against want.
func compare(t *testing.T, name, heading, begin, end, want string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(b), heading)
	if at < 0 {
		t.Fatalf("%s has no %q", name, heading)
	}
	from := at + strings.Index(string(b[at:]), begin)
	to := from + strings.Index(string(b[from:]), "\n"+end) + 1
	if from < at || to < from {
		t.Fatalf("%s has nothing behind %q", name, heading)
	}
	if got := string(b[from:to]); got == want {
		return
	} else if !*update {
		t.Errorf("%s does not say what the function does; go test -run %s -update-table writes it anew:\n%s", name, t.Name(), want)
		return
	}
	if err := os.WriteFile(name, []byte(string(b[:from])+want+string(b[to:])), 0o600); err != nil {
		t.Fatal(err)
	}
}

// attributes are what a row may have as its condition.
var attributes = []struct {
	of    func(s state) int
	names []string
}{
	{func(s state) int { return bit(s.moving) + bit(s.toHold) }, []string{"not moving", "moving", "moving to hold"}},
	{func(s state) int { return int(s.want) }, []string{"nothing wanted", "now wanted", "hold wanted", "delete wanted"}},
	{func(s state) int { return bit(s.inMemory()) }, []string{"file only", "in memory"}},
	{func(s state) int { return int(s.where) }, []string{"journal", "deferred", "hold"}},
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// row is one of the table: what becomes of a state for which the conditions are true.
type row struct{ when, becomes string }

// transitionTable is the table of all that can happen. Stages, and events, of which
// the same becomes are one row.
func transitionTable() []string {
	type block struct {
		stages, events []string
		rows           []row
	}
	var blocks []block
	all := reachable()
	for e := evNone + 1; e < events; e++ {
		for g := range stages {
			r := rows(slices.DeleteFunc(slices.Clone(all), func(s state) bool { return s.stage != g || !can(s, e) }), e)
			if r == nil {
				continue
			}
			i := slices.IndexFunc(blocks, func(b block) bool { return b.events[0] == eventNames[e] && slices.Equal(b.rows, r) })
			if i < 0 {
				blocks = append(blocks, block{nil, []string{eventNames[e]}, r})
				i = len(blocks) - 1
			}
			blocks[i].stages = append(blocks[i].stages, stageNames[g])
		}
	}
	for i := 0; i < len(blocks); i++ {
		for k := i + 1; k < len(blocks); k++ {
			if slices.Equal(blocks[i].stages, blocks[k].stages) && slices.Equal(blocks[i].rows, blocks[k].rows) {
				blocks[i].events = append(blocks[i].events, blocks[k].events...)
				blocks = slices.Delete(blocks, k, k+1)
				k--
			}
		}
	}
	const format = "%-22s  %-45s  %-42s  %s"
	lines := []string{fmt.Sprintf(format, "event", "stage", "when", "becomes: effects")}
	for _, b := range blocks {
		for _, r := range b.rows {
			lines = append(lines, strings.TrimRight(fmt.Sprintf(format, strings.Join(b.events, ", "), strings.Join(b.stages, ", "), r.when, r.becomes), " "))
		}
	}
	return lines
}

// part are values of an attribute of which the same becomes.
type part struct {
	names []string
	of    []state
	rows  []row
}

// rows has the fewest conditions that tell the states apart of which different
// things become.
func rows(of []state, e event) []row {
	if len(of) == 0 {
		return nil
	}
	if text, one := becomes(of, e); one {
		return []row{{"", text}}
	}
	var best []row
	for _, a := range attributes {
		var parts []part
		for v, name := range a.names {
			sub := slices.DeleteFunc(slices.Clone(of), func(s state) bool { return a.of(s) != v })
			if len(sub) == 0 {
				continue
			}
			if len(sub) == len(of) {
				break
			}
			parts = merge(parts, part{[]string{name}, sub, rows(sub, e)}, len(of), e)
		}
		if got := conditions(parts); len(parts) > 1 && (best == nil || len(got) < len(best)) {
			best = got
		}
	}
	return best
}

// merge adds p to the first of parts with which it has no more rows than alone.
func merge(parts []part, p part, all int, e event) []part {
	for i, o := range parts {
		if len(o.of)+len(p.of) == all {
			continue // then this attribute tells nothing apart
		}
		both := append(slices.Clone(o.of), p.of...)
		if r := rows(both, e); len(r) <= max(len(o.rows), len(p.rows)) {
			parts[i] = part{append(o.names, p.names...), both, r}
			return parts
		}
	}
	return append(parts, p)
}

func conditions(parts []part) (got []row) {
	for _, p := range parts {
		for _, r := range p.rows {
			r.when = strings.TrimSuffix(either(p.names)+", "+r.when, ", ")
			got = append(got, r)
		}
	}
	return got
}

// either writes "now/hold wanted".
func either(names []string) string {
	for i := range len(names) - 1 {
		names[i] = strings.TrimSuffix(names[i], " wanted")
	}
	return strings.Join(names, "/")
}

// becomes says what becomes of the states at e, if it is the same of all. An
// attribute that all keep is not named.
func becomes(of []state, e event) (string, bool) {
	first, do := next(of[0], e)
	kept, same := [4]bool{true, true, true, true}, [4]bool{true, true, true, true}
	for _, s := range of {
		to, d := next(s, e)
		if to.stage != first.stage || !slices.Equal(d, do) {
			return "", false
		}
		for i, ok := range [4]bool{to.where == s.where, to.want == s.want, to.moving == s.moving && to.toHold == s.toHold, to.loaded == s.loaded} {
			kept[i] = kept[i] && (ok || i == 3 && to.stage != active) // elsewhere the stage says it
		}
		for i, ok := range [4]bool{to.where == first.where, to.want == first.want, to.moving == first.moving && to.toHold == first.toHold, to.loaded == first.loaded} {
			same[i] = same[i] && ok
		}
	}
	text := stageNames[first.stage]
	stays := !slices.ContainsFunc(of, func(s state) bool { return s.stage != first.stage })
	if stays {
		text = "stays"
	}
	for i, name := range [4]string{
		"in " + whereNames[first.where] + "/", wantNames[first.want] + " wanted", [3]string{"moved", "moving", "moving to hold"}[bit(first.moving)+bit(first.toHold)], [2]string{"file only", "loaded"}[bit(first.loaded)],
	} {
		switch {
		case kept[i]:
		case !same[i]:
			return "", false
		default:
			text += ", " + name
		}
	}
	text = strings.Replace(text, ", in", " in", 1)
	if text == "stays" && len(do) > 0 {
		return doText(do), true
	}
	if len(do) > 0 {
		text += ": " + doText(do)
	}
	return text, true
}

// drawing is the table as a diagram of the stages; what changes no stage is left out.
func drawing() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n    [*] --> queued: Add\n    [*] --> resting: deferred before\n    [*] --> looking: a call about a file\n    looking --> resting: found\n    gone --> [*]\n")
	labels := map[[2]stage][]string{}
	for _, s := range reachable() {
		for e := evNone + 1; e < events; e++ {
			if to, _ := next(s, e); can(s, e) && to.stage != s.stage {
				k := [2]stage{s.stage, to.stage}
				if !slices.Contains(labels[k], eventNames[e]) {
					labels[k] = append(labels[k], eventNames[e])
				}
			}
		}
	}
	for from := range stages {
		for to := range stages {
			if l := labels[[2]stage{from, to}]; l != nil {
				slices.SortFunc(l, func(a, b string) int { return slices.Index(eventNames[:], a) - slices.Index(eventNames[:], b) })
				fmt.Fprintf(&b, "    %s --> %s: %s\n", stageNames[from], stageNames[to], strings.Join(l, ", "))
			}
		}
	}
	return b.String()
}
