package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// places are the queue names of what both queues hold, in the order of the recipients.
func (q queues) places(t *testing.T) (ours, theirs string) {
	t.Helper()
	var found [2]string
	for i, list := range q.both(t, "", "postqueue", "-j") {
		for _, o := range objects(t, list.out) {
			found[i] += o.To[0].Address + " " + o.Queue + "\n"
		}
	}
	return found[0], found[1]
}

// TestPostsuperAsPostfix: what postsuper says, its exit codes, and what is where after each
// call, are those of Debian's Postfix with the same mail.
func TestPostsuperAsPostfix(t *testing.T) {
	t.Parallel()
	q := withQueues(t)
	ours, theirs := q.ids(t)
	name := regexp.MustCompile(`ID(\d)`)
	with := func(ids []string, text string) string {
		return name.ReplaceAllStringFunc(text, func(s string) string { return ids[s[2]-'0'] })
	}
	neutral := func(ids []string, a answer) answer {
		for i, id := range ids {
			a.errs = strings.ReplaceAll(a.errs, id, "ID"+string(rune('0'+i)))
		}
		lines := slices.Sorted(strings.Lines(a.errs)) // ALL has no order
		a.errs = strings.Join(lines, "")
		return a
	}
	for _, c := range []struct{ args, stdin string }{
		{"-h ID0", ""},
		{"-h ID0", ""},
		{"-h ID1 active", ""},
		{"-h ID1 active deferred", ""},
		{"-H ID0 deferred", ""},
		{"-H - hold", "ID0\nbad/id\nID1\n"},
		{"-h ALL deferred", ""},
		{"-h ALL hold", ""},
		{"-H ALL deferred", ""},
		{"-d ALL incoming", ""},
		{"-H ALL", ""},
		{"-h ID2 -h ID3", ""},
		{"-d ID2 deferred", ""},
		{"-d bad/id -d 3XXXXXXXX -d all", ""},
		{"-d ID3 -h ID0", ""},
		{"-d - -h -", "ID1\n"},
		{"-d ID0 nosuch", ""},
		{"-d ALL hold", ""},
		{"-d ALL", ""},
		{"-d ALL", ""},
		{"-r ALL -H ALL", ""},
	} {
		a := neutral(ours, q.ours(t, with(ours, c.stdin), "postsuper", strings.Fields(with(ours, c.args))...))
		b := neutral(theirs, q.theirs(t, with(theirs, c.stdin), "postsuper", strings.Fields(with(theirs, c.args))...))
		if a != b {
			t.Errorf("%s: %+v\nPostfix %+v", c.args, a, b)
		}
		if a, b := q.places(t); a != b {
			t.Fatalf("after %s:\n%s\nPostfix:\n%s", c.args, a, b)
		}
	}
}

// TestPostsuperRequeues makes due at once what was deferred, also from hold.
func TestPostsuperRequeues(t *testing.T) {
	t.Parallel()
	b, log := withReasons(t, "[]")
	q := queues{box: b}
	if code, out, errs := newSendmail(t, b).run(t, smallMessage, "-i", "-f", alice, "x@moving.example"); code != 0 {
		t.Fatal(code, out, errs)
	}
	attempted := func(n int) {
		t.Helper()
		eventually(t, func() error {
			if got := strings.Count(readFile(t, log), "status=deferred (moving house)"); got != n {
				return fmt.Errorf("%d attempts", got)
			}
			if list := q.ours(t, "", "postqueue", "-j"); !strings.Contains(list.out, `"queue_name": "deferred"`) {
				return fmt.Errorf("not deferred: %+v", list)
			}
			return nil
		})
	}
	attempted(1)
	id := objects(t, q.ours(t, "", "postqueue", "-j").out)[0].ID
	for i, c := range []struct {
		args []string
		says string
	}{{[]string{"-r", id}, "postsuper: " + id + ": requeued\n"}, {[]string{"-r", "ALL", "deferred"}, ""}} {
		if a := q.ours(t, "", "postsuper", c.args...); a != (answer{0, "", c.says + "postsuper: Requeued: 1 message\n"}) {
			t.Errorf("%v: %+v", c.args, a)
		}
		attempted(2 + i)
	}
	if a := q.ours(t, "", "postsuper", "-h", id); a.code != 0 {
		t.Errorf("%+v", a)
	}
	if a := q.ours(t, "", "postsuper", "-r", id); a.code != 0 {
		t.Errorf("%+v", a)
	}
	attempted(4)
	must(t, b.Stop())
	if a := q.ours(t, id+"\n"+id+"x\n", "postsuper", "-d", "-"); a != (answer{0, "", "postsuper: " + id + ": removed\npostsuper: Deleted: 1 message\n"}) {
		t.Errorf("of a stopped instance: %+v", a)
	}
}

// postcatOwn are the lines of postcat that are Postfix's own affair: what it keeps besides, and
// the Received field.
var postcatOwn = regexp.MustCompile(`(?m)^( 65 )?(create_time|named_attribute|sender_fullname): .*\n|^( 70 )?sender_fullname: .*\n|^( 79 )?original_recipient: .*\n|^( 78 )?(Received: |\t).*\n`)

// postcatValues are those in which two messages differ.
var postcatValues = regexp.MustCompile(`(?m)(message_size:) .{15} .{15}( .{15} .{15}) .{15}( .{15})$|(message_arrival_time: ).*$|(\*\*\* [A-Z ]+ )\w+(?:/\w+)+( \*\*\*)$`)

// TestPostcatAsPostfix: the records, the parts and the exit codes are those of Debian's Postfix
// for the same message.
func TestPostcatAsPostfix(t *testing.T) {
	t.Parallel()
	q := withQueues(t)
	ours, theirs := q.ids(t)
	for _, option := range []string{"-q", "-bq", "-hq", "-eq", "-dq", "-bhq", "-beq", "-dheq"} {
		for i := range ours {
			answers := [2]answer{q.ours(t, "", "postcat", option, ours[i]), q.theirs(t, "", "postcat", option, theirs[i])}
			for k := range answers {
				text := postcatOwn.ReplaceAllString(answers[k].out, "")
				answers[k].out = postcatValues.ReplaceAllString(text, "$1$2$3$4$5$6")
			}
			if answers[0] != answers[1] || answers[0].out == "" {
				t.Errorf("%s: exit %d %s\n%s\nPostfix: exit %d %s\n%s", option, answers[0].code, answers[0].errs, answers[0].out, answers[1].code, answers[1].errs, answers[1].out)
			}
		}
	}
	for _, args := range [][]string{{"-q", "3XXXXXXXX"}, {"-q", "bad/id"}, {"-x"}} {
		a := q.both(t, "", "postcat", args...)
		if a[0].code != a[1].code || len(a[1].errs) == 0 || !strings.HasSuffix(a[1].errs, a[0].errs) && args[0] != "-x" {
			t.Errorf("%v: %+v, Postfix %+v", args, a[0], a[1])
		}
	}
	if a, both := q.ours(t, "", "postcat", "-bq", ours[0]), q.ours(t, "", "postcat", "-bq", ours[0], ours[1], "3X"); both.out != a.out+a.out || both.code != 1 {
		t.Errorf("two messages and one that is not there: %+v", both)
	}
}

// TestQshapeAsPostfix: the tables are those of Debian's qshape for the same mail.
func TestQshapeAsPostfix(t *testing.T) {
	t.Parallel()
	q := withQueues(t)
	for _, args := range []string{
		"", "deferred", "-s deferred", "-b 4 deferred", "-l -t 7 -w 100 hold deferred", "-t 30 -b 3 deferred", "-p -m 1 deferred", "-w 20 deferred", "-b 1 deferred", "-b 30 deferred", "hold",
	} {
		a := q.both(t, "", "qshape", strings.Fields(args)...)
		for i := range a {
			a[i].out = strings.Join(slices.Sorted(strings.Lines(a[i].out)), "") // of equals Postfix has no order
		}
		if a[0] != a[1] || a[0].code != 0 || a[0].out == "" {
			t.Errorf("%s: exit %d %s\n%s\nPostfix: %d %s\n%s", args, a[0].code, a[0].errs, a[0].out, a[1].code, a[1].errs, a[1].out)
		}
	}
	if a := q.both(t, "", "qshape", "-x"); a[0].code != a[1].code {
		t.Errorf("-x: exit %d, Postfix %d", a[0].code, a[1].code)
	}
}
