package sendmail

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"toastmaster/cmd/toastmaster/cli"
	"toastmaster/internal/envelope"
	"toastmaster/internal/maildrop"
)

// sendmailMode is what sendmail is asked to do.
type sendmailMode int

const (
	modeSubmit  sendmailMode = iota // a message, -bm; without one -bv
	modeSession                     // -bs: SMTP on standard input and output
	modeMailq                       // -bp
	modeFlush                       // -q
	modeAliases                     // -bi, -I
	modeDaemon                      // -bd, -bl
	modeNothing                     // -bh, -bH
)

// sendmailOptions is sendmail's command line.
type sendmailOptions struct {
	fromHeader bool   // -t: recipients are in the header, too
	ignoreDots bool   // -i, -oi: a line with a single dot does not end the message
	sender     string // -f
	senderSet  bool
	fullName   string // -F
	recipients []string
	mode       sendmailMode
	// flushID, flushSite and flush say that -qI, -qR and -q were given.
	flushID, flushSite string
	flush              bool
	// verify is -bv, verbose how often -v stands there.
	verify  bool
	verbose int
	// notify, ret and envID are -N, -R and -V, eightBit is -B 8BITMIME, remote -G.
	notify, ret, envID string
	eightBit, remote   bool
	aliases            string // -oA
}

// withValue are the options that have a value, attached or as the next argument; those of without have none,
// and may stand in one argument.
const (
	withValue = "ABCFLNORVXbefhoprq"
	without   = "GIUcimtvxn"
)

// parseSendmail reads the options that sendmail(1) of Postfix documents, as getopt(3) does. warn is said
// and is no error.
func parseSendmail(env *cli.Environment, args []string, warn io.Writer) (sendmailOptions, error) {
	var o sendmailOptions
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			o.recipients = append(o.recipients, args[i+1:]...)
			return o, o.conflicts()
		case a == "-q":
			o.flush = true
			continue
		case len(a) < 2 || a[0] != '-':
			o.recipients = append(o.recipients, a)
			continue
		case verp(a), a == "-V" && i+1 < len(args) && len(args[i+1]) == 2:
			return o, errors.New("option -XV, variable envelope return paths, is not there: a list server makes its own senders")
		}
		for at := 1; at < len(a); at++ {
			c := a[at]
			if strings.IndexByte(without, c) >= 0 {
				if err := o.set(c); err != nil {
					return o, err
				}
				continue
			}
			if strings.IndexByte(withValue, c) < 0 {
				return o, fmt.Errorf("invalid option -- '%c'; usage: sendmail [options] [recipient...], see `man sendmail`", c)
			}
			value := a[at+1:]
			if value == "" {
				if i++; i == len(args) {
					return o, fmt.Errorf("option requires an argument -- '%c'; usage: sendmail [options] [recipient...], see `man sendmail`", c)
				}
				value = args[i]
			}
			if c == 'q' && (value == "I" || value == "R") && i+1 < len(args) {
				i++
				value += args[i]
			}
			if err := o.setValue(env, c, value, warn); err != nil {
				return o, err
			}
			break
		}
	}
	return o, o.conflicts()
}

// verp says that it is -V with two characters, as older versions of Postfix had it, or -XV.
func verp(a string) bool {
	return strings.HasPrefix(a, "-XV") || strings.HasPrefix(a, "-V") && len(a) == 4
}

// set sets an option without a value. Those that ask for what is always so, or never, are taken and forgotten: scripts
// pass them.
func (o *sendmailOptions) set(c byte) error {
	switch c {
	case 't':
		o.fromHeader = true
	case 'i':
		o.ignoreDots = true
	case 'v':
		o.verbose++
	case 'G':
		o.remote = true
	case 'I':
		o.mode = modeAliases
	case 'n':
		return errors.New("-n option not supported")
	}
	return nil
}

// setValue sets an option with a value.
func (o *sendmailOptions) setValue(env *cli.Environment, c byte, value string, warn io.Writer) error {
	ignored := func(what string) { fmt.Fprintf(warn, "sendmail: warning: %s -- ignored\n", what) }
	switch c {
	case 'f', 'r':
		o.sender, o.senderSet = value, true
	case 'F':
		o.fullName = value
	case 'C':
		env.ConfigFile = value
	case 'B':
		switch value {
		case "8BITMIME":
			o.eightBit = true
		case "7BIT":
			o.eightBit = false
		default:
			return errors.New("-B option needs 8BITMIME or 7BIT")
		}
	case 'N':
		n, ok := envelope.ParseNotify(value)
		if o.notify = n.String(); !ok {
			ignored("bad -N option value")
		}
	case 'R':
		if _, ok := envelope.ParseReturn(value); ok {
			o.ret = strings.ToUpper(value)
		} else {
			ignored("bad -R option value")
		}
	case 'V':
		switch {
		case !envelope.IsEnvID(envelope.EncodeXtext(value)):
			ignored("too long -V option value")
		case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
			ignored("bad syntax in -V option value")
		default:
			o.envID = value
		}
	case 'X':
		return fmt.Errorf("unsupported: -X%c", value[0])
	case 'b':
		return o.setMode(value)
	case 'o':
		switch {
		case value == "A":
			return errors.New("-oA requires pathname")
		case value[0] == 'A':
			o.aliases = value[1:]
		case value[0] == 'i':
			o.ignoreDots = true
		}
	case 'q':
		return o.setQueueRun(value)
	}
	return nil
}

// setMode is -b.
func (o *sendmailOptions) setMode(value string) error {
	switch value[0] {
	case 'm':
		o.mode = modeSubmit
	case 's':
		o.mode = modeSession
	case 'p':
		o.mode = modeMailq
	case 'i':
		o.mode = modeAliases
	case 'd', 'l':
		o.mode = modeDaemon
	case 'h', 'H':
		o.mode = modeNothing
	case 'v':
		o.verify = true
	default:
		return fmt.Errorf("unsupported: -b%c", value[0])
	}
	return nil
}

// setQueueRun is -qIID and -qRSITE, a try of one message or of a destination's, and -qTIME, the time between
// runs, which is queue.run_delay's affair. The value of I and R may be the next argument.
func (o *sendmailOptions) setQueueRun(value string) error {
	switch {
	case value == "I":
		return errors.New("specify: -qIqueueid")
	case value == "R":
		return errors.New("specify: -qRsitename")
	case value[0] == 'I':
		o.flushID = value[1:]
	case value[0] == 'R':
		o.flushSite = value[1:]
	case value[0] == 'S':
		return errors.New("-qS is not implemented: `toastmaster queue flush --sender ADDRESS` has mail of a sender tried")
	case value[0] < '0' || value[0] > '9':
		return fmt.Errorf("-q%c is not implemented", value[0])
	}
	return nil
}

// conflicts are the options that may not be together.
func (o *sendmailOptions) conflicts() error {
	if o.flush && o.mode != modeDaemon {
		o.mode = modeFlush
	}
	delivers := o.mode == modeSubmit
	switch {
	case o.fromHeader && !delivers:
		return errors.New("-t can be used only in delivery mode")
	case o.flushSite != "" && !delivers:
		return errors.New("-qR can be used only in delivery mode")
	case o.flushID != "" && !delivers:
		return errors.New("-qI can be used only in delivery mode")
	case o.verify && o.fromHeader:
		return errors.New("-t option cannot be used with -bv")
	case o.verify && o.notify != "":
		return errors.New("-N option cannot be used with -bv")
	case o.verify && o.ret != "":
		return errors.New("-R option cannot be used with -bv")
	case o.verify && o.verbose == 1:
		return errors.New("-v option cannot be used with -bv")
	case len(o.recipients) == 0:
		return nil
	case o.flushSite != "":
		return errors.New("flush site requires no recipient")
	case o.flushID != "":
		return errors.New("flush queue_id requires no recipient")
	}
	what := map[sendmailMode]string{
		modeMailq: "display queue", modeFlush: "flush queue", modeAliases: "alias initialization", modeSession: "stand-alone", modeDaemon: "daemon",
	}[o.mode]
	if what != "" {
		return fmt.Errorf("%s mode requires no recipient", what)
	}
	return nil
}

// trace is the report that is asked for.
func (o *sendmailOptions) trace() maildrop.Trace {
	switch {
	case o.verify:
		return maildrop.TraceVerify
	case o.verbose == 1:
		return maildrop.TraceRecord
	}
	return maildrop.TraceNone
}
