package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"toastmaster/configs"
	"toastmaster/internal/addr"
)

// Exit codes of sysexits.h that callers of sendmail rely on.
const (
	exOK          = 0
	exUsage       = 64
	exNoUser      = 67
	exUnavailable = 69
	exTempFail    = 75
	exConfig      = 78
)

// submitTimeout bounds the whole submission: the caller waits.
const submitTimeout = 15 * time.Minute

var errTooLarge = errors.New("the message is larger than smtpd.message_size_limit")

// sendmailOptions is sendmail's command line as far as programs use it.
type sendmailOptions struct {
	fromHeader   bool   // -t: recipients are in the header, too
	ignoreDots   bool   // -i, -oi: a line with a single dot does not end the message
	sender       string // -f
	senderSet    bool
	fullName     string // -F
	recipients   []string
	wantsMailq   bool // -bp
	wantsNothing bool // -bi (newaliases)
}

// runSendmail reads a message and hands it to the instance's SMTP service over
// loopback. When that does not answer, the exit code is EX_TEMPFAIL and the
// caller keeps the message; nothing is kept here.
func runSendmail(ctx context.Context, env *environment, args []string) int {
	opts, err := parseSendmail(env, args)
	if err != nil {
		fmt.Fprintln(env.stderr, "sendmail:", err)
		return exUsage
	}
	switch {
	case opts.wantsMailq:
		return runMailq(ctx, env, nil)
	case opts.wantsNothing:
		return exOK
	}
	config, err := env.config()
	if err != nil {
		fmt.Fprintln(env.stderr, "sendmail:", err)
		return exConfig
	}
	hostname := config.Main.Hostname
	sender, err := opts.envelopeSender(hostname)
	if err != nil {
		fmt.Fprintf(env.stderr, "sendmail: -f %s: %v\n", opts.sender, err)
		return exUsage
	}
	message, recipients, err := readMessage(env.stdin, opts, sender, hostname, config.SMTPD.MessageSizeLimit)
	if err == nil {
		err = submit(ctx, config, sender, recipients, message)
	} else if !errors.Is(err, errTooLarge) {
		fmt.Fprintln(env.stderr, "sendmail:", err)
		return exUsage
	}
	if err != nil {
		fmt.Fprintln(env.stderr, "sendmail:", err)
	}
	return submitCode(err)
}

// submitCode is the exit code for the outcome of a submission.
func submitCode(err error) int {
	var reply *smtp.SMTPError
	switch {
	case err == nil:
		return exOK
	case errors.Is(err, errTooLarge):
		return exUnavailable
	case !errors.As(err, &reply) || reply.Code < 500:
		return exTempFail
	case reply.EnhancedCode[1] == 1: // addressing status (RFC 3463 section 3.2)
		return exNoUser
	}
	return exUnavailable
}

// parseSendmail reads the options that sendmail(1) of Postfix documents. Those
// that ask for something which is always so, or never, are accepted silently,
// because scripts pass them.
func parseSendmail(env *environment, args []string) (sendmailOptions, error) {
	var o sendmailOptions
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			o.recipients = append(o.recipients, args[i+1:]...)
			break
		}
		if len(a) < 2 || a[0] != '-' {
			o.recipients = append(o.recipients, a)
			continue
		}
		// An option with a value has it attached or as the next argument.
		value := func() (string, error) {
			if len(a) > 2 {
				return a[2:], nil
			}
			i++
			if i == len(args) {
				return "", fmt.Errorf("option -%c needs a value", a[1])
			}
			return args[i], nil
		}
		if err := o.set(env, a, value); err != nil {
			return o, err
		}
	}
	if !o.fromHeader && len(o.recipients) == 0 && !o.wantsMailq && !o.wantsNothing {
		return o, errors.New("no recipients: name some, or use -t")
	}
	return o, nil
}

func (o *sendmailOptions) set(env *environment, a string, value func() (string, error)) error {
	var err error
	switch a[1] {
	case 't':
		o.fromHeader = true
	case 'i':
		o.ignoreDots = true
	case 'o':
		// -oi is -i; -oX anything else is ignored, with its attached value.
		o.ignoreDots = o.ignoreDots || a == "-oi"
	case 'f', 'r':
		o.sender, err = value()
		o.senderSet = true
	case 'F':
		o.fullName, err = value()
	case 'C':
		env.configFile, err = value()
	case 'b':
		switch a {
		case "-bm":
		case "-bp":
			o.wantsMailq = true
		case "-bi", "-bI":
			o.wantsNothing = true
		default:
			return fmt.Errorf("mode %s is not supported", a)
		}
	case 'B', 'N', 'R', 'V', 'X', 'h', 'L':
		_, err = value()
	case 'G', 'n', 'v', 'e', 'U', 'm', 'q':
	default:
		return fmt.Errorf("unknown option %s", a)
	}
	return err
}

// readMessage reads the message and with -t collects the recipients; Bcc fields
// are removed. What else a header lacks, mta/cleanup adds for every client of
// a trusted network.
func readMessage(r io.Reader, o sendmailOptions, sender addr.Address, hostname string, limit int64) ([]byte, []addr.Address, error) {
	text, err := readText(r, o.ignoreDots, limit)
	if err != nil {
		return nil, nil, err
	}
	head, body := splitHeader(text)
	recipients, err := parseRecipients(o.recipients, hostname)
	if err != nil {
		return nil, nil, err
	}
	var kept bytes.Buffer
	hasFrom := false
	for _, field := range head {
		name := fieldName(field)
		hasFrom = hasFrom || name == "from"
		if o.fromHeader && (name == "to" || name == "cc" || name == "bcc") {
			more, err := headerRecipients(field, hostname)
			if err != nil {
				return nil, nil, err
			}
			recipients = append(recipients, more...)
		}
		if name != "bcc" {
			kept.Write(field)
		}
	}
	if len(recipients) == 0 {
		return nil, nil, errors.New("no recipients in the header")
	}
	if !hasFrom && o.fullName != "" && !sender.IsNull() {
		fmt.Fprintf(&kept, "From: %q %s\n", o.fullName, sender.Path())
	}
	kept.WriteByte('\n')
	kept.Write(body)
	return kept.Bytes(), recipients, nil
}

// envelopeSender is -f, where "" and "<>" are the null sender, or the calling
// user at this host.
func (o sendmailOptions) envelopeSender(hostname string) (addr.Address, error) {
	if o.senderSet {
		s := strings.TrimSuffix(strings.TrimPrefix(o.sender, "<"), ">")
		if s == "" {
			return addr.Address{}, nil
		}
		a, err := addr.Parse(s)
		return qualify(a, hostname), err
	}
	name := "unknown"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	return addr.Address{Local: name, Domain: hostname}, nil
}

// readText reads to the end of the input, or without -i to a line with a
// single dot, but no more than limit octets.
func readText(r io.Reader, ignoreDots bool, limit int64) ([]byte, error) {
	var out bytes.Buffer
	br := bufio.NewReader(r)
	for {
		line, err := br.ReadSlice('\n')
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return nil, err
		}
		if !ignoreDots && (string(line) == ".\n" || string(line) == ".\r\n") {
			return out.Bytes(), nil
		}
		if n := len(line); n > 1 && line[n-1] == '\n' && line[n-2] == '\r' {
			line[n-2] = '\n'
			line = line[:n-1]
		}
		out.Write(line)
		if int64(out.Len()) > limit {
			return nil, errTooLarge
		}
		if err == io.EOF {
			return out.Bytes(), nil
		}
	}
}

// splitHeader cuts the header into fields, each with its folded lines. A text
// that does not start with a field is all body.
func splitHeader(text []byte) (fields [][]byte, body []byte) {
	for len(text) > 0 {
		_, rest, _ := bytes.Cut(text, []byte("\n"))
		line := text[:len(text)-len(rest)]
		switch {
		case len(bytes.TrimRight(line, "\n")) == 0:
			return fields, rest
		case (line[0] == ' ' || line[0] == '\t') && len(fields) > 0:
			last := len(fields) - 1
			fields[last] = append(fields[last][:len(fields[last]):len(fields[last])], line...)
		case fieldName(line) == "":
			return fields, text
		default:
			fields = append(fields, line)
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

func submit(ctx context.Context, c *configs.Config, sender addr.Address, recipients []addr.Address, message []byte) error {
	address := localSMTP(c)
	if address == "" {
		return errors.New("smtpd.listen has no TCP address")
	}
	var dialer net.Dialer
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("the mail system does not answer: %w", err)
	}
	client := smtp.NewClient(conn)
	defer client.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	if err := client.Hello(host); err != nil {
		return err
	}
	if err := client.Mail(sender.String(), nil); err != nil {
		return err
	}
	for _, r := range recipients {
		if err := client.Rcpt(r.String(), nil); err != nil {
			return fmt.Errorf("%s: %w", r, err)
		}
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return client.Quit()
}
