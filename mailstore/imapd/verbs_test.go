package imapd

import (
	"os"
	"strings"
	"testing"
)

// TestManualHasTheVerbs compares the manual page with the rows.
func TestManualHasTheVerbs(t *testing.T) {
	t.Parallel()
	var want strings.Builder
	for _, v := range table() {
		want.WriteString("//\t" + v.name + " " + v.help + "\n")
	}
	page, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "// # Verbs\n//\n"+want.String()+"//\n") {
		t.Errorf("the section Verbs of doc.go should be:\n%s", want.String())
	}
}

// TestEnable: what a row says can be enabled is told once, and is there from then
// on; what needs no ENABLE, or is not known, is passed over.
func TestEnable(t *testing.T) {
	t.Parallel()
	var within, outside bool
	h := newHost(t, func(h *host) {
		h.started = func(s *Server) {
			s.setVerbs(append(table(), verb{
				name: "XWIDGET", in: loggedIn, caps: []capability{{name: "XWIDGETS", enable: true}, {name: "XEARLY", early: true, enable: true}},
				run: func(s *session, a *args) (reply, error) {
					within, outside = s.has("XWIDGETS"), s.has("XOTHER")
					return reply{text: "Done"}, a.end()
				},
			}))
		}
	})
	h.deliver("alice", plain)
	before := h.client(0)
	early := join(capabilities(table()), func(c capability) bool { return c.early })
	before.answers("CAPABILITY", "* CAPABILITY "+early+" XEARLY STARTTLS AUTH=PLAIN AUTH=LOGIN")
	c := h.login("alice", "INBOX")
	c.ok("XWIDGET")
	if within {
		t.Error("enabled before ENABLE")
	}
	c.answers("ENABLE XOTHER UIDPLUS", "* ENABLED")
	c.answers("ENABLE xwidgets XOTHER", "* ENABLED XWIDGETS")
	c.answers("ENABLE XWIDGETS XEARLY", "* ENABLED XEARLY")
	c.ok("XWIDGET")
	if !within || outside {
		t.Errorf("enabled: %v, what is none: %v", within, outside)
	}
	c.refused("ENABLE", "BAD ")
	c.refused("ENABLE (x)", "BAD ")
	if got := h.login("alice", "INBOX"); got != nil {
		got.answers("ENABLE XWIDGETS", "* ENABLED XWIDGETS") // each session for itself
	}
}

// TestReadOnlyIsOfTheRow: what changes the mailbox is refused once its arguments
// are good, and before anything is done or not done: with no message, too.
func TestReadOnlyIsOfTheRow(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("alice", plain, plain)
	c := h.login("alice", "INBOX")
	c.ok("EXAMINE INBOX")
	for _, v := range table() {
		command := map[string]string{
			"EXPUNGE": "EXPUNGE", "UID EXPUNGE": "UID EXPUNGE 99", "MOVE": "MOVE 1 Trash", "UID MOVE": "UID MOVE 99 Trash",
			"STORE": `STORE 1 FLAGS (\Seen)`, "UID STORE": `UID STORE 99 FLAGS.SILENT \Seen`,
		}[v.name]
		if (command != "") != (v.rights.ofSelected() != 0) {
			t.Errorf("%s: a row or a command is missing", v.name)
		}
		if command == "" {
			continue
		}
		c.refused(command, "NO Mailbox is read-only")
		c.refused(command+" (", "BAD ")
	}
	c.answers("UID FETCH 1:* FLAGS", `* 1 FETCH (UID 1 FLAGS ())`, `* 2 FETCH (UID 2 FLAGS ())`)
}

// TestSearchKeysBringTheirCapabilities, each once, and no key stands twice.
func TestSearchKeysBringTheirCapabilities(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for _, k := range searchKeys() {
		seen[k.name]++
		for _, c := range k.caps {
			seen["capability "+c.name]++
		}
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s %d times", name, n)
		}
	}
	told := join(capabilities(table()), func(capability) bool { return true })
	if n := strings.Count(" "+told+" ", " WITHIN "); n != 1 || seen["capability WITHIN"] != 1 {
		t.Errorf("WITHIN is told %d times: %s", n, told)
	}
}
