package model

// Decision is what would happen to mail for an address now.
type Decision struct {
	Address string `json:"address"`
	Verdict string `json:"verdict" enum:"foreign,deliver,forward,relocated,suspended,over quota,unknown,unexpandable,undecided" doc:"foreign is a domain that is not hosted here"`
	Taken   bool   `json:"taken" doc:"A client may send to it: a mailbox or an alias takes the mail, or, for those who may relay, another host"`
	Reply   string `json:"reply,omitempty" doc:"What the client hears instead"`
	// Matched is the entry that the address leads to.
	Matched   string   `json:"matched,omitempty" doc:"The entry that it leads to: itself, without its extension, or a catch-all as @domain"`
	Extension string   `json:"extension,omitempty"`
	Mailbox   string   `json:"mailbox,omitempty" doc:"The mailbox of this address; for an alias the one beside it"`
	Addresses []string `json:"addresses,omitempty" doc:"What an alias stands for, when all aliases are followed; for postmaster smtpd.postmaster, where that is another host's"`
	Transport string   `json:"transport,omitempty" doc:"By which transport the mail leaves, for an address elsewhere that is not refused"`
	Nexthop   string   `json:"nexthop,omitempty" doc:"Where that transport hands it to; for one of the agent discard why"`
}
