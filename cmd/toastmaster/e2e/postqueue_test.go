package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"toastmaster/admin/model"
	"toastmaster/internal/testkit/peers"
)

// queues are the queue of an instance of ours and that of Debian's Postfix, with the same
// deferred messages, and the programs that work on them.
type queues struct {
	box     *box
	postfix *peers.Postfix
}

// deferredMail is what both queues hold: a sender, and a recipient whose transport is retry.
var deferredMail = [][2]string{
	{alice, "x@moving.example"}, {alice, "y@moving.example"}, {"", "x@waiting.example"}, {alice, "z@silent.example"},
}

// withQueues returns both once all mail was tried.
func withQueues(t *testing.T) queues {
	t.Helper()
	p, _ := postfixWithReasons(t)
	b, _ := withReasons(t, "[]")
	q := queues{b, p}
	submit := newSendmail(t, b)
	for _, m := range deferredMail {
		text := "From: <alice@example.test>\nDate: Fri, 06 Nov 2026 09:08:07 +0000\nMessage-Id: <1@example.test>\nSubject: queues\n\ntext\n\nmore\n"
		must(t, p.Submit(testContext(t), m[0], []string{m[1]}, text))
		if code, out, errs := submit.run(t, text, "-i", "-f", m[0], "--", m[1]); code != 0 {
			t.Fatal(code, out, errs)
		}
	}
	eventually(t, func() error {
		for _, list := range q.both(t, "", "postqueue", "-j") {
			if n := strings.Count(list.out, `"queue_name": "deferred"`); n != len(deferredMail) || strings.Count(list.out, `"delay_reason"`) != n {
				return fmt.Errorf("deferred: %+v", list)
			}
		}
		return nil
	})
	return q
}

// answer is what a program said.
type answer struct {
	code      int
	out, errs string
}

// both runs a program on both queues: ours, and Postfix's.
func (q queues) both(t *testing.T, stdin, program string, args ...string) [2]answer {
	t.Helper()
	return [2]answer{q.ours(t, stdin, program, args...), q.theirs(t, stdin, program, args...)}
}

func (q queues) ours(t *testing.T, stdin, program string, args ...string) (a answer) {
	t.Helper()
	a.code, a.out, a.errs = newProgram(t, q.box, program).run(t, stdin, args...)
	return a
}

func (q queues) theirs(t *testing.T, stdin, program string, args ...string) (a answer) {
	t.Helper()
	var err error
	a.code, a.out, a.errs, err = q.postfix.Run(testContext(t), stdin, program, args...)
	must(t, err)
	return a
}

// postqueueObject is what postqueue(1) documents of an object of -j.
type postqueueObject struct {
	Queue   string `json:"queue_name"`
	ID      string `json:"queue_id"`
	Arrival int64  `json:"arrival_time"`
	Size    int64  `json:"message_size"`
	Expire  *bool  `json:"forced_expire"`
	Sender  string
	To      []struct {
		Address string
		Reason  string `json:"delay_reason"`
	} `json:"recipients"`
}

// objects reads postqueue -j, in the order of recipients.
func objects(t *testing.T, text string) (all []postqueueObject) {
	t.Helper()
	for line := range strings.Lines(text) {
		var o postqueueObject
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		must(t, d.Decode(&o))
		if len(o.To) == 0 || o.Expire == nil || o.Arrival == 0 || o.Size == 0 {
			t.Fatalf("%s", line)
		}
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b postqueueObject) int { return strings.Compare(a.To[0].Address, b.To[0].Address) })
	return all
}

// ids are the queue IDs in the order of the recipients.
func (q queues) ids(t *testing.T) (ours, theirs []string) {
	t.Helper()
	for i, list := range q.both(t, "", "postqueue", "-j") {
		for _, o := range objects(t, list.out) {
			if i == 0 {
				ours = append(ours, o.ID)
			} else {
				theirs = append(theirs, o.ID)
			}
		}
	}
	return ours, theirs
}

// ownValues are what two listings of the same mail differ in, with the same width.
var (
	listedHead  = regexp.MustCompile(`(?m)^[0-9A-Za-z]+([*!]?#?) +\d+ \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d `)
	jsonValues  = regexp.MustCompile(`"queue_id": "\w+", "arrival_time": \d+, "message_size": \d+`)
	listedTotal = regexp.MustCompile(`-- \d+ Kbytes`)
)

// sortedParts are the parts of text, without values of their own, in order.
func sortedParts(text, separator string) []string {
	text = listedTotal.ReplaceAllString(listedHead.ReplaceAllString(text, "ID$1 "), "-- N Kbytes")
	parts := strings.Split(jsonValues.ReplaceAllString(text, "VALUES"), separator)
	parts[0] = strings.TrimPrefix(parts[0], strings.SplitAfter(text, "\n")[0])
	slices.Sort(parts)
	return parts
}

// TestPostqueueAsPostfix: the listings for people and for programs, and the exit codes, are those
// of Debian's Postfix with the same mail.
func TestPostqueueAsPostfix(t *testing.T) {
	t.Parallel()
	q := withQueues(t)
	for _, c := range []struct{ option, separator string }{{"-p", "\n\n"}, {"-j", "\n"}} {
		a := q.both(t, "", "postqueue", c.option)
		ours, theirs := sortedParts(a[0].out, c.separator), sortedParts(a[1].out, c.separator)
		if !slices.Equal(ours, theirs) || a[0].code != 0 || a[1].code != 0 || a[0].errs != "" {
			t.Errorf("%s: exit %d and %d %s\n%s\nPostfix:\n%s", c.option, a[0].code, a[1].code, a[0].errs, strings.Join(ours, "\n"), strings.Join(theirs, "\n"))
		}
	}
	if ours, theirs := q.ids(t); len(ours) != len(theirs) || slices.ContainsFunc(ours, func(id string) bool { return strings.Trim(id, "*!") != id || id == "" }) {
		t.Errorf("IDs %q, Postfix's %q", ours, theirs)
	}
	if list := q.ours(t, "", "mailq"); list != q.ours(t, "", "postqueue", "-p") {
		t.Errorf("mailq: %+v", list)
	}
	for _, args := range [][]string{
		{}, {"-x"}, {"-p", "-j"}, {"-f", "x"}, {"-i", "bad/id"}, {"-s", "bad..host"}, {"-i", "3XXXXXXXXX"}, {"-f"},
	} {
		a := q.both(t, "", "postqueue", args...)
		if a[0].code != a[1].code || a[0].out != a[1].out {
			t.Errorf("%v: %+v, Postfix %+v", args, a[0], a[1])
		}
	}
}

// TestPostqueueFlushesWhatIsNamed: -i one message and no other, -s those of a domain, and -f
// all; none of them what is on hold.
func TestPostqueueFlushesWhatIsNamed(t *testing.T) {
	t.Parallel()
	b, _ := withReasons(t, "[]")
	submit := newSendmail(t, b)
	q := queues{box: b}
	for _, to := range []string{"a@moving.example", "b@moving.example", "c@waiting.example", "d@waiting.example"} {
		if code, out, errs := submit.run(t, smallMessage, "-i", "-f", alice, to); code != 0 {
			t.Fatal(code, out, errs)
		}
	}
	admin := sendmail{path: program, env: submit.env}
	attempts := func() (n []int, ids []string) {
		code, out, errs := admin.run(t, "", "queue", "list", "--json")
		var list []model.QueuedMessage
		if err := json.Unmarshal([]byte(out), &list); code != 0 || err != nil {
			t.Fatal(code, err, out, errs)
		}
		slices.SortFunc(list, func(a, b model.QueuedMessage) int {
			return strings.Compare(a.Recipients[0].Address, b.Recipients[0].Address)
		})
		for _, m := range list {
			if m.Place == "active" || m.Place == "incoming" {
				return nil, nil
			}
			n, ids = append(n, m.Attempts), append(ids, m.ID)
		}
		return n, ids
	}
	wait := func(want ...int) (ids []string) {
		t.Helper()
		eventually(t, func() error {
			var n []int
			if n, ids = attempts(); !slices.Equal(n, want) {
				return fmt.Errorf("attempts %v, want %v", n, want)
			}
			return nil
		})
		return ids
	}
	ids := wait(1, 1, 1, 1)
	if code, out, errs := admin.run(t, "", "queue", "hold", ids[3]); code != 0 {
		t.Fatal(out, errs)
	}
	for _, step := range []struct {
		args []string
		want []int
		says string
	}{
		{[]string{"-i", ids[0]}, []int{2, 1, 1, 1}, ""},
		{[]string{"-s", "MOVING.example."}, []int{3, 2, 1, 1}, ""},
		{[]string{"-i", ids[3]}, []int{3, 2, 1, 1}, "no deferred message has this queue ID\n"},
		{[]string{"-f"}, []int{4, 3, 2, 1}, ""},
	} {
		if a := q.ours(t, "", "postqueue", step.args...); a.code != 0 || a.out != "" || !strings.HasSuffix(a.errs, step.says) || (a.errs == "") != (step.says == "") {
			t.Errorf("%v: %+v", step.args, a)
		}
		wait(step.want...)
	}
	must(t, b.Stop())
	if a := q.ours(t, "", "postqueue", "-f"); a.code != 69 || !strings.HasPrefix(a.errs, "postqueue: fatal: ") || a.out != "" {
		t.Errorf("-f of a stopped instance: %+v", a)
	}
}
