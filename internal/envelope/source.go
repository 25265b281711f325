package envelope

// Source is how a message came into this house: who has handed it in, or which part of the house has made it. What follows from that stands in
// one table here. The zero Source is a client's, of whom the least is believed.
type Source uint8

// The sources.
const (
	// SourceClient is a client of SMTP or LMTP. Origin.Protocol says which.
	SourceClient Source = iota
	// SourceSendmail is a program of this host, by the command sendmail.
	SourceSendmail
	// SourceQMQP is a client of QMQP.
	SourceQMQP
	// SourceBounce is a report that is made here.
	SourceBounce
	// SourceRedirect is a mailbox, or the agent local, that sends on what came.
	SourceRedirect
	// SourceVacation is a mailbox that answers.
	SourceVacation
	// SourceVerify asks whether an address takes mail. It is never in the queue.
	SourceVerify
)

// sources is what is true of each.
var sources = [...]struct {
	// word is its name in the queue, the log and Received; it never changes, and none is a protocol of SMTP.
	word string
	// class is Postfix's name in smtputf8_autodetect_classes.
	class string
	// submitted: its sender has handed it in on this host, or in its name.
	submitted bool
	// made: it is made or sent on here, and cleanup.internal_mail_filter_classes knows it by word.
	made bool
	// rewrite is as whose the addresses of its header are rewritten, where whoever hands it in does not say it.
	rewrite Rewrite
}{
	SourceClient:   {class: "smtpd"},
	SourceSendmail: {word: "local", class: "sendmail", submitted: true, rewrite: RewriteLocal},
	SourceQMQP:     {word: "QMQP", class: "qmqpd", submitted: true, rewrite: RewriteLocal},
	SourceBounce:   {word: "bounce", class: "bounce", made: true},
	SourceRedirect: {word: "redirect", class: "forward", made: true},
	SourceVacation: {word: "vacation", class: "forward", made: true},
	SourceVerify:   {word: "verify", class: "verify"},
}

// Sources are all there are.
func Sources() []Source {
	all := make([]Source, len(sources))
	for i := range all {
		all[i] = Source(i)
	}
	return all
}

// String is its word, "" for SourceClient.
func (s Source) String() string { return sources[s].word }

// Class is the name in cleanup.smtputf8_autodetect_classes.
func (s Source) Class() string { return sources[s].class }

// Submitted says that the sender has handed it in without SMTP: cleanup.non_smtpd_milters and cleanup.non_smtpd_content_filter are for it.
// Where mail comes by SMTP both are smtpd's to ask, and nobody asks them of what is made here.
func (s Source) Submitted() bool { return sources[s].submitted }

// FilterClass is its name in cleanup.internal_mail_filter_classes, "" when it has none.
func (s Source) FilterClass() string {
	if !sources[s].made {
		return ""
	}
	return sources[s].word
}

// Rewrite says as whose the addresses of its header are rewritten. Of a client's mail smtpd.local_header_rewrite_clients decides.
func (s Source) Rewrite() Rewrite { return sources[s].rewrite }

// MarshalText is the word.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word. One that is not known is a client's.
func (s *Source) UnmarshalText(text []byte) error {
	*s = SourceClient
	for i := range sources {
		if sources[i].word == string(text) {
			*s = Source(i)
		}
	}
	return nil
}

// Word is how the message came in one word, in the queue, the log and Received: the protocol of a client, and of all others the word of the
// source.
func (o *Origin) Word() string {
	if o.Source == SourceClient {
		return o.Protocol
	}
	return o.Source.String()
}

// Came sets Source and Protocol by such a word.
func (o *Origin) Came(word string) {
	_ = o.Source.UnmarshalText([]byte(word)) // it takes all
	o.Protocol = ""
	if o.Source == SourceClient || o.Source == SourceQMQP {
		o.Protocol = word
	}
}
