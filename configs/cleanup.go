package configs

// Cleanup is the section [cleanup].
type Cleanup struct {
	HopCountLimit     int
	AliasDepthLimit   int
	AliasExpandLimit  int
	DropHeaders       []string
	HeaderAddedDomain string
	AuthservID        string
}

func (c *Cleanup) params() []Param {
	return []Param{
		Int("cleanup.hop_count_limit", &c.HopCountLimit, 50, 1, 1000,
			"How many Received fields a message may have; one with more is taken for a loop and refused with 5.4.6 (Postfix hopcount_limit)."),
		Int("cleanup.alias_depth_limit", &c.AliasDepthLimit, 100, 1, 1000,
			"How many aliases may point to one another in a row (Postfix virtual_alias_recursion_limit). Beyond it the recipient is refused with 4.3.5."),
		Int("cleanup.alias_expansion_limit", &c.AliasExpandLimit, 1000, 1, 100_000,
			"How many recipients a message may have after its aliases are expanded (Postfix virtual_alias_expansion_limit). An alias beyond it is refused with 4.3.5, and what does not fit beside other recipients with 4.5.3."),
		List("cleanup.drop_headers", &c.DropHeaders, []string{"Bcc", "Content-Length", "Resent-Bcc", "Return-Path"}, "header field names", nil,
			"Fields of the message header that are removed from every message (Postfix message_drop_headers)."),
		String("cleanup.authserv_id", &c.AuthservID, "", "a domain, or empty for main.hostname", checkOptionalHostname,
			"The name in Authentication-Results fields that are ours. Such a field in mail from outside of main.trusted_networks, and from users who logged in, is a forgery and is removed (RFC 8601 section 5)."),
		String("cleanup.header_domain", &c.HeaderAddedDomain, "", "a domain, or empty for main.hostname", checkOptionalHostname,
			"The domain of the Message-ID fields that are added to submitted mail.").Also("always_add_missing_headers", "remote_header_rewrite_domain"),
	}
}

func checkOptionalHostname(s string) error {
	if s == "" {
		return nil
	}
	return checkHostname(s)
}
