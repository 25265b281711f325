package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// TestRotationWithRoleUsers: no role may make a file in the folder of the log, which is main.user's. `toastmaster reload`, as
// logrotate calls it when it has renamed the file, has a new one made that all of them write.
func TestRotationWithRoleUsers(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "a user for each role is the matter")
	b := serveRoleUsers(t, map[string]string{"log.file": `"mail.log"`})
	b.waitServes(t)
	log := filepath.Join(b.Data(), "mail.log")
	must(t, os.Rename(log, log+".1"))
	out, err := b.Run(testContext(t), "", "reload")
	if err != nil || !strings.HasPrefix(out, "reloaded") {
		t.Fatalf("%v %s", err, out)
	}
	b.sendOne(t, "a@example.net", bob, "after the rotation")
	b.waitMail(t, bob, 1)
	eventually(t, func() error { return logHas(log, "status=sent") })
}

// logHas says that a log has a text.
func logHas(path, text string) error {
	all, err := os.ReadFile(path)
	if err == nil && !strings.Contains(string(all), text) {
		err = fmt.Errorf("no %q in %s", text, all)
	}
	return err
}
