package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"toastmaster/internal/testkit/binary"
)

// TestTwoServersOfOneStore, set up as docs/processes.md has it: a session in IDLE of one
// sees what the other delivers, also when one was killed; the same configuration is not
// served twice.
func TestTwoServersOfOneStore(t *testing.T) {
	t.Parallel()
	first := serve(t, nil)
	id := regexp.MustCompile(`(?m)^instance = (".*")$`).FindStringSubmatch(readFile(t, first.ConfigFile()))
	if id == nil {
		t.Fatal("no main.instance")
	}
	second, err := binary.Create(testContext(t), binary.Options{
		Program: program, Dir: t.TempDir(), Hostname: "mx.example.test",
		Params: map[string]string{
			"main.instance": id[1], "store.path": strconv.Quote(filepath.Join(first.Data(), "mail")),
			"directory.path": strconv.Quote(filepath.Join(first.Data(), "directory.db")),
		},
	})
	must(t, err)
	t.Cleanup(second.Close)
	must(t, os.RemoveAll(filepath.Join(second.Data(), "queue")))
	_, err = second.Run(testContext(t), "", "init", "--new", "queue")
	must(t, err)
	must(t, second.Start(testContext(t)))

	deliver := func(address string) {
		t.Helper()
		c := converse(t, address)
		c.say(t, "LHLO client.example\r\n", "250 ")
		c.say(t, "MAIL FROM:<a@example.net>\r\n", "250 ")
		c.say(t, "RCPT TO:<"+alice+">\r\n", "250 ")
		c.say(t, "DATA\r\n", "354 ")
		c.say(t, "Subject: x\r\n\r\nx\r\n.\r\n", "250 ")
	}
	c := converse(t, second.IMAP())
	c.say(t, "a LOGIN "+alice+" "+alicesWord+"\r\n", "a OK")
	c.say(t, "b SELECT INBOX\r\n", "b OK")
	c.say(t, "c IDLE\r\n", "+ ")
	deliver(first.LMTP())
	c.say(t, "", "* 1 EXISTS")
	if out, err := first.Run(testContext(t), "", "serve"); err == nil {
		t.Errorf("the same configuration is served twice: %s", out)
	}
	first.Kill()
	deliver(second.LMTP())
	c.say(t, "", "* 2 EXISTS")
	must(t, first.Start(testContext(t)))
	deliver(first.LMTP())
	c.say(t, "", "* 3 EXISTS")
	c.say(t, "DONE\r\n", "c OK")
	c.say(t, "d STATUS INBOX (UIDNEXT)\r\n", `* STATUS "INBOX" (UIDNEXT 4)`)
}
