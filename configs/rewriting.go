package configs

import (
	"fmt"
	"slices"
	"strings"

	"toastmaster/internal/addr"
)

// Rewriting is what cleanup and rewrite do to addresses.
type Rewriting struct {
	AppendAtMyOrigin   bool
	AppendDotMyDomain  bool
	SwapBangpath       bool
	PercentHack        bool
	RemoteHeaderDomain string
	TokenLimit         int

	CanonicalMaps             []string
	CanonicalClasses          []string
	SenderCanonicalMaps       []string
	SenderCanonicalClasses    []string
	RecipientCanonicalMaps    []string
	RecipientCanonicalClasses []string
	VirtualAliasMaps          []string
	MasqueradeDomains         []string
	MasqueradeExceptions      []string
	MasqueradeClasses         []string
	PropagateExtensions       []string
}

// forms are the rows of the section [rewrite] that are about addresses.
func (c *Rewriting) forms() []Param {
	return []Param{
		Bool("rewrite.append_at_myorigin", &c.AppendAtMyOrigin, true,
			"Give an address without a domain that of this host, main.hostname, in headers of local clients (smtpd.local_header_rewrite_clients). An envelope always gets it.").Also("append_at_myorigin"),
		Bool("rewrite.append_dot_mydomain", &c.AppendDotMyDomain, false,
			"Put the domain of main.hostname behind a domain without a dot, in headers of local clients.").Also("append_dot_mydomain"),
		Bool("rewrite.swap_bangpath", &c.SwapBangpath, false,
			"Make host!user user@host where there is no @, in headers of local clients.").Also("swap_bangpath"),
		Bool("rewrite.allow_percent_hack", &c.PercentHack, false,
			"Make user%host user@host where there is no @, in headers of local clients.").Also("allow_percent_hack"),
	}
}

// The classes of addresses, Postfix's.
const (
	EnvelopeSender    = "envelope_sender"
	EnvelopeRecipient = "envelope_recipient"
	HeaderSender      = "header_sender"
	HeaderRecipient   = "header_recipient"
)

func (c *Rewriting) params() []Param {
	const keys = "user+extension@domain, user@domain, user (in main.hostname) and @domain are looked up, and what is found again; \"@domain\" as text changes the domain alone. "
	return []Param{
		String("cleanup.remote_header_rewrite_domain", &c.RemoteHeaderDomain, "", "a domain, or empty", checkOptionalHostname,
			"The domain that addresses without one get in the headers of clients that are not local. Empty leaves the headers of such clients as they are, whatever maps there are.").Also("remote_header_rewrite_domain"),
		Int("cleanup.header_address_token_limit", &c.TokenLimit, 10240, 100, 1_000_000,
			"How many words and signs the address fields of a header may have to be rewritten. A field beyond it stays as it is, with a line in the log.").Also("header_address_token_limit"),
		Tables("cleanup.canonical_maps", &c.CanonicalMaps, nil,
			"Lookup tables of addresses and what they are called: canonical(5). "+keys+"Asked after cleanup.sender_canonical_maps and recipient_canonical_maps.").Also("canonical_maps"),
		classes("cleanup.canonical_classes", &c.CanonicalClasses, allClasses(), "Which addresses cleanup.canonical_maps is for.").Also("canonical_classes"),
		Tables("cleanup.sender_canonical_maps", &c.SenderCanonicalMaps, nil, "The same for senders, of the envelope and of headers.").Also("sender_canonical_maps"),
		classes("cleanup.sender_canonical_classes", &c.SenderCanonicalClasses, []string{EnvelopeSender, HeaderSender}, "Which addresses cleanup.sender_canonical_maps is for.").Also("sender_canonical_classes"),
		Tables("cleanup.recipient_canonical_maps", &c.RecipientCanonicalMaps, nil, "The same for recipients.").Also("recipient_canonical_maps"),
		classes("cleanup.recipient_canonical_classes", &c.RecipientCanonicalClasses, []string{EnvelopeRecipient, HeaderRecipient}, "Which addresses cleanup.recipient_canonical_maps is for.").Also("recipient_canonical_classes"),
		Tables("cleanup.virtual_alias_maps", &c.VirtualAliasMaps, nil,
			"Lookup tables of addresses and whom they stand for, several with commas between them: virtual(5). user+extension@domain, user@domain, user (in main.hostname and rewrite.mydestination) and @domain are looked up, for each recipient of any domain, before the aliases of the directory, and what is found again; an address that stands for itself, too, ends there.").Also("virtual_alias_maps", "virtual_maps"),
		List("cleanup.masquerade_domains", &c.MasqueradeDomains, nil, `domains, "!domain" for one to leave alone`, checkMasquerade,
			"Domains that stand in the place of all names below them: user@host.example.org becomes user@example.org. The first that matches counts.").Also("masquerade_domains"),
		List("cleanup.masquerade_exceptions", &c.MasqueradeExceptions, nil, "user names", nil,
			"Users who are not masqueraded.").Also("masquerade_exceptions"),
		classes("cleanup.masquerade_classes", &c.MasqueradeClasses, []string{EnvelopeSender, HeaderSender, HeaderRecipient}, "Which addresses are masqueraded.").Also("masquerade_classes"),
		List("cleanup.propagate_unmatched_extensions", &c.PropagateExtensions, []string{"canonical", "virtual"}, "canonical, generic, virtual", func(s string) error {
			if !slices.Contains([]string{"canonical", "generic", "virtual"}, s) {
				return fmt.Errorf("there are no maps %q", s)
			}
			return nil
		}, "In which maps the extension of an address goes along that was found without it: user+news becomes what user becomes, +news. generic is smtp.generic_maps.").Also("propagate_unmatched_extensions"),
	}
}

func allClasses() []string {
	return []string{EnvelopeSender, EnvelopeRecipient, HeaderSender, HeaderRecipient}
}

func classes(name string, field *[]string, def []string, text string) Param {
	return List(name, field, def, strings.Join(allClasses(), ", "), func(s string) error {
		if !slices.Contains(allClasses(), s) {
			return fmt.Errorf("there is no class %q", s)
		}
		return nil
	}, text)
}

func checkMasquerade(s string) error {
	_, err := addr.ParseDomain(strings.TrimLeft(s, "!"))
	return err
}

// What smtpd.local_header_rewrite_clients consists of.
const (
	PermitInetInterfaces    = "permit_inet_interfaces"
	PermitMyNetworks        = "permit_mynetworks"
	PermitSASLAuthenticated = "permit_sasl_authenticated"
	CheckAddressMap         = "check_address_map"
)

const localClientsAllowed = `permit_inet_interfaces, permit_mynetworks, permit_sasl_authenticated, "check_address_map type:table"`

func checkLocalClient(s string) error {
	name, table, _ := strings.Cut(s, " ")
	switch name {
	case PermitInetInterfaces, PermitMyNetworks, PermitSASLAuthenticated:
		if table == "" {
			return nil
		}
	case CheckAddressMap:
		return checkTable(strings.TrimSpace(table))
	}
	return fmt.Errorf("%q says nothing about clients", s)
}
