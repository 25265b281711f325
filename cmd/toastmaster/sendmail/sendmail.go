package sendmail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/user"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"toastmaster/cmd/toastmaster/cli"
	"toastmaster/internal/addr"
	"toastmaster/internal/smtpserver"
)

// Exit codes of sysexits.h that callers of sendmail rely on.
const (
	ExOK          = 0
	ExUsage       = 64
	ExNoUser      = 67
	ExUnavailable = 69
	ExTempFail    = 75
	ExNoPerm      = 77
	ExConfig      = 78
)

// submitTimeout bounds the whole submission: the caller waits.
const submitTimeout = 15 * time.Minute

var errTooLarge = errors.New("the message is larger than smtpd.message_size_limit")

// sendmailMode is what sendmail is asked to do.
type sendmailMode int

const (
	modeSubmit  sendmailMode = iota // a message, -bm
	modeSession                     // -bs: SMTP on standard input and output
	modeMailq                       // -bp
	modeFlush                       // -q, -qI, -qR
	modeNothing                     // -bi (newaliases)
)

// sendmailOptions is sendmail's command line as far as programs use it.
type sendmailOptions struct {
	fromHeader bool   // -t: recipients are in the header, too
	ignoreDots bool   // -i, -oi: a line with a single dot does not end the message
	sender     string // -f
	senderSet  bool
	fullName   string // -F
	recipients []string
	mode       sendmailMode
	// What modeFlush is about: a message, a destination, or all.
	flushID, flushSite string
}

// Run reads a message and hands it to the SMTP service of this host
// (findMailSystem), or acts on the queue. When the service does not
// answer, the exit code is EX_TEMPFAIL and the caller keeps the message; nothing
// is kept here.
func Run(ctx context.Context, env *cli.Environment, args []string) int {
	opts, err := parseSendmail(env, args)
	if err != nil {
		fmt.Fprintln(env.Stderr, "sendmail:", err)
		return ExUsage
	}
	switch opts.mode {
	case modeNothing:
		return Newaliases(ctx, env, nil)
	case modeMailq:
		return runQueue(ctx, env, "queue", "list")
	case modeFlush:
		switch {
		case opts.flushID != "":
			return runQueue(ctx, env, "postqueue", "-i", opts.flushID)
		case opts.flushSite != "":
			return runQueue(ctx, env, "postqueue", "-s", opts.flushSite)
		}
		return runQueue(ctx, env, "queue", "flush")
	}
	system, err := findMailSystem(env)
	if err != nil {
		fmt.Fprintln(env.Stderr, "sendmail:", err)
		return ExConfig
	}
	if opts.mode == modeSession {
		err = system.session(ctx, env.Stdin, env.Stdout)
	} else {
		err = opts.submit(ctx, env.Stdin, system)
	}
	if err != nil {
		fmt.Fprintln(env.Stderr, "sendmail:", err)
	}
	return submitCode(err)
}

// badMessage is a message or a command line that nobody can submit.
type badMessage struct{ error }

func (e *badMessage) Unwrap() error { return e.error }

// submit reads the message and hands it over.
func (o sendmailOptions) submit(ctx context.Context, in io.Reader, system mailSystem) error {
	sender, err := o.envelopeSender(system.hostname)
	if err != nil {
		return &badMessage{fmt.Errorf("-f %s: %w", o.sender, err)}
	}
	message, recipients, err := readMessage(in, o, sender, system.hostname, system.limit)
	if errors.Is(err, errTooLarge) {
		return err
	}
	if err != nil {
		return &badMessage{err}
	}
	return system.submit(ctx, sender, recipients, message)
}

// runQueue is a command about the queue with the exit codes of sysexits.h.
func runQueue(ctx context.Context, env *cli.Environment, command ...string) int {
	if _, err := env.Config(); errors.Is(err, fs.ErrPermission) {
		fmt.Fprintln(env.Stderr, "sendmail: the queue is for who may read the configuration:", err)
		return ExNoPerm
	} else if err != nil {
		fmt.Fprintln(env.Stderr, "sendmail:", err)
		return ExConfig
	}
	switch cli.Run(ctx, env, command) {
	case 0:
		return ExOK
	case 2:
		return ExConfig
	}
	return ExUnavailable
}

// submitCode is the exit code for the outcome of a submission.
func submitCode(err error) int {
	var reply *smtp.SMTPError
	var wrong *badMessage
	switch {
	case err == nil:
		return ExOK
	case errors.As(err, &wrong):
		return ExUsage
	case errors.Is(err, errTooLarge):
		return ExUnavailable
	case !errors.As(err, &reply) || reply.Code < 500:
		return ExTempFail
	case reply.EnhancedCode[1] == 1: // addressing status (RFC 3463 section 3.2)
		return ExNoUser
	}
	return ExUnavailable
}

// parseSendmail reads the options that sendmail(1) of Postfix documents. Those
// that ask for something which is always so, or never, are accepted silently,
// because scripts pass them.
func parseSendmail(env *cli.Environment, args []string) (sendmailOptions, error) {
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
		// An option with a value has it attached, from an octet on, or as the next argument.
		value := func(from int) (string, error) {
			if len(a) > from {
				return a[from:], nil
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
	if o.mode == modeSubmit && !o.fromHeader && len(o.recipients) == 0 {
		return o, errors.New("no recipients: name some, or use -t")
	}
	return o, nil
}

func (o *sendmailOptions) set(env *cli.Environment, a string, value func(from int) (string, error)) error {
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
		o.sender, err = value(2)
		o.senderSet = true
	case 'F':
		o.fullName, err = value(2)
	case 'C':
		env.ConfigFile, err = value(2)
	case 'b':
		switch a {
		case "-bm":
			o.mode = modeSubmit
		case "-bs":
			o.mode = modeSession
		case "-bp":
			o.mode = modeMailq
		case "-bi", "-bI":
			o.mode = modeNothing
		default:
			return fmt.Errorf("mode %s is not supported", a)
		}
	case 'B', 'N', 'R', 'V', 'X', 'h', 'L':
		_, err = value(2)
	case 'q':
		return o.setQueueRun(a, value)
	case 'G', 'n', 'v', 'e', 'U', 'm':
	default:
		return fmt.Errorf("unknown option %s", a)
	}
	return err
}

// setQueueRun reads -q, a run of the queue, -qIID and -qRSITE, a try of one message or of a
// destination's, and -qTIME, the time between runs, which is queue.run_delay's affair. The value of
// I and R may be the next argument.
func (o *sendmailOptions) setQueueRun(a string, value func(from int) (string, error)) (err error) {
	switch {
	case a == "-q":
		o.mode = modeFlush
	case a[2] == 'I':
		o.mode = modeFlush
		o.flushID, err = value(3)
		return err
	case a[2] == 'R':
		o.mode = modeFlush
		o.flushSite, err = value(3)
		return err
	case a[2] == 'S':
		return errors.New("option -qS, a run for a sender, is not there, as in Postfix: `toastmaster queue flush --sender ADDRESS` does it")
	case a[2] < '0' || a[2] > '9':
		return fmt.Errorf("option %s is not supported, see `toastmaster queue flush --help`", a)
	}
	return nil
}

// readMessage reads the message and with -t collects the recipients; Bcc fields
// are removed. What else a header lacks, mta/cleanup adds for every client of
// a trusted network.
func readMessage(r io.Reader, o sendmailOptions, sender addr.Address, hostname string, limit int64) ([]byte, []addr.Address, error) {
	text, err := readText(r, o.ignoreDots, limit)
	if err != nil {
		return nil, nil, err
	}
	head, body := splitHeader(afterMailboxLines(text))
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
// single dot, but no more than limit octets. Line ends become LF.
func readText(r io.Reader, ignoreDots bool, limit int64) ([]byte, error) {
	var out bytes.Buffer
	br := bufio.NewReader(r)
	for begins := true; ; {
		// A long line comes in pieces; only what begins one is a dot alone.
		line, err := br.ReadSlice('\n')
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return nil, err
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

// submit hands a message over. The error is a *smtp.SMTPError when the service
// said no.
func (m mailSystem) submit(ctx context.Context, sender addr.Address, recipients []addr.Address, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	conn, err := m.dial(ctx)
	if err != nil {
		return err
	}
	client := smtp.NewClient(conn)
	defer client.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := client.Hello(clientName()); err != nil {
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
