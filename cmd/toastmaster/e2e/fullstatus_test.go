package e2e

import (
	"strings"
	"testing"
)

// TestAFullDiskIsSeen: while mail is refused for want of room, status fails and says why,
// and /healthz names the part behind a 200, because who reads and what was accepted goes on.
func TestAFullDiskIsSeen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ param, service string }{{"queue.min_free", "queue"}, {"store.min_free", "store"}} {
		t.Run(c.service, func(t *testing.T) {
			t.Parallel()
			b := serve(t, map[string]string{c.param: `"1024 GiB"`})
			ctx := testContext(t)
			out, err := b.Run(ctx, "", "status")
			for _, want := range []string{"exit status 1", "degraded", "new mail is refused (4.3.1) until there is room", c.param} {
				if err == nil || !strings.Contains(out+err.Error(), want) {
					t.Errorf("status: %v\n%s: no %q", err, out, want)
				}
			}
			if _, err := b.Run(ctx, "", "status", "--alive"); err != nil {
				t.Errorf("a restart is asked for: %v", err)
			}
			if got := get(t, "http://"+b.Admin()+"/healthz"); got != "200 degraded: "+c.service+"\n" {
				t.Errorf("/healthz: %s", got)
			}
		})
	}
}
