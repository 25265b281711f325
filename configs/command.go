package configs

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"toastmaster/internal/macro"
)

// Command are the parameters of a transport whose agent is pipe: the attributes that
// pipe(8) has in master.cf.
type Command struct {
	User       string
	Argv       []string
	Flags      string
	Directory  string
	EOL        string
	NullSender string
	// MessageSize is 0 for no limit.
	MessageSize int64
	TimeLimit   time.Duration
}

func (c *Command) params() []Param {
	return []Param{
		String("transport.user", &c.User, "", "user, user:group, or their numbers", nil,
			"Who runs the command; not root. A server that is not root's runs commands as itself alone, and mail for others waits.").of("pipe").must(),
		List("transport.argv", &c.Argv, nil, "a program, and its arguments", checkArgument,
			"The command, without a shell: the program, then one item for each argument, which may have the macros of pipe(8), such as ${recipient}.").of("pipe").must(),
		String("transport.flags", &c.Flags, "", "letters of "+pipeFlags, checkFlags,
			"How the message is written, and what the macros become, as flags= of pipe(8). B: an empty line behind it. D, O, R: Delivered-To, X-Original-To, Return-Path before it. F: a line \"From sender date\". X: the command delivers, and does not relay. h, u: lower case of domains, of local parts. q: addresses are quoted. \".\", \">\": one more dot before a dot, > before \"From \".").of("pipe"),
		String("transport.directory", &c.Directory, "/", "a folder", checkDirectory, "Where the command starts. Its user must be able to enter it.").of("pipe"),
		String("transport.eol", &c.EOL, `\n`, `characters, and \n \r \t and the like`, checkEscapes, `What ends a line of the message: \n or \r\n.`).of("pipe"),
		String("transport.null_sender", &c.NullSender, "MAILER-DAEMON", "an address, or empty", checkLine,
			"What ${sender}, the line From and Return-Path have for the null sender. Empty is nothing.").of("pipe"),
		Size("transport.size", &c.MessageSize, 0, 0, 1<<40, "The largest message that the command gets; larger ones go back. Zero is no limit.").of("pipe"),
		Duration("transport.time_limit", &c.TimeLimit, 1000*time.Second, time.Second, 24*time.Hour,
			"How long the command may take, with all that it starts. Then they are killed, and the message goes back (5.3.0), as with Postfix.").Also("command_time_limit", "transport_time_limit").of("pipe"),
	}
}

const pipeFlags = "BDFORXhqu.>"

func checkFlags(s string) error {
	if strings.Trim(s, pipeFlags) != "" {
		return fmt.Errorf("%q has a letter that is no flag", s)
	}
	return nil
}

func checkDirectory(s string) error {
	if !strings.HasPrefix(s, "/") || strings.ContainsRune(s, 0) {
		return fmt.Errorf("%q is no path from the root", s)
	}
	return nil
}

// PipeMacros are the macros of pipe(8).
func PipeMacros() []string {
	return []string{
		"sender", "recipient", "original_recipient", "user", "extension", "mailbox", "domain", "nexthop", "queue_id", "size",
		"client_address", "client_helo", "client_hostname", "client_port", "client_protocol", "sasl_method", "sasl_sender", "sasl_username",
	}
}

func checkArgument(s string) error {
	if strings.ContainsRune(s, 0) {
		return fmt.Errorf("%q is no argument", s)
	}
	_, err := macro.Parse(s, PipeMacros())
	return err
}

func checkEscapes(s string) error {
	_, err := Unescape(s)
	return err
}

// Unescape reads a text with C's backslashes: \a \b \f \n \r \t \v \\ and up to three octal digits.
func Unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		digits := 0
		for digits < 3 && i+1+digits < len(s) && s[i+1+digits] >= '0' && s[i+1+digits] <= '7' {
			digits++
		}
		if digits > 0 {
			n, err := strconv.ParseUint(s[i+1:i+1+digits], 8, 8)
			if err != nil {
				return "", fmt.Errorf("%q is no octet", s[i:i+1+digits])
			}
			b.WriteByte(byte(n))
			i += digits
			continue
		}
		if i++; i == len(s) {
			return "", fmt.Errorf("%q ends with a backslash", s)
		}
		at := strings.IndexByte(`abfnrtv\`, s[i])
		if at < 0 {
			return "", fmt.Errorf(`\%c is none of \a \b \f \n \r \t \v \\ and octal digits`, s[i])
		}
		b.WriteByte("\a\b\f\n\r\t\v\\"[at])
	}
	return b.String(), nil
}
