package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTwoTransports: two transports of one agent, each with its domains, its name in EHLO,
// its own address and its limits; Postfix says with its Received fields what it saw.
func TestTwoTransports(t *testing.T) {
	t.Parallel()
	p := startPostfix(t, "mx.remote.example", "", "a@first.example", "b@first.example", "c@second.example", "d@second.example", "e@sub.second.example")
	b := serve(t, nil)
	must(t, b.Stop())
	f, err := os.OpenFile(b.ConfigFile(), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = fmt.Fprintf(f, `
[[transport]]
name = "first"
domains = ["first.example"]
nexthop = "[127.0.0.1]:%[1]d"
helo_name = "out.first.example"
bind_address = "127.0.0.2"

[[transport]]
name = "second"
domains = ["second.example", ".second.example"]
nexthop = "[127.0.0.1]:%[1]d"
helo_name = "out.second.example"
bind_address = "127.0.0.3"
process_limit = 1
destination_recipient_limit = 1
`, p.Port25())
	must(t, err)
	must(t, f.Close())
	b.start(t)

	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.send("x@example.net", []string{"a@first.example", "b@first.example", "c@second.example", "d@second.example", "e@sub.second.example"},
		"From: <x@example.net>\r\nSubject: two ways\r\n\r\ntext\r\n")
	must(t, err)
	ids := map[string]map[string]bool{"first": {}, "second": {}}
	received := regexp.MustCompile(`(?s)Received: from (\S+) \(.*?\[(127\.\S+)\]\).*?\sid (\w+)`)
	for to, want := range map[string]string{
		"a@first.example": "out.first.example 127.0.0.2", "b@first.example": "out.first.example 127.0.0.2",
		"c@second.example": "out.second.example 127.0.0.3", "d@second.example": "out.second.example 127.0.0.3", "e@sub.second.example": "out.second.example 127.0.0.3",
	} {
		text := readFile(t, waitPeerMail(t, p, to, 1)[0])
		m := received.FindStringSubmatch(text)
		if m == nil || m[1]+" "+m[2] != want {
			t.Errorf("%s: %q, want %s", to, m, want)
			continue
		}
		ids[strings.TrimSuffix(strings.TrimPrefix(m[1], "out."), ".example")][m[3]] = true
	}
	// One delivery for two recipients, and one for each of three.
	if len(ids["first"]) != 1 || len(ids["second"]) != 3 {
		t.Errorf("deliveries: %v", ids)
	}
	b.queueEmpty(t)
	out, err := b.Run(testContext(t), "", "config", "show")
	if must(t, err); !strings.Contains(out, `transport.second.helo_name = "out.second.example"`) {
		t.Error(out)
	}
}
