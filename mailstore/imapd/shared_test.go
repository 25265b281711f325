package imapd

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/envelope"
	"toastmaster/mailstore"
	"toastmaster/mailstore/storetest"
)

// share fills what storetest.Namespaces shows of others.
func (h *host) share() {
	h.t.Helper()
	h.deliver("public", plain, mixed)
	h.deliver("bob", plain)
	ctx := h.t.Context()
	u, err := h.store.User(ctx, storetest.Account(h.t, "public"))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, name := range []string{"Notes", "Secret", "Board", "Board/Open"} {
		if err := u.Create(ctx, name, ""); err != nil {
			h.t.Fatal(err)
		}
	}
	for _, name := range []string{"Notes", "Secret", "Board/Open"} {
		d := &mailstore.Delivery{Folder: name, Content: envelope.Memory(plain)}
		if err := h.store.Deliver(ctx, storetest.Account(h.t, "public"), d); err != nil {
			h.t.Fatal(err)
		}
	}
	if err := u.Close(); err != nil {
		h.t.Fatal(err)
	}
}

func sharedHost(t *testing.T) *host {
	h := newHost(t, func(h *host) { h.shared = true })
	h.share()
	return h
}

// TestIdleInAMailboxOfOthers: who watches it hears of the mail that comes into it.
func TestIdleInAMailboxOfOthers(t *testing.T) {
	t.Parallel()
	h := sharedHost(t)
	c := h.login("alice", "Public/INBOX")
	c.send("i IDLE\r\n")
	c.expect("+ idling")
	h.deliver("public", plain)
	c.expect("* 3 EXISTS")
	c.expect("* 3 RECENT")
	c.send("DONE\r\n")
	c.expect("i OK Idle completed")
	c.answers("FETCH 3 (FLAGS UID)", `* 3 FETCH (FLAGS (\Recent) UID 3)`)
}

// TestNamesDoNotCrossAccounts: whatever a client says instead of a mailbox, it gets
// none of an account that it is not shown, and none is made on the disk.
func TestNamesDoNotCrossAccounts(t *testing.T) {
	t.Parallel()
	h := sharedHost(t)
	before := h.homes()
	names := []string{
		"Public/..", "Public/../alice", "Public/../../example.test/bob", "Public//INBOX", "Public/./INBOX", "Public/.", "Public/.Secret", "Public/.Secret/INBOX",
		"Public/Secret", "Public/Secret/Below", "Public/Notes/../Secret", "public/Secret", "Public/&-Secret", "Public/&AFM-ecret", "Public&AC8-Secret", "Public/&AC4ALg-/bob",
		"Public/Secret&AAA-", "Public/\\\\Secret", "Public.Secret", "Public/..Secret", "Public/INBOX/../Secret",
		"Users/carol@example.test/INBOX", "Users/alice@example.test/INBOX/x", "Users/bob@example.test", "Users/bob@example.test/", "Users/bob@example.test/..",
		"Users/bob@example.test/Sent", "Users/bob@example.test/../carol/INBOX", "Users/bob@example.test/../../../etc", "Users/../bob@example.test/INBOX",
		"Users/bob@example.org/INBOX", "Users/bob@example/INBOX", "Users/bob@example.test.evil.test/INBOX", "Users/bob@example.testINBOX", "Users/", "Users", "Users/bob",
		"Users/BOB@EXAMPLE.TEST/Sent", "Users//bob@example.test/INBOX", "Users/bob@example.test//INBOX", "Users/bob/INBOX", "users/bob@example.test/INBOX",
		"/Public/Secret", "../bob", "..", "example.test/bob", ".toastmaster", "~/x", "/etc/passwd", "INBOX/../../bob",
	}
	for _, who := range []string{"alice", "carol"} {
		c := h.login(who, "INBOX")
		c.ok("APPEND INBOX {1+}\r\nx")
		for _, name := range names {
			for _, command := range []string{
				"COPY 1 %", "MOVE 1 %", "STATUS % (MESSAGES)", "DELETE %", "APPEND % {1+}\r\nx", "RENAME % Mine", "SUBSCRIBE %", "EXAMINE %", "SELECT %",
			} {
				c.refused(strings.ReplaceAll(command, "%", `"`+name+`"`), "NO ")
			}
			if strings.HasPrefix(name, "Public/") || strings.HasPrefix(name, "Users/") {
				c.refused(`CREATE "`+name+`/New"`, "NO ")
				c.refused(`RENAME Drafts "`+name+`"`, "NO ")
			}
			c.ok("SELECT INBOX")
		}
	}
	if after := h.homes(); !slices.Equal(before, after) {
		t.Errorf("%v\nwere\n%v", after, before)
	}
}

// homes are the mailboxes of those who share something, and how much is in each.
func (h *host) homes() (all []string) {
	h.t.Helper()
	ctx := h.t.Context()
	for _, name := range []string{"public", "bob"} {
		u, err := h.store.User(ctx, storetest.Account(h.t, name))
		if err != nil {
			h.t.Fatal(err)
		}
		folders, err := u.List(ctx)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, f := range folders {
			st, err := u.Status(ctx, f.Name)
			if err != nil {
				h.t.Fatal(err)
			}
			all = append(all, fmt.Sprintln(name, f.Name, f.Subscribed, st.Messages))
		}
		if err := u.Close(); err != nil {
			h.t.Fatal(err)
		}
	}
	return all
}
