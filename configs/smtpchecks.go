package configs

// OutgoingChecks are the tables that mail is looked up in while it leaves.
type OutgoingChecks struct {
	GenericMaps      []string
	HeaderChecks     []string
	MIMEHeaderChecks []string
	NestedChecks     []string
	BodyChecks       []string
}

func (c *OutgoingChecks) params(section, also, who string) []Param {
	const allowed = " What they want is done to the copy that leaves: IGNORE, STRIP, REPLACE, PREPEND, WARN and INFO; with another action the mail waits, 4.3.5."
	return []Param{
		Tables(section+"generic_maps", &c.GenericMaps, nil,
			"Lookup tables of addresses and what they are called outside: generic(5), for "+who+". Senders and recipients of the envelope, and the addresses of From, To and their like; user+extension@domain, user@domain, user (in main.hostname) and @domain are looked up, once.").Also(also + "generic_maps"),
		Tables(section+"header_checks", &c.HeaderChecks, nil, "cleanup.header_checks for mail that leaves, for "+who+"."+allowed).Also(also + "header_checks"),
		Tables(section+"mime_header_checks", &c.MIMEHeaderChecks, nil, "The same for the fields that cleanup.mime_header_checks is for.").Also(also + "mime_header_checks"),
		Tables(section+"nested_header_checks", &c.NestedChecks, nil, "The same for the fields that cleanup.nested_header_checks is for.").Also(also + "nested_header_checks"),
		Tables(section+"body_checks", &c.BodyChecks, nil, "The same for the lines that cleanup.body_checks is for.").Also(also + "body_checks"),
	}
}
