package e2e

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// guesser tries passwords of alice on one connection after another until the
// time is over. decided is what the answer to a wrong password begins with.
type guesser struct {
	address, decided string
	tls              bool
	greet, hello     string // what is said before, and how its answer ends
	line             func(guess string) string
}

func guessersOf(b *box) []guesser {
	plain := func(guess string) string {
		return base64.StdEncoding.EncodeToString([]byte("\x00" + alice + "\x00" + guess))
	}
	return []guesser{
		{b.IMAP(), "a NO [AUTHENTICATIONFAILED]", false, "", "* OK", func(g string) string { return "a LOGIN " + alice + " " + g + "\r\n" }},
		{b.IMAPS(), "a NO [AUTHENTICATIONFAILED]", true, "", "* OK", func(g string) string { return "a AUTHENTICATE PLAIN " + plain(g) + "\r\n" }},
		{b.POP3(), "-ERR [AUTH]", false, "USER " + alice + "\r\n", "+OK", func(g string) string { return "PASS " + g + "\r\n" }},
		{b.POP3S(), "-ERR [AUTH]", true, "", "+OK", func(g string) string { return "AUTH PLAIN " + plain(g) + "\r\n" }},
		{b.Submissions(), "535", true, "EHLO a.test\r\n", "250 ", func(g string) string { return "AUTH PLAIN " + plain(g) + "\r\n" }},
	}
}

// guess makes one connection and one guess; it says whether it was decided.
func (g guesser) guess(until time.Time, word string) (bool, error) {
	c, err := net.Dial("tcp", g.address)
	if err != nil {
		return false, err
	}
	defer c.Close()
	_ = c.SetDeadline(until)
	if g.tls {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the certificate is the instance's own
	}
	in := bufio.NewReader(c)
	if _, err := in.ReadString('\n'); err != nil {
		return false, err
	}
	if g.greet != "" {
		if _, err := c.Write([]byte(g.greet)); err != nil {
			return false, err
		}
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return false, err
			}
			if strings.HasPrefix(line, g.hello) {
				break
			}
		}
	}
	if _, err := c.Write([]byte(g.line(word))); err != nil {
		return false, err
	}
	line, err := in.ReadString('\n')
	return strings.HasPrefix(line, g.decided), err
}

// TestGuessesOverAllProtocols: many connections of one client, over every way
// in at once, are no faster than one. The first guess is answered after a second,
// and the second waits two before.
func TestGuessesOverAllProtocols(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{"main.trusted_networks": "[]"})
	until := time.Now().Add(6 * time.Second)
	var mu sync.Mutex
	decided := map[string]int{}
	var wg sync.WaitGroup
	for n, g := range guessersOf(b) {
		for i := range 10 {
			wg.Go(func() {
				for k := 0; time.Now().Before(until); k++ {
					ok, _ := g.guess(until, fmt.Sprintf("guess%d-%d-%d", n, i, k))
					if ok {
						mu.Lock()
						decided[g.address]++
						mu.Unlock()
					}
				}
			})
		}
	}
	for range 5 {
		wg.Go(func() {
			for time.Now().Before(until) {
				client := http.Client{Timeout: time.Until(until)}
				r, err := http.NewRequest("GET", "http://"+b.Admin()+"/api/v1/domains", nil)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Authorization", "Bearer tmt_guess")
				if a, err := client.Do(r); err == nil {
					_ = a.Body.Close()
					if a.StatusCode == http.StatusUnauthorized {
						mu.Lock()
						decided["api"]++
						mu.Unlock()
					}
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range decided {
		sum += n
	}
	// After 1, 4 and 9 seconds.
	if sum > 2 {
		t.Errorf("%d guesses in six seconds: %v", sum, decided)
	}
}
