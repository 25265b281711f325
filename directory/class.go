package directory

// Class says whose an address is by its domain (Postfix ADDRESS_CLASS_README): from it follow the transport, who is
// a recipient, and whether everybody may write there.
type Class uint8

// The classes.
const (
	// DefaultClass is any domain that is in no other class: mail for it is relayed for those who may.
	DefaultClass Class = iota
	// LocalClass is rewrite.mydestination: users of this host.
	LocalClass
	// AliasClass is rewrite.virtual_alias_domains: each address stands for others.
	AliasClass
	// MailboxClass is a domain of the directory.
	MailboxClass
	// RelayClass is rewrite.relay_domains: mail for it goes on to other hosts, whoever sends it.
	RelayClass
)

// String names the class as Postfix does.
func (c Class) String() string {
	return [...]string{"default", "local", "virtual alias", "virtual mailbox", "relay"}[c]
}
