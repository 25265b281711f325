package smtp

import (
	"errors"
	"fmt"
	"strings"

	"toastmaster/internal/dsn"
	"toastmaster/internal/printable"
)

// reply is one reply of the peer.
type reply struct {
	code int
	// status is the enhanced code; class.0.0 when the peer gave none that
	// fits (RFC 2034 section 4).
	status dsn.Status
	// enhanced: the status was in the reply.
	enhanced bool
	// lines are the texts without code, hyphen and enhanced code. A reply
	// longer than maxText is cut.
	lines []string
}

// maxText is how much text of a reply is kept. EHLO's needs less than this; what is
// read beyond it counts against the limit but needs no memory. It is no parameter:
// it is what a report shows of another host's words.
const maxText = 16 << 10

var (
	errMalformed = errors.New("malformed reply")
	errTooLong   = errors.New("reply too long")
)

func (r *reply) ok() bool { return r.code/100 == 2 }

// text is the reply on one line, as the log and Diagnostic-Code show it.
func (r *reply) text() string {
	const most = 1000
	var b strings.Builder
	fmt.Fprintf(&b, "%d", r.code)
	if r.enhanced {
		b.WriteString(" " + r.status.String())
	}
	for _, l := range r.lines {
		if l == "" {
			continue
		}
		if b.Len()+len(l) > most {
			l = strings.ToValidUTF8(l[:max(0, most-b.Len())], "")
		}
		b.WriteString(" " + l)
		if b.Len() >= most {
			break
		}
	}
	return b.String()
}

// parser puts a reply together from its lines.
type parser struct {
	reply reply
	kept  int
}

// line takes the next line, without its line end; done says that it was the
// last. Lines must agree in the class of their codes, and the last one's code
// counts (RFC 5321 section 4.2.1 wants them equal; some servers differ in the
// last digit).
func (p *parser) line(l []byte) (done bool, err error) {
	code, last, text, ok := cutCode(l)
	if !ok || p.reply.code != 0 && p.reply.code/100 != code/100 {
		return false, errMalformed
	}
	first := p.reply.code == 0
	p.reply.code = code
	p.text(text, first)
	return last, nil
}

// cutCode splits "250-text" (RFC 5321 section 4.2). A bare "250" is a last
// line.
func cutCode(l []byte) (code int, last bool, text []byte, ok bool) {
	if len(l) < 3 || l[0] < '2' || l[0] > '5' || l[1] < '0' || l[1] > '9' || l[2] < '0' || l[2] > '9' {
		return 0, false, nil, false
	}
	code = int(l[0]-'0')*100 + int(l[1]-'0')*10 + int(l[2]-'0')
	if len(l) == 3 {
		return code, true, nil, true
	}
	if l[3] != ' ' && l[3] != '-' {
		return 0, false, nil, false
	}
	return code, l[3] == ' ', l[4:], true
}

func (p *parser) text(raw []byte, first bool) {
	text := clean(raw)
	class := p.reply.code / 100
	if s, rest, ok := dsn.Parse(text); ok && s.Class() == class {
		text = rest
		if first {
			p.reply.status, p.reply.enhanced = s, true
		}
	}
	if p.reply.status == 0 {
		p.reply.status = dsn.Make(class, 0, 0)
	}
	if p.kept+len(text) <= maxText {
		p.kept += len(text) + 1
		p.reply.lines = append(p.reply.lines, text)
	}
}

// clean makes text printable: it goes to the log and into reports.
func clean(raw []byte) string {
	return strings.TrimSpace(printable.UTF8(string(raw)))
}

// failure is the error that the reply means for a recipient or a session.
// host is the peer's name, doing what we had said.
func (r *reply) failure(host, doing string) *dsn.Error {
	status := r.status
	if c := r.code / 100; c != 4 && c != 5 {
		// A 2xx or 3xx where it makes no sense must not count as anything.
		status = protocolError
	}
	return &dsn.Error{
		Status:    status,
		Text:      fmt.Sprintf("Host %s said: %s (in reply to %s)", host, r.text(), doing),
		RemoteMTA: host, RemoteReply: r.text(),
	}
}

// The statuses that only this client gives.
const (
	protocolError dsn.Status = 4_005_000
	tlsNotOffered dsn.Status = 4_007_004
	tlsFailed     dsn.Status = 4_007_005
	loginRefused  dsn.Status = 4_007_008
	notConverted  dsn.Status = 5_006_003
)
