package configs

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Milter is the section [milter]: what all mail filters share.
type Milter struct {
	MilterSettings
	ProgressTimeout time.Duration
	MaxIdle         time.Duration
	RetryDelay      time.Duration
	MaxConnections  int
	ChangeLimit     int64
	MacroDaemonName string
	MacroV          string
	MacroDefaults   []string
	HeaderChecks    []string
	// Macros are the names that a filter gets at each stage when it asks for none.
	Macros MilterMacros
}

// MilterSettings may be another one's for each filter.
type MilterSettings struct {
	ConnectTimeout, CommandTimeout, ContentTimeout time.Duration
	DefaultAction                                  MilterAction
	// Protocol is "6", or a lower version, with no_header_reply beside it or not.
	Protocol string
}

// MilterMacros are lists of names.
type MilterMacros struct {
	Connect, Helo, Mail, Rcpt, Data, EndOfHeader, EndOfData, Unknown []string
}

// MilterAction is what is done without the answer of a filter: milter.default_action.
type MilterAction uint8

// The actions.
const (
	MilterTempfail MilterAction = iota
	MilterAccept
	MilterReject
	MilterQuarantine
	MilterShutdown
)

func milterActions() []word[MilterAction] {
	return []word[MilterAction]{{"tempfail", MilterTempfail}, {"accept", MilterAccept}, {"reject", MilterReject}, {"quarantine", MilterQuarantine}, {"shutdown", MilterShutdown}}
}

// String is the word.
func (a MilterAction) String() string { return textOf(milterActions(), a) }

// MilterService is a filter.
type MilterService struct {
	// Name is "inet:host:port" or "unix:path", as it was written.
	Name string
	MilterSettings
}

const (
	milterAllowed = `filters, "inet:host:port" or "unix:path", see docs/milters.md`
	macrosAllowed = "names of macros, see docs/milters.md"
)

func (c *Milter) params() []Param {
	macros := func(name string, field *[]string, def, text string) Param {
		return List("milter."+name+"_macros", field, strings.Fields(def), macrosAllowed, checkMacro,
			"What a mail filter is told "+text+", unless it says itself which macros it wants.").Also("milter_" + name + "_macros")
	}
	return []Param{
		enum("milter.default_action", &c.DefaultAction, MilterTempfail, milterActions(),
			"What is done with mail when a filter does not answer, breaks the connection, or says what cannot be done: it is refused for now, taken, refused for good, taken and held, or refused for now with the end of the connection. A filter may have its own in its list.").Also("milter_default_action"),
		String("milter.protocol", &c.Protocol, "6", "2, 3, 4 or 6, with no_header_reply behind it or not", checkMilterProtocol,
			"The version of the protocol that filters are offered.").Also("milter_protocol"),
		Duration("milter.connect_timeout", &c.ConnectTimeout, 30*time.Second, time.Second, time.Hour,
			"How long connecting to a filter and agreeing on the protocol may take.").Also("milter_connect_timeout"),
		Duration("milter.command_timeout", &c.CommandTimeout, 30*time.Second, time.Second, time.Hour,
			"How long a filter may take for a command, up to DATA.").Also("milter_command_timeout"),
		Duration("milter.content_timeout", &c.ContentTimeout, 5*time.Minute, time.Second, 24*time.Hour,
			"How long a filter may take for a field or a piece of the message, and for each word of its answer at the end.").Also("milter_content_timeout"),
		Duration("milter.progress_timeout", &c.ProgressTimeout, 30*time.Minute, time.Second, 24*time.Hour,
			"How long a filter may take for its answer altogether while it says that it is at work, or wants changes. Postfix waits without end."),
		Duration("milter.max_idle", &c.MaxIdle, 0, 0, time.Hour,
			"How long the connection to a filter is kept for the next client when the session of one is over and the filter has version 6. Zero keeps none, as Postfix: each client has its own connection."),
		Duration("milter.retry_delay", &c.RetryDelay, 10*time.Second, 0, time.Hour,
			"How long nobody else tries to connect to a filter that has not taken a connection within the timeout; the default action is done at once. Zero lets everybody wait."),
		Int("milter.max_connections", &c.MaxConnections, 1000, 1, 1_000_000,
			"Connections to one filter at once; who needs one more waits, at most the timeout of connecting."),
		Size("milter.change_limit", &c.ChangeLimit, 4<<20, 1<<10, 1<<30,
			"How many octets the fields and recipients may have together that a filter wants to add or change in one message. A body in the place of the message's may be as large as smtpd.message_size_limit."),
		String("milter.macro_daemon_name", &c.MacroDaemonName, "", "a name, or empty for main.hostname", nil,
			"The macro {daemon_name}.").Also("milter_macro_daemon_name"),
		String("milter.macro_v", &c.MacroV, "Toastmaster", "a text", nil,
			"The macro v, name and version of the mail system.").Also("milter_macro_v"),
		List("milter.macro_defaults", &c.MacroDefaults, nil, `"name=value"`, checkMacroDefault,
			"What macros say that say nothing otherwise, such as \"{if_name}=eth0\".").Also("milter_macro_defaults"),
		Tables("milter.header_checks", &c.HeaderChecks, nil,
			"Lookup tables that each field is looked up in that a filter adds or changes, as in cleanup.header_checks.").Also("milter_header_checks"),
		macros("connect", &c.Macros.Connect, "j {daemon_name} {daemon_addr} v _", "when a client has connected"),
		macros("helo", &c.Macros.Helo, "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}", "at HELO and EHLO"),
		macros("mail", &c.Macros.Mail, "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}", "at MAIL"),
		macros("rcpt", &c.Macros.Rcpt, "i {rcpt_addr} {rcpt_host} {rcpt_mailer}", "at RCPT"),
		macros("data", &c.Macros.Data, "i", "at DATA"),
		macros("end_of_header", &c.Macros.EndOfHeader, "i", "with the header of a message"),
		macros("end_of_data", &c.Macros.EndOfData, "i", "at the end of a message"),
		macros("unknown_command", &c.Macros.Unknown, "", "at a command that there is not"),
	}
}

// milterList is a list of filters.
func milterList(name string, field *[]string, text string) Param {
	return List(name, field, nil, milterAllowed, checkMilter, text)
}

func checkMilter(s string) error {
	list, err := ParseMilters(s, MilterSettings{})
	if err == nil && len(list) != 1 {
		err = errors.New("one filter for each item of the list")
	}
	return err
}

// ParseMilters reads filters as Postfix writes them, "inet:host:port, { unix:path, default_action=accept }"; what is not set is
// that of others.
func ParseMilters(text string, others MilterSettings) ([]MilterService, error) {
	var list []MilterService
	items, err := braceItems(text)
	for _, item := range items {
		one := MilterService{MilterSettings: others}
		if one.Name = item; strings.HasPrefix(item, "{") {
			err = one.set(item[1 : len(item)-1])
		}
		if err == nil {
			err = checkMilterName(one.Name)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, err
}

// braceItems cuts a text at white space and commas outside of braces.
func braceItems(text string) ([]string, error) {
	var items []string
	depth, from := 0, -1
	end := func(at int) {
		if from >= 0 {
			items = append(items, strings.TrimSpace(text[from:at]))
		}
		from = -1
	}
	for i, c := range []byte(text) {
		switch {
		case c == '{':
			if depth++; from < 0 {
				from = i
			}
		case c == '}':
			if depth--; depth < 0 {
				return nil, errors.New("a } without a {")
			}
			if depth == 0 {
				end(i + 1)
			}
		case depth == 0 && strings.IndexByte(", \t\r\n", c) >= 0:
			end(i)
		case from < 0:
			from = i
		}
	}
	if depth > 0 {
		return nil, errors.New("a { is not closed")
	}
	end(len(text))
	return items, nil
}

// set reads what stands between the braces of a filter.
func (m *MilterService) set(text string) error {
	m.Name = ""
	items, err := braceItems(text)
	if err != nil {
		return err
	}
	for i, item := range items {
		if i == 0 {
			m.Name = item
			continue
		}
		if strings.HasPrefix(item, "{") {
			item = strings.TrimSpace(item[1 : len(item)-1])
		}
		name, value, ok := strings.Cut(item, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok {
			return fmt.Errorf("%q is no name=value", item)
		}
		if err := m.MilterSettings.set(name, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (m *MilterSettings) set(name, value string) error {
	span := func(to *time.Duration) error {
		if value != "" && value[len(value)-1] >= '0' && value[len(value)-1] <= '9' {
			value += "s" // Postfix's unit
		}
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return errors.New("no time, such as 10s")
		}
		*to = d
		return nil
	}
	switch name {
	case "connect_timeout":
		return span(&m.ConnectTimeout)
	case "command_timeout":
		return span(&m.CommandTimeout)
	case "content_timeout":
		return span(&m.ContentTimeout)
	case "protocol":
		m.Protocol = value
		return checkMilterProtocol(value)
	case "default_action":
		var ok bool
		if m.DefaultAction, ok = lookUp(milterActions(), value); !ok {
			return errors.New("one of " + texts(milterActions()))
		}
		return nil
	}
	return errors.New("there is command_timeout, connect_timeout, content_timeout, default_action, protocol")
}

// Socket is the network and the address of a filter, a path as it was written.
func (m *MilterService) Socket() (network, address string) {
	network, address, _ = strings.Cut(m.Name, ":")
	if network == "inet" {
		return "tcp", address
	}
	return "unix", address
}

func checkMilterName(s string) error {
	network, address, _ := strings.Cut(s, ":")
	switch network {
	case "inet":
		host, port, err := net.SplitHostPort(address)
		if n, bad := strconv.Atoi(port); err == nil && host != "" && port != "" && (bad != nil || n > 0 && n < 65536) {
			return nil
		}
	case "unix", "local":
		if address != "" {
			return nil
		}
	}
	return fmt.Errorf("%q is no filter: inet:host:port or unix:path", s)
}

// Offer is the version of the protocol, and whether filters are asked for no answer to a field.
func (m *MilterSettings) Offer() (version uint32, noHeaderReply bool) {
	for _, w := range milterWords(m.Protocol) {
		if w == "no_header_reply" {
			noHeaderReply = true
		} else if n, err := strconv.Atoi(w); err == nil {
			version = uint32(n)
		}
	}
	return cmp.Or(version, 6), noHeaderReply
}

func milterWords(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' })
}

func checkMilterProtocol(s string) error {
	versions := 0
	for _, w := range milterWords(s) {
		switch {
		case slices.Contains([]string{"2", "3", "4", "6"}, w):
			versions++
		case w != "no_header_reply":
			return fmt.Errorf("%q is no version of the protocol: 2, 3, 4, 6", w)
		}
	}
	if versions != 1 {
		return errors.New("one version: 2, 3, 4 or 6")
	}
	return nil
}

func checkMacro(s string) error {
	if bare := strings.TrimSuffix(strings.TrimPrefix(s, "{"), "}"); bare == "" || strings.ContainsAny(bare, "{} ,\t\r\n\x00") {
		return fmt.Errorf("%q is no name of a macro", s)
	}
	return nil
}

func checkMacroDefault(s string) error {
	name, _, ok := strings.Cut(s, "=")
	if !ok {
		return errors.New("no name=value")
	}
	return checkMacro(strings.TrimSpace(name))
}
