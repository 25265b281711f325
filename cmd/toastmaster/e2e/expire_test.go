package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestExpireAsPostfix: postsuper -e and -f say what Debian's Postfix says, the listings show it with its words, and
// the next attempt returns the message in both.
func TestExpireAsPostfix(t *testing.T) {
	t.Parallel()
	q := withQueues(t)
	ours, theirs := q.ids(t)
	both := func(args string) [2]answer {
		t.Helper()
		all := [2]answer{q.ours(t, "", "postsuper", with(ours, args)...), q.theirs(t, "", "postsuper", with(theirs, args)...)}
		for i, ids := range [][]string{ours, theirs} {
			for n, id := range ids {
				all[i].errs = strings.ReplaceAll(all[i].errs, id, "ID"+string(rune('0'+n)))
			}
			all[i].errs = strings.Join(slices.Sorted(strings.Lines(all[i].errs)), "")
		}
		return all
	}
	for _, args := range []string{"-e ID0", "-e ID0", "-e ID1 hold", "-h ID1", "-e ID1", "-e 3XXXXXXXX -e bad/id", "-e ID2 -h ID2"} {
		if a := both(args); a[0] != a[1] {
			t.Errorf("%s: %+v\nPostfix %+v", args, a[0], a[1])
		}
	}
	for _, c := range []struct{ option, separator string }{{"-p", "\n\n"}, {"-j", "\n"}} {
		a := q.both(t, "", "postqueue", c.option)
		mine, postfixs := sortedParts(a[0].out, c.separator), sortedParts(a[1].out, c.separator)
		if !slices.Equal(mine, postfixs) {
			t.Errorf("%s:\n%s\nPostfix:\n%s", c.option, strings.Join(mine, "\n"), strings.Join(postfixs, "\n"))
		}
	}
	// Released it is due here, and waits there.
	for _, args := range []string{"-f ID1", "-f ID0"} {
		if a := both(args); a[0] != a[1] {
			t.Errorf("%s: %+v\nPostfix %+v", args, a[0], a[1])
		}
	}
	q.both(t, "", "postqueue", "-f")
	eventually(t, func() error {
		for i, list := range q.both(t, "", "postqueue", "-j") {
			if left := objects(t, list.out); len(left) != 2 || slices.ContainsFunc(left, func(o postqueueObject) bool {
				return o.To[0].Address == "x@moving.example" || o.To[0].Address == "x@waiting.example"
			}) {
				return fmt.Errorf("queue %d: %+v", i, left)
			}
		}
		return nil
	})
}

// with has queue IDs in the place of ID0, ID1 and so on.
func with(ids []string, args string) []string {
	for i, id := range ids {
		args = strings.ReplaceAll(args, fmt.Sprint("ID", i), id)
	}
	return strings.Fields(args)
}

// TestExpireSurvivesAKill: what was made to expire while it was active, deferred and on hold is that after a kill, and of an
// instance that does not run; alice gets one report for each and no second attempt is made.
func TestExpireSurvivesAKill(t *testing.T) {
	t.Parallel()
	f := withDeferred(t, map[string]string{"qmgr.minimal_backoff_time": `"1h"`, "qmgr.maximal_backoff_time": `"1h"`},
		"a@moving.example", "b@moving.example", "c@waiting.example")
	f.wait(t, map[string]int{"a@moving.example": 1, "b@moving.example": 1, "c@waiting.example": 1})
	f.stall(t)
	active := f.withStalled(t, "small@stall.example", 0)
	ids := f.listed(t)
	postsuper, postqueue := newProgram(t, f.box, "postsuper"), newProgram(t, f.box, "postqueue")
	super := func(args ...string) {
		t.Helper()
		if code, out, errs := postsuper.run(t, "", args...); code != 0 || out != "" {
			t.Fatal(args, code, out, errs)
		}
	}
	super("-e", active, "-e", ids["a@moving.example"].ID)
	super("-h", ids["c@waiting.example"].ID)
	super("-e", ids["c@waiting.example"].ID)
	f.Kill()
	super("-e", ids["b@moving.example"].ID) // the files
	if _, out, _ := postqueue.run(t, "", "-j"); strings.Count(out, `"forced_expire": true`) != 4 {
		t.Errorf("%s", out)
	}
	f.start(t)
	if code, out, errs := postqueue.run(t, "", "-f"); code != 0 {
		t.Fatal(out, errs)
	}
	all := ""
	for _, name := range f.waitMail(t, alice, 3) {
		all += readFile(t, name)
	}
	for _, want := range []string{"a@moving.example", "b@moving.example", "small@stall.example", "administratively expired"} {
		if !strings.Contains(all, want) {
			t.Errorf("no report has %q:\n%s", want, all)
		}
	}
	if m := f.listed(t); len(m) != 1 || m["c@waiting.example"].Place != "hold" || !m["c@waiting.example"].ForcedExpire {
		t.Errorf("%+v", m)
	}
	super("-f", "ALL")
	f.waitMail(t, alice, 4)
	f.queueEmpty(t)
}

// TestDeletionOfActiveMailSurvivesAKill: what was deleted while it was active does not come back.
func TestDeletionOfActiveMailSurvivesAKill(t *testing.T) {
	t.Parallel()
	f := withDeferred(t, nil)
	f.stall(t)
	small, large := f.withStalled(t, "small@stall.example", 0), f.withStalled(t, "large@stall.example", 1<<20)
	if code, _, errs := newProgram(t, f.box, "postsuper").run(t, "", "-d", small, "-d", large); code != 0 {
		t.Fatal(errs)
	}
	f.Kill()
	f.start(t)
	f.queueEmpty(t)
}
