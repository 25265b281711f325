package configs

import (
	"errors"
	"strings"

	"toastmaster/internal/macro"
)

// SMTPDWords are the parameters of [smtpd] about what is said, and what is logged of it.
type SMTPDWords struct {
	Footer            RejectFooter
	CommandFilter     []string
	ForbiddenCommands []string
	LogPermits        []string
	PortLogging       bool
	ExpansionFilter   string
}

// RejectFooter is what stands behind a refusal.
type RejectFooter struct {
	// Text is a template, and Maps have others by the whole reply.
	Text string
	Maps []string
}

// FooterNames are the macros of a footer.
func FooterNames() []string {
	return []string{"client", "client_address", "client_port", "localtime", "server_name"}
}

func (f *RejectFooter) params(section, text, maps string) []Param {
	return []Param{
		String(section+".reject_footer", &f.Text, "", "a text with the macros "+inWords(FooterNames())+", see docs/restrictions.md", CheckFooter, text).Also(section + "_reject_footer"),
		Tables(section+".reject_footer_maps", &f.Maps, nil, maps).Also(section + "_reject_footer_maps"),
	}
}

// CheckFooter accepts the template of a footer.
func CheckFooter(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New(`a line end is written \\n`)
	}
	_, err := macro.Parse(s, FooterNames())
	return err
}

func (c *SMTPDWords) params() []Param {
	rows := c.Footer.params("smtpd",
		`What stands behind each refusal, on a line of its own, or behind the text where it begins with \c; \n is a line end: whom to ask, such as "\\c; see https://example.org/mail or call +1 555 0100, $client_address".`,
		"Lookup tables that have the footer for a reply, by the whole of it.")
	return append(rows, []Param{
		Tables("smtpd.command_filter", &c.CommandFilter, nil,
			"Lookup tables that have, for a command line of a client, the one that takes its place (Postfix smtpd_command_filter): for clients that do it wrong. A table that cannot answer is 451 4.3.0."),
		List("smtpd.forbidden_commands", &c.ForbiddenCommands, []string{"CONNECT", "GET", "POST"}, `words, or lookup tables "type:argument"`, checkNotEmpty,
			"Commands that there are not and that end the session with 521: those of browsers that were made to speak with a mail server.").Also("smtpd_forbidden_commands"),
		List("smtpd.log_access_permit_actions", &c.LogPermits, []string{}, `names of restrictions, with ! in front for not, or lookup tables "type:argument"`, checkNotEmpty,
			"Restrictions of which each permission is a line in the log (permit); static:all is all of them.").Also("smtpd_log_access_permit_actions"),
		Bool("smtpd.client_port_logging", &c.PortLogging, false,
			"The log has the port of a client beside its address.").Also("smtpd_client_port_logging"),
		String("smtpd.expansion_filter", &c.ExpansionFilter, "", "characters, or empty for printable ASCII", nil,
			"The characters that may come from outside into the reply of a DNS list (smtpd.default_rbl_reply) and a footer; others become _.").Also("smtpd_expansion_filter"),
	}...)
}

// Filtered is a value with those characters alone.
func (c *SMTPDWords) Filtered(value string) string {
	return strings.Map(func(r rune) rune {
		if c.ExpansionFilter == "" && r >= ' ' && r <= '~' || strings.ContainsRune(c.ExpansionFilter, r) {
			return r
		}
		return '_'
	}, value)
}
