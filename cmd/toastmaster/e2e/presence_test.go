package e2e

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var enabled = regexp.MustCompile(`(?m)^enabled +yes$`)

// TestAPartThatVanishesIsNamed: with the queue, the store or the database moved away
// under a running instance, each command that needs it says what is missing and what
// to do, status and /healthz say so, nothing is confirmed, and a restart is not asked
// for. With it back all is well.
func TestAPartThatVanishesIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		part, service string
		verbs         []string
	}{
		{"queue", "queue", []string{
			"queue list", "queue list --json", "queue list --place hold", "queue flush", "queue show ID", "queue cat ID", "queue hold ID", "queue release ID",
			"queue requeue ID", "queue delete ID", "queue hold --all", "queue delete --all",
		}},
		{"queue/deferred", "queue", []string{"queue list", "queue flush", "queue show ID"}},
		{"mail", "store", []string{
			"mailbox status " + alice, "mailbox status " + bob, "mailbox add new@example.test --no-password", "mailbox remove " + alice + " --purge",
		}},
		{"directory.db", "directory", []string{
			"domain list", "mailbox list", "alias list", "relocated list", "mailbox status " + alice, "mailbox show " + alice, "mailbox add new@example.test --no-password",
			"mailbox set " + alice + " --quota 1M", "mailbox remove " + bob, "domain add new.test", "alias add x@example.test " + alice, "token list", "job list",
		}},
	} {
		t.Run(c.part, func(t *testing.T) {
			t.Parallel()
			b := serve(t, nil)
			ctx := testContext(t)
			missing := filepath.Join(b.Data(), c.part)
			back := setAside(t, missing)
			says := func(what string, err error) {
				t.Helper()
				for _, want := range []string{"exit status 1", missing, "restore it"} {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("%s: %v: no %q", what, err, want)
					}
				}
			}
			for _, verb := range append(c.verbs, "status", "status --json") {
				_, err := b.Run(ctx, "", strings.Fields(strings.ReplaceAll(verb, "ID", "3abcdefghijklmn"))...)
				says(verb, err)
			}
			out, err := b.Run(ctx, "", "status", "--alive")
			if must(t, err); !strings.Contains(out, "unavailable") {
				t.Errorf("status --alive: %s", out)
			}
			if got := get(t, "http://"+b.Admin()+"/healthz"); got != "503 "+c.service+": unavailable\n" {
				t.Errorf("/healthz: %s", got)
			}
			if got := getAs(t, "http://"+b.Admin()+"/api/v1/status", "whoever"); strings.Contains(got, b.Data()) {
				t.Errorf("somebody whose token is not known hears: %s", got)
			}
			if got := get(t, "http://"+b.Admin()+"/metrics"); !strings.Contains(got, "toastmaster_service_running{service=\""+c.service+"\"} 0\n") {
				t.Error("the metric says that it runs")
			}
			back()
			if out, err := b.Run(ctx, "", "status"); err != nil {
				t.Errorf("with it back: %v %s", err, out)
			}
			out, err = b.Run(ctx, "", "mailbox", "list")
			if must(t, err); !strings.Contains(out, alice) || !strings.Contains(out, bob) || strings.Contains(out, "new@") {
				t.Errorf("mailboxes: %s", out)
			}
			out, err = b.Run(ctx, "", "mailbox", "show", alice)
			if must(t, err); !strings.Contains(out, "unlimited") || !enabled.MatchString(out) {
				t.Errorf("changed: %s", out)
			}
		})
	}
}

// getAs is get with a token.
func getAs(t *testing.T, url, token string) string {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	q.Header.Set("Authorization", "Bearer "+token)
	r, err := http.DefaultClient.Do(q)
	must(t, err)
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	must(t, err)
	return fmt.Sprint(r.StatusCode, " ", string(text))
}
