package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"toastmaster/admin/model"
)

// flushBed is an instance with deferred mail for several destinations.
type flushBed struct {
	*box
	submit, admin sendmail
}

func withDeferred(t *testing.T, params map[string]string, to ...string) flushBed {
	t.Helper()
	b, _ := withReasons(t, "[]")
	must(t, b.Stop())
	for name, value := range params {
		if _, err := b.Run(testContext(t), "", "config", "set", name, value); err != nil {
			t.Fatal(err)
		}
	}
	b.start(t)
	f := flushBed{box: b, submit: newSendmail(t, b)}
	f.admin = sendmail{path: program, env: f.submit.env}
	for _, a := range to {
		if code, out, errs := f.submit.run(t, smallMessage, "-i", "-f", alice, a); code != 0 {
			t.Fatal(code, out, errs)
		}
	}
	return f
}

// listed is the queue, by the first recipient.
func (f flushBed) listed(t *testing.T) map[string]model.QueuedMessage {
	t.Helper()
	code, out, errs := f.admin.run(t, "", "queue", "list", "--json")
	var list []model.QueuedMessage
	if err := json.Unmarshal([]byte(out), &list); code != 0 || err != nil {
		t.Fatal(code, err, out, errs)
	}
	all := map[string]model.QueuedMessage{}
	for _, m := range list {
		if len(m.Recipients) > 0 {
			all[m.Recipients[0].Address] = m
		}
	}
	return all
}

// wait waits until each recipient's message rests after so many attempts.
func (f flushBed) wait(t *testing.T, want map[string]int) {
	t.Helper()
	eventually(t, func() error {
		got := map[string]int{}
		for a, m := range f.listed(t) {
			if m.Place != "deferred" && m.Place != "hold" {
				return fmt.Errorf("%s is %s", a, m.Place)
			}
			got[a] = m.Attempts
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("attempts %v, want %v", got, want)
		}
		return nil
	})
}

// TestEtrnFetchesMail: ETRN has the mail for its domain tried, found by the index and not by reading the queue, for a
// domain of fast_flush_domains only; also after a kill. sendmail -qR and postqueue -s do the same.
func TestEtrnFetchesMail(t *testing.T) {
	t.Parallel()
	f := withDeferred(t, map[string]string{"flush.fast_flush_domains": `["moving.example"]`, "qmgr.minimal_backoff_time": `"1h"`, "qmgr.maximal_backoff_time": `"1h"`},
		"a@moving.example", "b@waiting.example")
	f.wait(t, map[string]int{"a@moving.example": 1, "b@waiting.example": 1})
	etrn := func(domain, reply string) {
		t.Helper()
		s, err := dialSMTP(f.SMTP(), "EHLO")
		must(t, err)
		defer s.Close()
		if got, err := s.command(reply, "ETRN %s", domain); err != nil {
			t.Errorf("ETRN %s: %q %v, want %s", domain, got, err, reply)
		}
	}
	etrn("moving.example", "250")
	f.wait(t, map[string]int{"a@moving.example": 2, "b@waiting.example": 1})
	etrn("waiting.example", "459")
	f.Kill()
	f.start(t)
	etrn("MOVING.example", "250")
	f.wait(t, map[string]int{"a@moving.example": 3, "b@waiting.example": 1})
	if code, out, errs := f.submit.run(t, "", "-qRmoving.example"); code != 0 {
		t.Fatal(code, out, errs)
	}
	f.wait(t, map[string]int{"a@moving.example": 4, "b@waiting.example": 1})
	// A domain that is not served is looked for in the queue.
	if code, out, errs := f.submit.run(t, "", "-qR", "waiting.example"); code != 0 {
		t.Fatal(code, out, errs)
	}
	f.wait(t, map[string]int{"a@moving.example": 4, "b@waiting.example": 2})
	if code, out, errs := f.submit.run(t, "", "-qI", f.listed(t)["b@waiting.example"].ID); code != 0 {
		t.Fatal(code, out, errs)
	}
	f.wait(t, map[string]int{"a@moving.example": 4, "b@waiting.example": 3})
	if code, _, errs := f.submit.run(t, "", "-qSalice@example.test"); code != 64 || !strings.Contains(errs, "--sender") {
		t.Errorf("-qS: %d %s", code, errs)
	}
	// The index is what is asked: without its log nothing is found.
	log := filepath.Join(f.Data(), "flush", "moving.example")
	text, err := os.ReadFile(log)
	must(t, err)
	if lines := strings.Split(strings.TrimSpace(string(text)), "\n"); !slices.Contains(lines, f.listed(t)["a@moving.example"].ID) {
		t.Errorf("%q", lines)
	}
	must(t, f.Stop())
	must(t, os.Remove(log))
	f.start(t)
	if code, out, errs := newProgram(t, f.box, "postqueue").run(t, "", "-s", "moving.example"); code != 0 {
		t.Fatal(code, out, errs)
	}
	if code, out, errs := newProgram(t, f.box, "postqueue").run(t, "", "-s", "waiting.example"); code != 0 {
		t.Fatal(code, out, errs)
	}
	f.wait(t, map[string]int{"a@moving.example": 4, "b@waiting.example": 4})
}
