package smtpd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/testkit/peers"
	"toastmaster/internal/testkit/transcript"
)

// asksFor is a Flusher that serves served.test and its subdomains.
type asksFor struct {
	mu  sync.Mutex
	all []string
}

func (a *asksFor) flush(_ context.Context, domain string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch domain = strings.ToLower(domain); {
	case domain == "served.test" || strings.HasSuffix(domain, ".served.test"):
		a.all = append(a.all, domain)
		return nil
	case domain == "broken.test":
		return fmt.Errorf("%w: %w", ErrUnqueued, errors.New("the disk"))
	}
	return ErrNotFlushed
}

// TestEtrn runs the dialogues of testdata/etrn.
func TestEtrn(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.o.Trusted = nil
	asks := &asksFor{}
	b.o.Flush = asks.flush
	address := serve(t, served(daemon(t, b.o).MX()), nil)
	t.Run("all", func(t *testing.T) {
		transcript.RunDir(t, "testdata/etrn", transcript.Options{Dial: func(t *testing.T, _ string) net.Conn {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}})
	})
	if !slices.Equal(asks.all, []string{"served.test", "served.test", "served.test", "served.test"}) {
		t.Errorf("%q", asks.all)
	}
}

// etrnAccess is what both are asked with check_etrn_access.
const etrnAccess = "inline:{ {no.served.test = REJECT not for you}, {code.served.test = 459 go away}, {defer.served.test = DEFER}, {hold.served.test = HOLD}, " +
	"{prepend.served.test = PREPEND X: y}, {ok.other.test = OK}, {dip.served.test = DEFER_IF_PERMIT later}, {dir.served.test = DEFER_IF_REJECT x}, {reject.served.test = reject}, {discard.served.test = DISCARD} }"

// TestEtrnAsPostfix: the same commands, with the same restrictions and the same domains, have the same code and the same
// words from Debian's Postfix and from ours. We have a status in each reply (RFC 2034).
func TestEtrnAsPostfix(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	p, err := peers.StartPostfix(ctx, peers.PostfixOptions{
		Dir: peers.TempDir(t), Hostname: "mx.test", Accounts: []peers.Account{{Address: "alice@example.test"}},
		Main: "fast_flush_domains = served.test\nsmtpd_etrn_restrictions = check_etrn_access " + etrnAccess + ", check_helo_access inline:{ {liar.test = REJECT liar} }\n" +
			"smtpd_discard_ehlo_keywords = etrn\nsmtpd_hard_error_limit = 1000\nsmtpd_soft_error_limit = 1000\nsmtpd_junk_command_limit = 1000\n" +
			"smtpd_client_restrictions = check_helo_access inline:{ {late.test = REJECT at etrn} }\nsmtpd_helo_required = yes\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	t.Cleanup(func() { set.Close() })
	b := newBed(t)
	b.o.Trusted, b.o.Tables, b.o.Keys = nil, set, keys.Options{ParentMatches: true}
	b.o.Params.ErrorLimit, b.o.Params.JunkLimit, b.o.Params.SoftErrorLimit = 1000, 1000, 0
	b.o.Params.Restrictions.Etrn = []string{"check_etrn_access " + etrnAccess, "check_helo_access inline:{ {liar.test = REJECT liar} }"}
	b.o.Params.Restrictions.Client, b.o.Params.Restrictions.Delay = []string{"check_helo_access inline:{ {late.test = REJECT at etrn} }"}, true
	b.o.Flush, b.o.Params.DiscardKeywords = (&asksFor{}).flush, []string{"etrn"} // the command is there all the same
	ours := serve(t, served(daemon(t, b.o).MX()), nil)
	commands := []string{
		"ETRN served.test", "EHLO client.test", "ETRN served.test", "etrn sub.served.test", "ETRN @served.test", "ETRN #served.test", "ETRN other.test", "ETRN SERVED.TEST",
		"ETRN", "ETRN served.test x", "ETRN a..b", "ETRN -x.test", "ETRN @", "ETRN [192.0.2.1]", "ETRN [IPv6:2001:db8::1]", "ETRN [192.0.2.1", "ETRN [x]",
		"ETRN no.served.test", "ETRN code.served.test", "ETRN defer.served.test", "ETRN hold.served.test", "ETRN prepend.served.test", "ETRN ok.other.test", "ETRN dip.served.test",
		"ETRN dir.served.test", "ETRN reject.served.test", "ETRN discard.served.test", "MAIL FROM:<x@outside.test>", "ETRN served.test", "RSET", "ETRN served.test",
		"HELO liar.test", "ETRN served.test", "HELO late.test", "ETRN served.test", "HELO client.test", "ETRN served.test",
	}
	theirs, mine := saysTo(t, p.SMTP(), commands), saysTo(t, ours, commands)
	for i, c := range commands {
		if theirs[i] != mine[i] {
			t.Errorf("%s\n  ours    %s\n  Postfix %s", c, mine[i], theirs[i])
		}
	}
}

// saysTo are the replies to commands, without what differs by design: the status, the beginning "Error: ",
// and what belongs to other commands than ETRN.
func saysTo(t *testing.T, server string, commands []string) []string {
	t.Helper()
	conn, err := net.Dial("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	c := dialled{conn, bufio.NewReader(conn)}
	defer c.Close()
	c.reply(t, "greeting")
	var all []string
	status := regexp.MustCompile(`^(\d{3} )\d\.\d+\.\d+ `)
	for _, command := range commands {
		fmt.Fprintf(c, "%s\r\n", command)
		reply := c.reply(t, command)
		if !strings.HasPrefix(strings.ToUpper(command), "ETRN") {
			reply = reply[:3]
		}
		reply = status.ReplaceAllString(reply, "$1")
		reply = strings.Replace(reply, "Error: ", "", 1)
		reply = strings.Replace(reply, "send HELO/EHLO first", "Send HELO or EHLO first", 1)
		all = append(all, reply)
	}
	return all
}

// TestDiscardedKeywords: what is not announced works all the same.
func TestDiscardedKeywords(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.o.Trusted = nil
	b.o.Flush = (&asksFor{}).flush
	b.o.Params.DiscardKeywords = []string{"ETRN", "size", "dsn"}
	address := serve(t, served(daemon(t, b.o).MX()), nil)
	transcript.Run(t, "discarded", `S: 220 *
C: EHLO client.test
S: 250-mx.test
S: 250-PIPELINING
S: 250-STARTTLS
S: 250-ENHANCEDSTATUSCODES
S: 250-8BITMIME
S: 250-SMTPUTF8
S: 250 CHUNKING
C: ETRN served.test
S: 250 2.0.0 Queuing started
C: QUIT
S: 221 *
`, transcript.Options{Dial: func(t *testing.T, _ string) net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}})
}
