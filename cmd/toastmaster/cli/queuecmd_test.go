package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"toastmaster/admin/model"
)

// TestQueueActOnCounts what was done, was so already and was not there. As for
// postsuper(1) only what failed is a failure.
func TestQueueActOnCounts(t *testing.T) {
	t.Parallel()
	act := func(_ mailQueue, _ context.Context, id string) (bool, error) {
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
		fails       bool
		out, stderr string
	}{
		{[]string{"d1", "u1", "m1", "d2"}, false, "2 messages held, 1 unchanged, 1 not found\n", "m1: No such message in the queue\n"},
		{[]string{"d1", "d1", "m1", "m1"}, false, "1 message held, 1 not found\n", "m1: No such message in the queue\n"},
		{[]string{"m1"}, false, "0 messages held, 1 not found\n", "m1: No such message in the queue\n"},
		{[]string{"d1", "f1"}, true, "1 message held\n", "f1: no\n"},
		{[]string{"f1"}, true, "", ""},
	} {
		var out, errs bytes.Buffer
		f := &adminFlags{env: &Environment{Stdout: &out, Stderr: &errs}}
		err := queueActOn(t.Context(), f, nil, c.ids, "held", act)
		if (err != nil) != c.fails || out.String() != c.out || errs.String() != c.stderr {
			t.Errorf("%v: %v, %q, %q", c.ids, err, out.String(), errs.String())
		}
	}
}

// TestQueueListOfCorrupt: a message that cannot be read is not shown as a report
// without recipients, and files without an ID are counted.
func TestQueueListOfCorrupt(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/api/v1/queue":
			_, _ = io.WriteString(w, `{"items":[{"id":"3B","place":"corrupt","size":5,"arrived":"2026-01-02T03:04:05Z","sender":"?",`+
				`"recipients":[],"attempts":0,"reason":"its record is lost","files":["/q/corrupt/3B.content"]}]}`)
		case "/api/v1/queue/remains":
			_, _ = io.WriteString(w, `{"items":[{"place":"corrupt","path":"/q/corrupt","count":2,"size":7}]}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	for args, wants := range map[string][]string{
		"": {"3B  ", " ?\n", "(corrupt: its record is lost)\n", "  /q/corrupt/3B.content\n",
			"\n-- 2 other files in /q/corrupt of what was damaged, without a queue ID.\n"},
		"--place=corrupt": {"\n-- 2 other files"},
		"--json":          {`"reason": "its record is lost"`, `"/q/corrupt/3B.content"`, `"count": 2`},
	} {
		var out bytes.Buffer
		env := &Environment{Stdout: &out, Stderr: &out, Getenv: func(string) string { return "key" }}
		command := []string{"queue", "list", "--api", server.URL}
		if args != "" {
			command = append(command, args)
		}
		if got := Run(t.Context(), env, command); got != 0 {
			t.Errorf("exit %d", got)
		}
		for _, want := range wants {
			if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "MAILER-DAEMON") {
				t.Errorf("%s: %s, want %q", args, out.String(), want)
			}
		}
		if args == "--json" && !json.Valid(out.Bytes()) {
			t.Error("no JSON")
		}
	}
}

// TestDamagedContentIsSaid by show, and by cat beside the octets.
func TestDamagedContentIsSaid(t *testing.T) {
	t.Parallel()
	for _, damaged := range []bool{false, true} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/content") {
				fmt.Fprint(w, "octets")
				return
			}
			fmt.Fprintf(w, `{"id":"3X","recipients":[],"damaged":%v}`, damaged)
		}))
		defer server.Close()
		for _, verb := range []string{"show", "cat"} {
			var out, errs bytes.Buffer
			env := &Environment{Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "key" }}
			if got := Run(t.Context(), env, []string{"queue", verb, "3X", "--api", server.URL}); got != 0 {
				t.Errorf("%s: exit %d, %s", verb, got, errs.String())
			}
			if strings.Contains(out.String()+errs.String(), "damaged") != damaged || verb == "cat" && out.String() != "octets" {
				t.Errorf("%s: %q, %q with damaged %v", verb, out.String(), errs.String(), damaged)
			}
		}
	}
}

// TestQueueHintsForWhoKnowsPostfix: an empty answer is not an empty queue when a filter chose,
// and what postsuper and postqueue take says what does it here.
func TestQueueHintsForWhoKnowsPostfix(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"items":[]}`)
			return
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"status":404,"detail":"No such message in the queue"}`)
	}))
	defer server.Close()
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"list"}, 0, "Mail queue is empty\n"},
		{[]string{"list", "--recipient", "@x.test"}, 0, "No such message is in the queue\n"},
		{[]string{"list", "--place", "hold"}, 0, "No such message is in the queue\n"},
		{[]string{"delete", "ALL"}, 2, "all messages are --all"},
		{[]string{"flush", "3A"}, 2, "`toastmaster queue requeue ID` makes one message due"},
	} {
		var out, errs bytes.Buffer
		env := &Environment{Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "key" }}
		args := append([]string{"queue", c.args[0]}, append(c.args[1:], "--api", server.URL)...)
		if code := Run(t.Context(), env, args); code != c.code || !strings.Contains(out.String()+errs.String(), c.says) {
			t.Errorf("%v: exit %d, %s%s", c.args, code, out.String(), errs.String())
		}
	}
}
