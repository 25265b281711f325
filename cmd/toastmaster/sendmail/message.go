package sendmail

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"

	"toastmaster/internal/addr"
	"toastmaster/internal/maildrop"
	"toastmaster/internal/smtpserver"
)

// errTooLarge is a message beyond the limit of the service.
var errTooLarge = errors.New("message file too big (smtpd.message_size_limit)")

// postfixWords are an error in the words of Postfix, which may begin with a capital.
type postfixWords string

// Error implements error.
func (w postfixWords) Error() string { return string(w) }

// letter is a message as it is handed in.
type letter struct {
	said maildrop.Message
	text []byte
}

// read reads the message, and the recipients with -t; Bcc fields are removed. What else a header lacks,
// mta/cleanup adds.
func (o *sendmailOptions) read(in io.Reader, getenv func(string) string, limit int64) (*letter, error) {
	l := &letter{said: maildrop.Message{
		Own: !o.senderSet, Notify: o.notify, Return: o.ret, EnvID: o.envID, EightBit: o.eightBit, Remote: o.remote, Trace: o.trace(),
	}}
	var err error
	if l.said.Sender, err = o.envelopeSender(); err != nil {
		return nil, &badMessage{err}
	}
	recipients, err := parseRecipients(o.recipients)
	if err != nil {
		return nil, &badMessage{err}
	}
	if !o.fromHeader && len(recipients) == 0 {
		return nil, &badMessage{postfixWords("Recipient addresses must be specified on the command line or via the -t option")}
	}
	if !o.verify {
		text, err := readText(in, o.ignoreDots, limit)
		if err != nil {
			return nil, err
		}
		h, err := readHeader(afterMailboxLines(text), o.fromHeader)
		if err != nil {
			return nil, &badMessage{err}
		}
		recipients = append(recipients, h.recipients...)
		if !h.from {
			l.said.FullName = o.name(getenv)
		}
		l.text = h.text
	}
	if len(recipients) == 0 {
		return nil, &badMessage{postfixWords("No recipient addresses found in message header")}
	}
	for _, r := range recipients {
		l.said.Recipients = append(l.said.Recipients, maildrop.Recipient{Address: r.String()})
	}
	return l, nil
}

// envelopeSender is -f as it travels: "" for the null sender.
func (o *sendmailOptions) envelopeSender() (string, error) {
	s := strings.TrimSpace(o.sender)
	if open := strings.LastIndexByte(s, '<'); open >= 0 && strings.HasSuffix(s, ">") {
		s = s[open+1 : len(s)-1] // "Name <address>", as programs write it
	}
	if s == "" {
		return "", nil
	}
	a, err := addr.Parse(s)
	return a.String(), err
}

// name is the full name of the sender: -F, else NAME, else that of the system's list of users.
func (o *sendmailOptions) name(getenv func(string) string) string {
	if o.fullName != "" {
		return o.fullName
	}
	if name := getenv("NAME"); name != "" {
		return name
	}
	u, err := user.LookupId(strconv.Itoa(os.Getuid()))
	if err != nil {
		return ""
	}
	name, _, _ := strings.Cut(u.Name, ",")
	if login := u.Username; strings.Contains(name, "&") && login != "" {
		name = strings.ReplaceAll(name, "&", strings.ToUpper(login[:1])+login[1:])
	}
	return name
}

// parsedHeader is what a header says.
type parsedHeader struct {
	text       []byte // the message without Bcc fields
	from       bool
	recipients []addr.Address
}

// readHeader reads the header of a message, and with collect the recipients: those of Resent- fields when there
// are any, else of To, Cc and Bcc.
func readHeader(text []byte, collect bool) (parsedHeader, error) {
	head, body := splitHeader(text)
	var h parsedHeader
	var kept bytes.Buffer
	var plain, resent []addr.Address
	again := false
	for _, field := range head {
		name := fieldName(field)
		h.from = h.from || name == "from"
		short, isResent := strings.CutPrefix(name, "resent-")
		again = again || isResent
		if collect && (short == "to" || short == "cc" || short == "bcc") {
			more, err := headerRecipients(field)
			if err != nil {
				return h, err
			}
			if isResent {
				resent = append(resent, more...)
			} else {
				plain = append(plain, more...)
			}
		}
		if short != "bcc" {
			kept.Write(field)
		}
	}
	if h.recipients = plain; again {
		h.recipients = resent
	}
	kept.WriteByte('\n')
	kept.Write(body)
	h.text = kept.Bytes()
	return h, nil
}

// readText reads to the end of the input, or without -i to a line with a
// single dot, but no more than limit octets. Line ends become LF.
func readText(r io.Reader, ignoreDots bool, limit int64) ([]byte, error) {
	var out bytes.Buffer
	br := bufio.NewReader(r)
	for begins := true; ; {
		// A long line comes in pieces; only what begins one is a dot alone.
		line, err := br.ReadSlice('\n')
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return nil, &readError{err}
		}
		if !ignoreDots && begins && (string(line) == ".\n" || string(line) == ".\r\n") {
			return out.Bytes(), nil
		}
		switch n := len(line); {
		case n > 1 && line[n-1] == '\n' && line[n-2] == '\r':
			line[n-2] = '\n'
			line = line[:n-1]
		case n == 1 && line[0] == '\n' && !begins && bytes.HasSuffix(out.Bytes(), []byte("\r")):
			out.Truncate(out.Len() - 1)
		}
		begins = bytes.HasSuffix(line, []byte("\n"))
		out.Write(line)
		if int64(out.Len()) > limit {
			return nil, errTooLarge
		}
		if err == io.EOF {
			return out.Bytes(), nil
		}
	}
}

// afterMailboxLines drops the separator lines of an mbox at the very beginning,
// as sendmail(1) of Postfix does.
func afterMailboxLines(text []byte) []byte {
	for {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		if !smtpserver.MailboxLine(line) {
			return text
		}
		text = rest
	}
}

// splitHeader cuts the header into fields, each with its folded lines. A text
// that does not start with a field is all body.
func splitHeader(text []byte) (fields [][]byte, body []byte) {
	whole, start := text, 0 // of the present field
	for len(text) > 0 {
		_, rest, _ := bytes.Cut(text, []byte("\n"))
		line := text[:len(text)-len(rest)]
		end := len(whole) - len(rest)
		switch {
		case len(bytes.TrimRight(line, "\n")) == 0:
			return fields, rest
		case (line[0] == ' ' || line[0] == '\t') && len(fields) > 0:
			fields[len(fields)-1] = whole[start:end:end]
		case fieldName(line) == "":
			return fields, text
		default:
			start = end - len(line)
			fields = append(fields, whole[start:end:end])
		}
		text = rest
	}
	return fields, nil
}

// fieldName is the lower-case name of a header field, "" when it is none.
func fieldName(field []byte) string {
	name, _, ok := bytes.Cut(field, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t\n") {
		return ""
	}
	return strings.ToLower(string(name))
}

// readError is one of the caller's end of standard input.
type readError struct{ error }

// Error implements error.
func (e *readError) Error() string { return "error reading input: " + e.error.Error() }

func (e *readError) Unwrap() error { return e.error }
