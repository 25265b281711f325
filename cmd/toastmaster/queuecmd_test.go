package main

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
)

// TestQueueActOnCounts what was done, was so already and was not there. As for
// postsuper(1) only what failed is a failure.
func TestQueueActOnCounts(t *testing.T) {
	t.Parallel()
	act := func(_ *client.Client, _ context.Context, id string) (bool, error) {
		switch id[0] {
		case 'd':
			return true, nil
		case 'u':
			return false, nil
		case 'm':
			return false, model.Fail(model.NotFound, "No such message in the queue")
		}
		return false, errors.New("no")
	}
	for _, c := range []struct {
		ids         []string
		all, fails  bool
		out, stderr string
	}{
		{[]string{"d1", "u1", "m1", "d2"}, false, false, "2 messages held, 1 unchanged, 1 not found\n", "m1: No such message in the queue\n"},
		{[]string{"m1"}, false, false, "0 messages held, 1 not found\n", "m1: No such message in the queue\n"},
		{[]string{"d1", "m1", "u1"}, true, false, "1 message held, 1 unchanged\n", ""},
		{[]string{"d1", "f1"}, false, true, "1 message held\n", "f1: no\n"},
		{[]string{"f1"}, false, true, "", ""},
	} {
		var out, errs bytes.Buffer
		f := &adminFlags{env: &environment{stdout: &out, stderr: &errs}}
		err := queueActOn(t.Context(), f, nil, c.ids, "held", c.all, act)
		if (err != nil) != c.fails || out.String() != c.out || errs.String() != c.stderr {
			t.Errorf("%v: %v, %q, %q", c.ids, err, out.String(), errs.String())
		}
	}
}
