package smtp

import (
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/mta/agent"
)

// loginFor is how to log in at a site for mail of a sender; own is the line of his own that he has, "" for none. He
// logs in only where the configuration sends his mail: his password is nothing for the hosts of his recipients.
func (a *Agent) loginFor(at site, q *agent.Request) (c credentials, own string, ok bool) {
	sender := q.Envelope.Sender
	if a.config.SenderLogin && !a.lmtp && !sender.IsNull() && (a.named(at.nexthop) || !isDomainOfARecipient(at.nexthop, q)) {
		if c, own, ok = a.passwords.findSender(sender, a.delimiters); ok {
			return c, own, true
		}
	}
	c, ok = a.passwords.find(at.key, at.nexthop)
	return c, "", ok
}

// isDomainOfARecipient says that mail goes to a site because a recipient lives there, and not because a table or a
// parameter names it.
func isDomainOfARecipient(n configs.Nexthop, q *agent.Request) bool {
	return slices.ContainsFunc(q.Recipients, func(i int) bool { return strings.EqualFold(q.Envelope.Recipients[i].Address.Domain, n.Host) })
}

// login authenticates (RFC 4954).
func (s *session) login(c credentials, n configs.Nexthop) *dsn.Error {
	if !s.encrypted() && s.target.socket == "" {
		return dsn.New(dsn.AuthUnavailable, "Host "+s.target.host+" offers no TLS, so there can be no log-in")
	}
	a := s.agent
	within := a.config.MailTimeout
	b64 := base64.StdEncoding.EncodeToString
	var steps []string
	switch {
	case s.offers("PLAIN"):
		steps = []string{"AUTH PLAIN " + b64([]byte("\x00"+c.user+"\x00"+c.password))}
	case s.offers("LOGIN"):
		steps = []string{"AUTH LOGIN", b64([]byte(c.user)), b64([]byte(c.password))}
	default:
		return dsn.New(dsn.AuthUnavailable, "Host "+s.target.host+" offers no way to log in that we know")
	}
	for i, step := range steps {
		r, err := s.command(within, step, "AUTH")
		switch {
		case err != nil:
			return err
		case r.Code == 334 && i < len(steps)-1:
		case r.OK() && i == len(steps)-1:
			s.loggedIn = true
			return nil
		default:
			e := failure(r, s.target.host, "AUTH")
			if r.Class() != 5 || a.config.SoftLogin {
				e.Status = loginRefused
			}
			if r.Code == 535 {
				a.logins.remember(c, n, e, a.clock.Now().Add(a.config.LoginMemory))
			}
			return e
		}
	}
	return nil
}

// offers says that the host offers a mechanism, and that it may be used (smtp.sasl_mechanism_filter).
func (s *session) offers(mechanism string) bool {
	if !slices.Contains(s.ext.auth, mechanism) {
		return false
	}
	filter := s.agent.config.Mechanisms
	for _, f := range filter {
		if name, not := strings.CutPrefix(f, "!"); strings.EqualFold(name, mechanism) {
			return !not
		}
	}
	return len(filter) == 0
}

// logins are those that were refused (smtp.sasl_auth_cache_time). Safe for concurrent use.
type logins struct {
	mu   sync.Mutex
	last map[loginKey]refusedLogin
}

type loginKey struct {
	user string
	at   configs.Nexthop
}

type refusedLogin struct {
	password string
	err      dsn.Error
	until    time.Time
}

// mostLogins bounds what is remembered. It is no parameter: there are as many as wrong lines in
// smtp.password_file.
const mostLogins = 1000

func (l *logins) remember(c credentials, at configs.Nexthop, err *dsn.Error, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil || len(l.last) >= mostLogins {
		l.last = map[loginKey]refusedLogin{}
	}
	l.last[loginKey{c.user, at}] = refusedLogin{c.password, *err, until}
}

// refused is why there is no trying to log in, nil where there is.
func (l *logins) refused(c credentials, at configs.Nexthop, now time.Time) *dsn.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.last[loginKey{c.user, at}]
	if !ok || r.password != c.password || !now.Before(r.until) {
		return nil
	}
	err := r.err
	err.Text = "Log-in refused before (smtp.sasl_auth_cache_time): " + err.Text
	err.RemoteMTA, err.RemoteReply = "", ""
	return &err
}
