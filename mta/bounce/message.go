package bounce

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/mime"
	"toastmaster/mta/agent"
)

// writer makes the text of one report, with LF line ends.
type writer struct {
	g           *Generator
	report      *agent.Report
	about       []agent.ReportRecipient
	to          addr.Address
	headersOnly bool
	// notice: it is a copy for the postmaster.
	notice bool
	// own: there is a template of the operator.
	own      bool
	template template
	now      time.Time

	utf8     bool // RFC 6533 forms
	eightBit bool
	b        bytes.Buffer
	boundary string
	original original
}

// message returns the whole report.
func (w *writer) message() []byte {
	w.original = w.readOriginal()
	w.utf8 = w.report.Envelope.UTF8 && w.original.eightBitHeader || !w.addressesASCII()
	w.eightBit = w.utf8 || w.original.eightBit || w.template.eight
	// The queue ID never repeats on this host, and the original cannot know
	// the time of its report.
	w.boundary = fmt.Sprintf("%s/%d", w.report.Envelope.ID, w.now.UnixNano())
	w.header()
	w.people()
	w.status()
	w.returned()
	w.printf("\n--%s--\n", w.boundary)
	return w.b.Bytes()
}

func (w *writer) printf(format string, args ...any) { fmt.Fprintf(&w.b, format, args...) }

func (w *writer) addressesASCII() bool {
	e := w.report.Envelope
	ascii := e.Sender.IsASCII() && w.to.IsASCII()
	for _, r := range w.about {
		to := &e.Recipients[r.Recipient]
		ascii = ascii && to.Address.IsASCII() && to.Original.IsASCII()
	}
	return ascii
}

// subjects are Postfix's, which users and filters know.
func (w *writer) subject() string {
	switch {
	case w.own && w.notice:
		return w.template.postmasterSubject
	case w.own:
		return w.template.subject
	}
	switch w.report.Kind {
	case agent.Delay:
		return "Delayed Mail (still being retried)"
	case agent.Success:
		return "Successful Mail Delivery Report"
	case agent.Verified:
		return "Mail Delivery Status Report"
	}
	return "Undelivered Mail Returned to Sender"
}

func (w *writer) header() {
	id := w.report.Envelope.ID
	w.printf("Date: %s\n", w.now.Format(time.RFC1123Z))
	if w.own {
		w.printf("From: %s\n", w.template.from)
	} else {
		w.printf("From: Mail Delivery System <MAILER-DAEMON@%s>\n", w.g.hostname)
	}
	w.printf("To: %s\n", w.to)
	w.printf("Subject: %s\n", w.subject())
	w.printf("Message-ID: <%s.%d.%s@%s>\n", id, w.now.UnixNano(), w.report.Kind, w.g.hostname)
	if w.original.messageID != "" {
		w.printf("In-Reply-To: %s\nReferences: %s\n", w.original.messageID, w.original.messageID)
	}
	w.printf("Auto-Submitted: auto-replied\nMIME-Version: 1.0\n")
	w.printf("Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=%q\n", w.boundary)
	if w.eightBit {
		w.printf("Content-Transfer-Encoding: 8bit\n")
	}
	w.printf("\nThis is a MIME-encapsulated message.\n")
}

// part begins a part.
func (w *writer) part(contentType, description string, eightBit bool) {
	w.printf("\n--%s\nContent-Description: %s\nContent-Type: %s\n", w.boundary, description, contentType)
	if eightBit {
		w.printf("Content-Transfer-Encoding: 8bit\n")
	}
	w.printf("\n")
}

// people writes the part for people.
func (w *writer) people() {
	charset := "us-ascii"
	if w.utf8 || w.template.eight {
		charset = "utf-8"
	}
	w.part("text/plain; charset="+charset, "Notification", w.utf8 || w.template.eight)
	if w.own {
		w.b.WriteString(w.template.text)
	} else {
		w.introduce()
	}
	for _, r := range w.about {
		w.explain(r)
	}
}

// introduce is what we say where the operator says nothing else.
func (w *writer) introduce() {
	w.printf("This is the mail system at host %s.\n\n", w.g.hostname)
	switch w.report.Kind {
	case agent.Failure:
		w.printf("Your message could not be delivered to the recipients below. They have\n" +
			"not received it, and it will not be tried again.\n\n" +
			"If you need help, please send mail to postmaster, with this report.\n")
	case agent.Delay:
		w.printf("Your message could not be delivered yet. YOU DO NOT NEED TO SEND IT\nAGAIN: ")
		w.printf("it will be tried until %s.\n", w.report.RetryUntil.Format(time.RFC1123Z))
	case agent.Verified:
		w.printf("This is the report that you asked for. Nothing was delivered.\n")
	case agent.Success:
		w.printf("Your message was delivered to the recipients below. A recipient marked\n" +
			"as relayed is served by a system that sends no such reports; there may\n" +
			"be none from there. One marked as an expanded alias stands for several\n" +
			"addresses, to which it was sent on; they report no success of their own.\n")
	}
}

// explain writes what happened to one recipient.
func (w *writer) explain(r agent.ReportRecipient) {
	to := &w.report.Envelope.Recipients[r.Recipient]
	name := w.printable(to.Address.Path())
	if to.Original != to.Address && !to.Original.IsNull() {
		name += " (you wrote to " + w.printable(to.Original.Path()) + ")"
	}
	text := r.Text
	switch {
	case r.Err != nil:
		text = r.Err.Text
	case r.Action == agent.Relayed:
		text = "relayed: " + text
	}
	w.printf("\n%s\n", wrap(name+": "+w.printable(text), 4))
}

// wrap breaks a text at spaces into lines of up to 72 octets, continuation
// lines indented. A longer word stays whole.
func wrap(text string, indent int) string {
	const width = 72
	var b strings.Builder
	length := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case length == 0:
		case length+1+len(word) > width:
			b.WriteByte('\n')
			b.WriteString(strings.Repeat(" ", indent))
			length = indent
		default:
			b.WriteByte(' ')
			length++
		}
		b.WriteString(word)
		length += len(word)
	}
	return b.String()
}

// returned writes the third part: the message or its header.
func (w *writer) returned() {
	if w.report.Kind == agent.Verified {
		return // there was none
	}
	o := &w.original
	whole := o.whole
	kind := "text/rfc822-headers"
	switch {
	case whole && w.utf8:
		kind = "message/global"
	case whole:
		kind = "message/rfc822"
	case w.utf8:
		kind = "message/global-headers"
	}
	description := "Undelivered Message"
	switch {
	case w.report.Kind == agent.Delay:
		description = "Delayed Message"
	case w.report.Kind == agent.Success:
		description = "Delivered Message"
	}
	if !whole {
		description += " Headers"
	}
	w.part(kind, description, o.eightBit)
	w.b.Write(o.text)
}

// original is what is returned of the message.
type original struct {
	text           []byte
	whole          bool
	eightBit       bool
	eightBitHeader bool
	messageID      string
}

// readOriginal reads the message when it is to be returned whole, otherwise
// its header as far as the limit goes. A message that cannot be read is not
// returned; a report without it is better than none.
func (w *writer) readOriginal() original {
	c := w.report.Content
	if c == nil {
		return original{}
	}
	limit := w.g.config.SizeLimit
	o := original{whole: !w.headersOnly && c.Size() <= limit}
	text := make([]byte, min(c.Size(), max(limit, minHeader)))
	n, err := c.ReadAt(text, 0)
	if n < len(text) {
		o.whole = false
		w.g.log.Error("report returns less than the message", "id", w.report.Envelope.ID, "cause", err)
	}
	text = text[:n]
	header := cutHeader(text)
	o.messageID = messageID(header)
	o.eightBitHeader = mime.Has8Bit(header)
	o.text = text
	if !o.whole {
		o.text = header
	}
	o.eightBit = mime.Has8Bit(o.text)
	return o
}

// minHeader is how much of a header is returned whatever the size limit.
const minHeader = 16 << 10

// cutHeader returns the header of a message of which text is the beginning,
// with whole lines only.
func cutHeader(text []byte) []byte {
	if bytes.HasPrefix(text, []byte("\n")) {
		return nil
	}
	if i := bytes.Index(text, []byte("\n\n")); i >= 0 {
		return text[:i+1]
	}
	return text[:bytes.LastIndexByte(text, '\n')+1]
}

// messageID is the Message-ID for In-Reply-To, "" when it is none that could
// stand in a header of ours.
func messageID(header []byte) string {
	for line := range bytes.Lines(header) {
		const name = "message-id:"
		if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
			continue
		}
		id := string(bytes.TrimSpace(line[len(name):]))
		if len(id) < 3 || len(id) > 900 || id[0] != '<' || id[len(id)-1] != '>' {
			return ""
		}
		for i := range len(id) {
			if id[i] <= ' ' || id[i] >= 0x7f {
				return ""
			}
		}
		return id
	}
	return ""
}
