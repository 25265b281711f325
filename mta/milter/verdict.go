package milter

import (
	"bytes"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/smtpreply"
)

// Verdict is what filters say to a command. The zero Verdict lets it pass.
type Verdict struct {
	// Err refuses it. A reply 421 ends the session.
	Err *dsn.Error
	// Hold and Discard are about the message.
	Hold, Discard bool
}

func (v Verdict) pass() bool { return v == Verdict{} }

// The answers of filters that have no text, and what is said without an answer: Postfix's.
var (
	errRejected = dsn.New(dsn.Policy, "Command rejected").WithCode(550)
	errLater    = dsn.New(dsn.PolicyLater, "Service unavailable - try again later").WithCode(451)
	errClosing  = dsn.New(dsn.TooManyErrors, "Server closing connection").WithCode(421)
)

// without is the verdict where there is no answer. own says that the filter has answered what cannot be done.
func without(a configs.MilterAction, own bool, cause error) Verdict {
	status, text, code := dsn.PolicyLater, "Service unavailable - try again later", 451
	if own {
		status, text = dsn.Misconfigured, "Server configuration problem - try again later"
	}
	switch a {
	case configs.MilterAccept:
		return Verdict{}
	case configs.MilterQuarantine:
		return Verdict{Hold: true}
	case configs.MilterReject:
		if !own {
			status, text, code = dsn.Make(5, 5, 0), "Service unavailable", 550
		}
	case configs.MilterShutdown:
		code = 421
	}
	return Verdict{Err: dsn.Wrap(status, text, cause).WithCode(code)}
}

// reply reads "550 5.7.1 text", of one line or several; ok is false for what is no reply that refuses. A text without a
// status gets x.7.1.
func reply(data []byte) (*dsn.Error, bool) {
	r, err := smtpreply.Whole(string(bytes.TrimSuffix(data, []byte{0})))
	if err != nil || r.Class() != 4 && r.Class() != 5 {
		return nil, false
	}
	if !r.Enhanced {
		r.Status = dsn.Make(r.Class(), 7, 1)
	}
	text := strings.Join(r.Lines, "\n")
	return dsn.New(r.Status, strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(text, "%%", "\x00"), "%", ""), "\x00", "%")).WithCode(r.Code), true
}
