package bounce

import (
	"strings"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/printable"
	"toastmaster/mta/agent"
)

// status writes the part for programs (RFC 3464; RFC 6533 section 4 for the
// internationalised form).
func (w *writer) status() {
	kind := "message/delivery-status"
	if w.utf8 {
		kind = "message/global-delivery-status"
	}
	w.part(kind, "Delivery report", w.utf8)
	e := w.report.Envelope
	w.field("Reporting-MTA", "dns; "+w.g.hostname)
	if id := w.printable(decodeXtext(e.EnvID)); id != "" {
		w.field("Original-Envelope-Id", id)
	}
	w.field("X-Queue-ID", string(e.ID))
	w.field("Arrival-Date", e.Arrived.Format(time.RFC1123Z))
	for _, r := range w.about {
		w.printf("\n")
		w.recipient(r)
	}
}

func (w *writer) recipient(r agent.ReportRecipient) {
	to := &w.report.Envelope.Recipients[r.Recipient]
	if o := w.originalRecipient(to.ORcpt, to.Original, to.Address); o != "" {
		w.field("Original-Recipient", o)
	}
	w.field("Final-Recipient", w.typed(to.Address))
	w.field("Action", w.action(r))
	w.field("Status", w.code(r).String())
	if r.Err != nil && r.Err.RemoteMTA != "" {
		w.field("Remote-MTA", "dns; "+w.printable(r.Err.RemoteMTA))
	}
	switch {
	case r.Err == nil:
	case r.Err.RemoteReply != "":
		w.field("Diagnostic-Code", "smtp; "+w.printable(r.Err.RemoteReply))
	default:
		w.field("Diagnostic-Code", "X-Toastmaster; "+w.printable(r.Err.Text))
	}
	if !r.At.IsZero() {
		w.field("Last-Attempt-Date", r.At.Format(time.RFC1123Z))
	}
	if w.report.Kind == agent.Delay && !w.report.RetryUntil.IsZero() {
		w.field("Will-Retry-Until", w.report.RetryUntil.Format(time.RFC1123Z))
	}
}

func (w *writer) action(r agent.ReportRecipient) string {
	switch {
	case w.report.Kind == agent.Delay:
		return "delayed"
	case w.report.Kind == agent.Verified && r.Err == nil:
		return "deliverable"
	case w.report.Kind == agent.Verified && r.Err.Temporary():
		return "delayed"
	case w.report.Kind == agent.Verified:
		return "undeliverable"
	case w.report.Kind != agent.Success:
	case r.Action == agent.Relayed, r.Action == agent.Expanded:
		return string(r.Action)
	default:
		return "delivered"
	}
	return "failed"
}

// code is the Status field. A failure must not carry a success and not be
// empty.
func (w *writer) code(r agent.ReportRecipient) dsn.Status {
	switch {
	case r.Err != nil && r.Err.Status != 0:
		return r.Err.Status
	case r.Err != nil:
		return dsn.MailSystem
	case r.Status != 0:
		return r.Status
	}
	return dsn.OK
}

// typed is an address with its type: "rfc822" for ASCII, "utf-8" otherwise.
func (w *writer) typed(a addr.Address) string {
	if a.IsASCII() {
		return "rfc822; " + a.String()
	}
	return "utf-8; " + w.printable(a.String())
}

// originalRecipient is what ORCPT said (RFC 3461 section 6.3 d), or the
// address of RCPT TO when aliases have changed it.
func (w *writer) originalRecipient(orcpt string, original, final addr.Address) string {
	if kind, value, ok := strings.Cut(orcpt, ";"); ok {
		return w.printable(kind) + "; " + w.printable(decodeXtext(value))
	}
	if original != final && !original.IsNull() {
		return w.typed(original)
	}
	return ""
}

// field writes a field, folded before a word that would make the line longer
// than 78 octets; a word that is longer than a line may be (RFC 5322 section
// 2.1.1) is cut.
func (w *writer) field(name, value string) {
	const width, most = 78, 900
	w.b.WriteString(name + ":")
	length := len(name) + 1
	for word := range strings.FieldsSeq(value) {
		if len(word) > most {
			word = strings.ToValidUTF8(word[:most], "")
		}
		if length+1+len(word) > width && length > len(name)+1 {
			w.b.WriteString("\n   ")
			length = 3
		}
		w.b.WriteString(" " + word)
		length += 1 + len(word)
	}
	w.b.WriteByte('\n')
}

// printable makes text that came from outside harmless: no line ends and
// other controls, and only ASCII unless the report is internationalised.
func (w *writer) printable(s string) string {
	if w.utf8 {
		return printable.UTF8(s)
	}
	return printable.ASCII(s)
}

// decodeXtext decodes what some client once sent; what is no xtext stays as it
// is.
func decodeXtext(s string) string {
	if text, ok := envelope.DecodeXtext(s); ok {
		return text
	}
	return s
}
