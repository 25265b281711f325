package dsn

import (
	"fmt"
	"strconv"
	"strings"
)

// Status is an enhanced status code: class*1,000,000 + subject*1,000 + detail,
// so that 5.1.1 is written 5_001_001. The zero Status means "none".
type Status uint32

// The statuses that this system gives out (RFC 3463 section 3, RFC 5248).
const (
	OK                 Status = 2_000_000
	AddressValid       Status = 2_001_005
	MessageQueued      Status = 2_006_000
	Authenticated      Status = 2_007_000
	BadDestMailbox     Status = 5_001_001
	BadDestSystem      Status = 5_001_002
	BadDestSyntax      Status = 5_001_003
	MailboxMoved       Status = 5_001_006
	BadSenderSyntax    Status = 5_001_007
	NullMX             Status = 5_001_010
	MailboxDisabled    Status = 5_002_001
	MailboxFull        Status = 5_002_002
	MailboxFullNow     Status = 4_002_002 // the temporary twin of MailboxFull
	MessageTooLong     Status = 5_003_004
	MailSystem         Status = 4_003_000
	SystemFull         Status = 4_003_001
	ShuttingDown       Status = 4_003_002
	Misconfigured      Status = 4_003_005
	NoAnswer           Status = 4_004_001
	BadConnection      Status = 4_004_002
	RoutingFailed      Status = 4_004_003
	Unroutable         Status = 5_004_004
	Expired            Status = 4_004_007
	LoopDetected       Status = 5_004_006
	InvalidCommand     Status = 5_005_001
	SyntaxError        Status = 5_005_002
	TooManyRecipients  Status = 4_005_003
	InvalidArguments   Status = 5_005_004
	BadContent         Status = 5_006_000
	NonASCIIAddress    Status = 5_006_007
	Policy             Status = 5_007_001
	PolicyLater        Status = 4_007_001
	AuthRequired       Status = 5_007_000
	AuthFailed         Status = 5_007_008
	AuthUnavailable    Status = 4_007_000
	EncryptionNeeded   Status = 5_007_011
	TooManyConnections Status = 4_007_000
	TooManyErrors      Status = 4_007_000
)

// Class is 2 (success), 4 (temporary) or 5 (permanent); 0 for no status.
func (s Status) Class() int { return int(s / 1_000_000) }

// Subject is the y of x.y.z.
func (s Status) Subject() int { return int(s/1_000) % 1_000 }

// Detail is the z of x.y.z.
func (s Status) Detail() int { return int(s % 1_000) }

// Temporary says that the same thing may succeed later. Only a status of class
// 5 is permanent; everything else that is not success waits.
func (s Status) Temporary() bool { return s.Class() != 5 && s.Class() != 2 }

// Triple is the status as three numbers, the form go-smtp wants.
func (s Status) Triple() [3]int { return [3]int{s.Class(), s.Subject(), s.Detail()} }

// String is the dotted form, "5.1.1".
func (s Status) String() string {
	return fmt.Sprintf("%d.%d.%d", s.Class(), s.Subject(), s.Detail())
}

// Make builds a status from its three numbers.
func Make(class, subject, detail int) Status {
	return Status(class*1_000_000 + subject*1_000 + detail)
}

// Parse reads the dotted form at the start of a reply text. ok is false when
// text does not start with a well-formed code of class 2, 4 or 5 whose subject
// and detail have one to three digits; rest is the text behind it.
func Parse(text string) (s Status, rest string, ok bool) {
	code, rest, _ := strings.Cut(text, " ")
	fields := strings.Split(code, ".")
	if len(fields) != 3 || (fields[0] != "2" && fields[0] != "4" && fields[0] != "5") {
		return 0, text, false
	}
	var n [3]int
	for i, f := range fields {
		v, err := strconv.ParseUint(f, 10, 10)
		if err != nil || v > 999 || len(f) > 3 {
			return 0, text, false
		}
		n[i] = int(v)
	}
	return Make(n[0], n[1], n[2]), rest, true
}

// Split reads a reason that may begin with a status, as Postfix's transport(5) and
// access(5) write it: "5.1.2 No such company". Without one the status is def. What a
// status of the wrong class means is the caller's to say.
func Split(reason string, def Status) (Status, string) {
	reason = strings.TrimSpace(reason)
	code, text := reason, ""
	if i := strings.IndexAny(reason, " \t"); i >= 0 {
		code, text = reason[:i], strings.TrimSpace(reason[i:])
	}
	if s, _, ok := Parse(code); ok {
		return s, text
	}
	return def, reason
}
