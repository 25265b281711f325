package milter

// Command is the code of a packet to a filter.
type Command byte

// The commands.
const (
	Abort       Command = 'A'
	Body        Command = 'B'
	Connect     Command = 'C'
	Macro       Command = 'D'
	EndOfBody   Command = 'E'
	Helo        Command = 'H'
	QuitNew     Command = 'K' // the session is over, and the connection serves another one
	Header      Command = 'L'
	Mail        Command = 'M'
	EndOfHeader Command = 'N'
	Negotiate   Command = 'O'
	Quit        Command = 'Q'
	Rcpt        Command = 'R'
	Data        Command = 'T'
	Unknown     Command = 'U'
)

// Reply is the code of a packet of a filter.
type Reply byte

// The answers that end a command.
const (
	Accept    Reply = 'a'
	Continue  Reply = 'c'
	Discard   Reply = 'd'
	Reject    Reply = 'r'
	Skip      Reply = 's'
	TempFail  Reply = 't'
	ReplyCode Reply = 'y'
	Shutdown  Reply = '4'
	ConnFail  Reply = 'f'
)

// Progress says that the filter is at work still; Quarantine comes before an answer.
const (
	Progress   Reply = 'p'
	Quarantine Reply = 'q'
)

// What a filter wants changed, at the end of a message.
const (
	AddHeader    Reply = 'h'
	InsertHeader Reply = 'i'
	ChangeHeader Reply = 'm'
	AddRcpt      Reply = '+'
	AddRcptArgs  Reply = '2'
	DeleteRcpt   Reply = '-'
	ChangeFrom   Reply = 'e'
	ReplaceBody  Reply = 'b'
)

// Actions are what a filter may want, as a set of bits.
type Actions uint32

// The bits of Actions.
const (
	MayAddHeaders Actions = 1 << iota
	MayChangeBody
	MayAddRcpts
	MayDeleteRcpts
	MayChangeHeaders
	MayQuarantine
	MayChangeFrom
	MayAddRcptsWithArgs
	MayNameMacros

	AllActions = MayNameMacros<<1 - 1
)

// Steps are what a filter does not want to be told or to answer, and what it can do, as a set of bits.
type Steps uint32

// The bits of Steps.
const (
	NoConnect Steps = 1 << iota
	NoHelo
	NoMail
	NoRcpt
	NoBody
	NoHeaders
	NoEndOfHeader
	NoReplyHeader
	NoUnknown
	NoData
	MaySkip
	WantsRefusedRcpts
	NoReplyConnect
	NoReplyHelo
	NoReplyMail
	NoReplyRcpt
	NoReplyData
	NoReplyUnknown
	NoReplyEndOfHeader
	NoReplyBody
	LeadingSpace
)

// Never are the steps that leave a command out.
const Never = NoConnect | NoHelo | NoMail | NoRcpt | NoBody | NoHeaders | NoEndOfHeader | NoUnknown | NoData

// Version is the newest version of the protocol.
const Version = 6

// StepsOf are those that a version of the protocol has; a version that there is not has those of the next lower one.
func StepsOf(version uint32) Steps {
	const (
		two   = NoConnect | NoHelo | NoMail | NoRcpt | NoBody | NoHeaders | NoEndOfHeader
		three = two | NoUnknown
		four  = three | NoData
		six   = LeadingSpace<<1 - 1
	)
	switch {
	case version >= 6:
		return six
	case version >= 4:
		return four
	case version == 3:
		return three
	}
	return two
}

// The kinds of address of Connect.
const (
	FamilyUnknown = 'U'
	FamilyUnix    = 'L'
	FamilyIPv4    = '4'
	FamilyIPv6    = '6'
)

// Stage is a place for macros, in the answer to Negotiate.
type Stage uint32

// The stages.
const (
	AtConnect Stage = iota
	AtHelo
	AtMail
	AtRcpt
	AtData
	AtEndOfMessage
	AtEndOfHeader
	stages
)
