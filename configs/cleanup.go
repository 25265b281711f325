package configs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"toastmaster/internal/addr"
)

// Cleanup is the section [cleanup].
type Cleanup struct {
	HopCountLimit     int
	AliasDepthLimit   int
	AliasExpandLimit  int
	DropHeaders       []string
	HeaderAddedDomain string
	AuthservID        string
	HeaderChecks      []string
	MIMEHeaderChecks  []string
	NestedChecks      []string
	BodyChecks        []string
	BodyChecksLimit   int64
	HeaderSizeLimit   int64
	LineLengthLimit   int64
	AlwaysBCC         string
	SenderBCCMaps     []string
	RecipientBCCMaps  []string
	Rewriting         Rewriting
	Milters           []string
	InternalFilter    []string
	ContentFilter     string
	UTF8Classes       []string
	DetectEightBit    bool
	// RejectCharacters and StripCharacters are octets, see ParseOctets.
	RejectCharacters string
	StripCharacters  string
}

func (c *Cleanup) params() []Param {
	return append(c.Rewriting.params(), []Param{
		Int("cleanup.hop_count_limit", &c.HopCountLimit, 50, 1, 1000,
			"How many Received fields a message may have; one with more is taken for a loop and refused with 5.4.6 (Postfix hopcount_limit)."),
		Int("cleanup.alias_depth_limit", &c.AliasDepthLimit, 100, 1, 1000,
			"How many aliases may point to one another in a row (Postfix virtual_alias_recursion_limit). Beyond it the recipient is refused with 4.3.5."),
		Int("cleanup.alias_expansion_limit", &c.AliasExpandLimit, 1000, 1, 100_000,
			"How many recipients a message may have after its aliases are expanded (Postfix virtual_alias_expansion_limit). An alias beyond it is refused with 4.3.5, and what does not fit beside other recipients with 4.5.3."),
		List("cleanup.drop_headers", &c.DropHeaders, []string{"Bcc", "Content-Length", "Resent-Bcc", "Return-Path"}, "header field names", nil,
			"Fields of the message header that are removed from every message (Postfix message_drop_headers)."),
		Tables("cleanup.header_checks", &c.HeaderChecks, nil,
			"Lookup tables that each field of the header of a message is looked up in, but for those of MIME, with all lines of it; what they say is done, see docs/content-checks.md."),
		c.headerTables("cleanup.mime_header_checks", &c.MIMEHeaderChecks,
			"The same for the fields of MIME, which say what a message or a part of it is, and for all fields of parts. $header_checks is cleanup.header_checks."),
		c.headerTables("cleanup.nested_header_checks", &c.NestedChecks,
			"The same for the headers of messages within messages, but for the fields of MIME. $header_checks is cleanup.header_checks."),
		Tables("cleanup.body_checks", &c.BodyChecks, nil,
			"Lookup tables that each line of the content is looked up in that is no field of a header, with the lines between the parts."),
		Size("cleanup.body_checks_size_limit", &c.BodyChecksLimit, 51200, 0, 1<<40,
			"How much of a part of a message is looked up in cleanup.body_checks; 0 is all of it."),
		Size("cleanup.header_size_limit", &c.HeaderSizeLimit, 102400, 1000, 16<<20,
			"How much of a field is looked up in the tables of the header. What follows is looked at by nobody, and stays in the message."),
		Size("cleanup.line_length_limit", &c.LineLengthLimit, 2048, 100, 1<<20,
			"A longer line of the content is looked up in cleanup.body_checks in pieces of this length."),
		String("cleanup.always_bcc", &c.AlwaysBCC, "", "an address with a domain, or empty for nobody", checkCopyTo,
			"Who gets a blind copy of each message that comes in. Reports, and what mailboxes send on, have no such copies."),
		Tables("cleanup.sender_bcc_maps", &c.SenderBCCMaps, nil,
			"Lookup tables that have, for a sender, who gets a blind copy of the message: user+extension@domain, user@domain and @domain are looked up."),
		Tables("cleanup.recipient_bcc_maps", &c.RecipientBCCMaps, nil,
			"The same for each recipient, before its aliases are expanded."),
		milterList("cleanup.non_smtpd_milters", &c.Milters,
			"Filters (milters) that see mail that does not come by SMTP, as if localhost had sent it. See docs/milters.md.").Also("non_smtpd_milters"),
		String("cleanup.non_smtpd_content_filter", &c.ContentFilter, "", filterAllowed, checkContentFilter,
			"smtpd.content_filter for mail that does not come by SMTP: that of the command sendmail and of QMQP. A filter that hands mail back by that command wants it empty. Reports go by no content filter.").Also("content_filter"),
		List("cleanup.internal_mail_filter_classes", &c.InternalFilter, nil, "bounce, redirect, vacation", checkFilterClass,
			"Mail made here that these filters see, too: reports, what mailboxes send on, and their vacation notices. It is to be signed and not to be judged: what a filter refuses of it is lost.").Also("internal_mail_filter_classes"),
		List("cleanup.smtputf8_autodetect_classes", &c.UTF8Classes, []string{"sendmail", "verify"}, strings.Join(utf8Classes(), ", "), func(s string) error {
			if !slices.Contains(utf8Classes(), s) {
				return fmt.Errorf("%q is no class of mail", s)
			}
			return nil
		}, "Mail that is taken for SMTPUTF8 when an address or the header is not ASCII, although nobody said so, by the way it came in: the command sendmail, SMTP, QMQP, mail that a mailbox sends on, reports, probes. Other mail goes out as it is without such a label.").Also("smtputf8_autodetect_classes"),
		Bool("cleanup.detect_8bit_encoding_header", &c.DetectEightBit, true,
			"A message whose Content-Transfer-Encoding says 8bit or binary is handed on as BODY=8BITMIME, whatever its client said.").Also("detect_8bit_encoding_header"),
		characters("cleanup.message_reject_characters", &c.RejectCharacters,
			"Characters whose message is refused, 550 5.7.1: \\0 is what some mail programs end a text at, which then show another message than a filter has seen.").Also("message_reject_characters"),
		characters("cleanup.message_strip_characters", &c.StripCharacters,
			"Characters that are taken out of messages before anything else is done to them. It breaks the signature of a message that has one.").Also("message_strip_characters"),
		String("cleanup.authserv_id", &c.AuthservID, "", "a domain, or empty for main.hostname", checkOptionalHostname,
			"The name in Authentication-Results fields that are ours. Such a field in mail from outside of main.trusted_networks, and from users who logged in, is a forgery and is removed (RFC 8601 section 5)."),
		String("cleanup.header_domain", &c.HeaderAddedDomain, "", "a domain, or empty for main.hostname", checkOptionalHostname,
			"The domain of the Message-ID fields that are added to submitted mail.").Also("always_add_missing_headers"),
	}...)
}

// utf8Classes are the names in cleanup.smtputf8_autodetect_classes, Postfix's but for notify.
func utf8Classes() []string {
	return []string{"sendmail", "smtpd", "qmqpd", "forward", "bounce", "verify", "all"}
}

func checkFilterClass(s string) error {
	if !slices.Contains([]string{"bounce", "redirect", "vacation"}, s) {
		return fmt.Errorf("%q is no class of mail: bounce, redirect, vacation", s)
	}
	return nil
}

// ofHeader stands in a list of tables for those of cleanup.header_checks.
const ofHeader = "$header_checks"

// headerTables is a list of tables that may have the item $header_checks, which is its default.
func (c *Cleanup) headerTables(name string, field *[]string, text string) Param {
	p := List(name, field, []string{ofHeader}, tablesAllowed, func(s string) error {
		if s == ofHeader {
			return nil
		}
		return checkTable(s)
	}, text)
	p.Tables = func() []string { return c.headerTablesOf(*field) }
	return p
}

func (c *Cleanup) headerTablesOf(list []string) []string {
	var all []string
	for _, item := range list {
		if item == ofHeader {
			all = append(all, c.HeaderChecks...)
		} else {
			all = append(all, item)
		}
	}
	return all
}

// MIMETables are the tables of cleanup.mime_header_checks.
func (c *Cleanup) MIMETables() []string { return c.headerTablesOf(c.MIMEHeaderChecks) }

// NestedTables are those of cleanup.nested_header_checks.
func (c *Cleanup) NestedTables() []string { return c.headerTablesOf(c.NestedChecks) }

// checkCopyTo is about who gets blind copies.
func checkCopyTo(s string) error {
	if s == "" {
		return nil
	}
	a, err := addr.Parse(s)
	if err == nil && a.Domain == "" {
		err = errors.New("it has no domain")
	}
	return err
}

func checkOptionalHostname(s string) error {
	if s == "" {
		return nil
	}
	return checkHostname(s)
}
