package configs

import (
	"fmt"
	"slices"
	"strings"
)

// Listener is a table [[listener]]: ports of smtpd with parameters of their own, as a row of
// Postfix's master.cf with -o has them.
type Listener struct {
	// Name is how the log and the status call it; no two have the same.
	Name string
	// Listen are its ports, ListenTLS those with TLS from the first octet.
	Listen, ListenTLS []string
	// Submission says that it is for users: a log-in is wanted, and the lists are those of mua_.
	Submission bool
	// TrustedNetworks take the place of main.trusted_networks.
	TrustedNetworks []string
	// SyslogName is what stands before "/smtpd" in lines of Postfix's format, "" for nothing.
	SyslogName string
	// MacroDaemonName is the macro {daemon_name} of mail filters, "" for milter.macro_daemon_name.
	MacroDaemonName string
	// Params are those of [smtpd] with what the table sets. Their addresses are none.
	Params SMTPD

	// later sets again what the table sets, once Params are those of [smtpd].
	later []func()
}

// ofAllPorts are the parameters of [smtpd] that no listener has of its own: its ports, and what is about the
// host or about mail whichever way it came.
var ofAllPorts = []string{"listen", "submission_listen", "submissions_listen", "postmaster", "foreign_header_from"}

// own are the rows that [smtpd] has not, or has for another purpose.
func (l *Listener) own() []Param {
	trusted := l.reset(List("listener.trusted_networks", &l.TrustedNetworks, []string{}, "networks in CIDR form", checkPrefix,
		"Who is trusted there, in the place of main.trusted_networks, which holds when this is not set (Postfix mynetworks)."))
	trusted.inherited = "main.trusted_networks"
	rows := []Param{
		String("listener.name", &l.Name, "", "letters, digits, - and _", checkListenerName,
			"The name of the listener, which must be given. A table [[listener]] has ports of smtpd that are not as the others: besides the parameters here it may set each of [smtpd], by the same name, for its ports alone, but for those of all ports ("+
				strings.Join(ofAllPorts, ", ")+"). What it does not set is as [smtpd] has it. It does what -o does in Postfix's master.cf.").Also("master.cf"),
		List("listener.listen", &l.Listen, nil, listenAllowed, checkListen,
			"Its addresses, with TLS by STARTTLS."),
		List("listener.listen_tls", &l.ListenTLS, nil, listenAllowed, checkListen,
			"Its addresses with TLS from the first octet.").Also("smtpd_tls_wrappermode"),
		Bool("listener.submission", &l.Submission, false,
			"It is for users, as smtpd.submission_listen: they must log in, and its lists of restrictions are mua_client_restrictions and so on. Without it, it is as smtpd.listen, and the lists are client_restrictions and so on."),
		trusted,
		String("listener.syslog_name", &l.SyslogName, "", "a name, or empty", checkOptionalName,
			"With the log format postfix its lines have this name before smtpd, as \"filtered/smtpd\" or, written as Postfix does, \"postfix/filtered\"; in other formats service is that.").Also("syslog_name"),
		String("listener.milter_macro_daemon_name", &l.MacroDaemonName, "", "a name, or empty for milter.macro_daemon_name", nil,
			"The macro {daemon_name} that mail filters are told there, such as ORIGINATING.").Also("milter_macro_daemon_name"),
	}
	for i := range rows {
		rows[i].table = true
	}
	return rows
}

// params are all rows, with those of [smtpd].
func (l *Listener) params() []Param {
	rows := l.own()
	for _, p := range l.Params.params() {
		_, key, _ := strings.Cut(p.Name, ".")
		if slices.Contains(ofAllPorts, key) {
			continue
		}
		p.Name, p.table, p.inherited = "listener."+key, true, p.Name
		rows = append(rows, l.reset(p))
	}
	return rows
}

// reset lets p be set again behind inherit.
func (l *Listener) reset(p Param) Param {
	set := p.set
	p.set = func(v any) error {
		err := set(v)
		if err == nil {
			l.later = append(l.later, func() { _ = set(v) }) // it has been taken
		}
		return err
	}
	return p
}

// inherit makes what the table does not set what the sections say, once the file is read.
func (l *Listener) inherit(c *Config) {
	l.Params, l.TrustedNetworks = c.SMTPD, c.Main.TrustedNetworks
	l.Params.Listen, l.Params.SubmissionListen, l.Params.SubmissionsListen = nil, nil, nil
	for _, set := range l.later {
		set()
	}
	l.later = nil
}

// Section is the beginning of its parameters' names.
func (l *Listener) Section() string { return "listener." + l.Name }

// LogService is the service in its lines of the log.
func (l *Listener) LogService() string {
	name := strings.TrimPrefix(l.SyslogName, "postfix/")
	if name == "" || name == "postfix" {
		return "smtpd"
	}
	return name + "/smtpd"
}

// ServiceName is that of its service.
func (l *Listener) ServiceName() string { return "smtpd/" + l.Name }

// listenerMistakes are those that one parameter alone does not show.
func (c *Config) listenerMistakes(mistake func(param, format string, args ...any)) {
	for _, l := range c.SMTPDListeners {
		at := l.Section()
		if len(l.Listen)+len(l.ListenTLS) == 0 {
			mistake(at+".listen", "it has no address: name one here or in listen_tls")
		}
		if p := everybody(l.TrustedNetworks); p != "" {
			mistake(at+".trusted_networks", "%s is everybody: anybody on the Internet could send mail to anywhere through this host (an open relay)", p)
		}
	}
}

func checkListenerName(s string) error {
	if s == "" || len(s) > 64 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		return fmt.Errorf("%q is no name of a listener", s)
	}
	return nil
}

// checkOptionalName accepts what stands in a line of a log before the colon.
func checkOptionalName(s string) error {
	if len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`[]:"=`, r) }) {
		return fmt.Errorf("%q is no name of a service", s)
	}
	return nil
}
