package sendmail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/maildrop"
	"toastmaster/internal/vfs"
)

// submitTimeout bounds the whole submission: the caller waits.
const submitTimeout = 15 * time.Minute

// refusal is what the service says.
type refusal struct {
	status dsn.Status
	text   string
}

// Error implements error.
func (r *refusal) Error() string { return r.text }

// errNoAnswer is that nobody has the message: another way may be tried.
var errNoAnswer = errors.New("the mail system does not answer")

// submit hands a message over, by the first way there is: the socket of pickup, its folder, SMTP. id is what it is
// called, "" when there is no telling.
func (m mailSystem) submit(ctx context.Context, l *letter) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	if m.smtpOnly {
		return "", m.submitBySMTP(ctx, l)
	}
	var last error
	for _, dir := range m.folders {
		id, err := submitToSocket(ctx, maildrop.SocketIn(dir), l)
		var refused *refusal
		switch {
		case err == nil, errors.As(err, &refused) && (!refused.status.Temporary() || refused.status == dsn.SystemFull):
			return id, err
		case refused == nil && !errors.Is(err, errNoAnswer):
			return "", err // it may have been taken
		}
		if l.said.Trace == maildrop.TraceVerify && refused != nil {
			return "", err
		}
		if dropped := maildrop.Put(vfs.OS{}, dir, &l.said, l.text); dropped == nil {
			return "", nil
		} else if refused != nil {
			return "", err
		} else if !errors.Is(dropped, os.ErrNotExist) && !errors.Is(dropped, os.ErrPermission) {
			return "", fmt.Errorf("%w, and the message cannot be left for it: %w", errNoAnswer, dropped)
		} else {
			last = dropped
		}
	}
	if err := m.submitBySMTP(ctx, l); !errors.Is(err, errNoAnswer) || last == nil {
		return "", err
	}
	return "", fmt.Errorf("%w on %s, and the message cannot be left for it: %w", errNoAnswer, m.address, last)
}

// submitToSocket hands a message to pickup. An error that is errNoAnswer says that it has nothing of it.
func submitToSocket(ctx context.Context, socket string, l *letter) (id string, err error) {
	var body bytes.Buffer
	if err := maildrop.Write(&body, &l.said, l.text); err != nil {
		return "", err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://pickup"+maildrop.SubmitPath, &body)
	if err != nil {
		return "", err
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		if body.Len() > 0 {
			err = errNoAnswer // not all of it was sent, so that there was no message
		}
		return "", fmt.Errorf("the mail system gave no answer, and may have the message: %w", err)
	}
	defer res.Body.Close()
	var a maildrop.Answer
	if res.StatusCode != http.StatusOK {
		return "", &refusal{dsn.MailSystem, "the mail system answers " + res.Status}
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maildrop.MaxAnswer)).Decode(&a); err != nil {
		return "", fmt.Errorf("the mail system gave no whole answer, and may have the message: %w", err)
	}
	status, _, ok := dsn.Parse(a.Status)
	switch {
	case !ok:
		return "", fmt.Errorf("the mail system answers %q", a.Status)
	case status.Class() == 2:
		return a.ID, nil
	}
	return "", &refusal{status, a.Text}
}

// submitBySMTP hands a message to the SMTP service.
func (m mailSystem) submitBySMTP(ctx context.Context, l *letter) error {
	if l.said.Trace == maildrop.TraceVerify {
		return fmt.Errorf("%w: -bv needs pickup.directory", errNoAnswer)
	}
	conn, err := m.dial(ctx)
	if err != nil {
		return err
	}
	client := smtp.NewClient(conn)
	defer client.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	return replyOf(m.speak(client, l))
}

// speak is the dialogue.
func (m mailSystem) speak(client *smtp.Client, l *letter) error {
	if err := client.Hello(clientName()); err != nil {
		return err
	}
	sender := l.said.Sender
	if l.said.Own {
		sender = addr.Address{Local: callerName()}.String()
	}
	if err := client.Mail(m.qualified(sender), nil); err != nil {
		return err
	}
	for _, r := range l.said.Recipients {
		if err := client.Rcpt(m.qualified(r.Address), nil); err != nil {
			return fmt.Errorf("%s: %w", r.Address, err)
		}
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	if l.said.FullName != "" && sender != "" {
		if _, err := fmt.Fprintf(w, "From: %q <%s>\r\n", l.said.FullName, m.qualified(sender)); err != nil {
			return err
		}
	}
	if _, err := w.Write(l.text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return client.Quit()
}

// qualified is an address with this host's domain when it has none; the null sender stays.
func (m mailSystem) qualified(text string) string {
	a, err := addr.Parse(text)
	if err == nil && a.Domain == "" {
		return a.WithDomain(m.hostname).String()
	}
	return text
}

// replyOf is a reply of SMTP as a refusal.
func replyOf(err error) error {
	var reply *smtp.SMTPError
	if !errors.As(err, &reply) {
		return err
	}
	status := dsn.Status(reply.EnhancedCode[0]*1_000_000 + reply.EnhancedCode[1]*1_000 + reply.EnhancedCode[2])
	if status.Class() != reply.Code/100 {
		status = dsn.Status(reply.Code / 100 * 1_000_000)
	}
	return &refusal{status, err.Error()}
}

// userByID is the name of a user.
func userByID(uid int) (string, error) {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return "", err
	}
	if u.Username == "" {
		return "", user.UnknownUserIdError(uid)
	}
	return u.Username, nil
}

// dial connects to the SMTP service.
func (m mailSystem) dial(ctx context.Context) (net.Conn, error) {
	if m.address == "" {
		return nil, fmt.Errorf("%w: smtpd.listen has no TCP address", errNoAnswer)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", m.address)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Err != nil {
			err = op.Err // the rest is said better
		}
		return nil, fmt.Errorf("%w on %s (smtpd.listen, or TOASTMASTER_SMTP): %w", errNoAnswer, m.address, err)
	}
	return conn, nil
}

// clientName is the name in HELO.
func clientName() string {
	host, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return strings.TrimSpace(host)
}

// standardFolder is where a package puts pickup.directory.
const standardFolder = "/var/spool/toastmaster"

// publicName is the default of pickup.directory, in the folder of the configuration.
func publicBeside(file string) string { return filepath.Join(filepath.Dir(file), "public") }
