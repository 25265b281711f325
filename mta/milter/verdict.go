package milter

import (
	"bytes"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
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
	data = bytes.TrimSuffix(data, []byte{0})
	if bytes.IndexByte(data, 0) >= 0 {
		return nil, false
	}
	var code int
	var status dsn.Status
	var text strings.Builder
	lines := strings.Split(string(data), "\r\n")
	for i, line := range lines {
		n, s, rest, ok := replyLine(line, i == len(lines)-1)
		if !ok || i > 0 && n != code {
			return nil, false
		}
		if i == 0 {
			code, status = n, s
		} else {
			text.WriteByte('\n')
		}
		text.WriteString(strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(rest, "%%", "\x00"), "%", ""), "\x00", "%"))
	}
	if status == 0 {
		status = dsn.Make(code/100, 7, 1)
	}
	return dsn.New(status, text.String()).WithCode(code), true
}

// replyLine takes a line apart. A status of another class than the code is none.
func replyLine(line string, last bool) (code int, status dsn.Status, text string, ok bool) {
	if len(line) < 3 || line[0] != '4' && line[0] != '5' || strings.ContainsAny(line, "\r\n") {
		return 0, 0, "", false
	}
	for _, c := range []byte(line[:3]) {
		if c < '0' || c > '9' {
			return 0, 0, "", false
		}
		code = code*10 + int(c-'0')
	}
	sep := byte('-')
	if last {
		sep = ' '
	}
	switch {
	case len(line) == 3:
		return code, 0, "", last
	case line[3] != sep:
		return 0, 0, "", false
	}
	text = line[4:]
	if s, rest := dsn.Split(text, 0); s != 0 {
		if s.Class() != code/100 {
			return 0, 0, "", false
		}
		return code, s, rest, true
	}
	return code, 0, text, true
}
