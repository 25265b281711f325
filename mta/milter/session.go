package milter

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"

	"toastmaster/internal/milter"
)

// Session is what filters hear of a client. It belongs to one goroutine. Close ends it.
type Session struct {
	f      *Filters
	id     string
	lookup Lookup
	links  []*link
	// discards says that a filter has discarded the message: none hears more of it.
	discards bool
}

// stage is a place of macros.
type stage int

const (
	atConnect stage = iota
	atHelo
	atMail
	atRcpt
	atData
	atEndOfMessage
	atEndOfHeader
	atUnknown
	stages
)

// event is a command, as all filters hear it.
type event struct {
	code milter.Command
	at   stage
	// leaves is the bit that leaves the command out, silent the one that leaves out its answer.
	leaves, silent milter.Steps
	data           []byte
	// refused says that the command was refused without asking the filters.
	refused bool
}

// tell tells all filters that want to hear it. The first that refuses ends it.
func (s *Session) tell(ctx context.Context, e event) (v Verdict) {
	if s.discards {
		return Verdict{}
	}
	for _, l := range s.links {
		if e.refused && !l.wantsRefused() {
			continue
		}
		got := l.tell(ctx, e)
		v.Hold = v.Hold || got.Hold
		if got.Err != nil || got.Discard {
			v.Err, v.Discard = got.Err, got.Discard
			s.discards = got.Discard
			break
		}
	}
	return v
}

// Connect tells of a client, with its verified name or "unknown". One that has no address is one of this host. A refusal holds until
// the session is over; see Standing.
func (s *Session) Connect(ctx context.Context, name string, client netip.AddrPort) Verdict {
	a := client.Addr().Unmap()
	family, text := byte(milter.FamilyIPv4), a.String()
	switch {
	case !a.IsValid():
		family, text, name = milter.FamilyIPv4, "127.0.0.1", "localhost"
	case a.Is6():
		family = milter.FamilyIPv6
		text = "IPv6:" + text
	}
	if name == "unknown" {
		name = "[" + a.String() + "]"
	}
	data := append(milter.Strings(name), family)
	data = append(binary.BigEndian.AppendUint16(data, client.Port()), milter.Strings(text)...)
	return s.tell(ctx, event{code: milter.Connect, at: atConnect, leaves: milter.NoConnect, silent: milter.NoReplyConnect, data: data})
}

// Standing is the refusal that holds for the client, since Connect or Helo.
func (s *Session) Standing() (v Verdict) {
	for _, l := range s.links {
		if l.state == refused || l.state == broken {
			v.Hold = v.Hold || l.verdict.Hold
			if l.verdict.Err != nil {
				return l.verdict
			}
		}
	}
	return v
}

// Helo tells the name in HELO or EHLO. A refusal holds until the session is over.
func (s *Session) Helo(ctx context.Context, name string) Verdict {
	return s.tell(ctx, event{code: milter.Helo, at: atHelo, leaves: milter.NoHelo, silent: milter.NoReplyHelo, data: milter.Strings(name)})
}

// Mail tells of MAIL: the address in angle brackets, and parameters, as the client wrote them.
func (s *Session) Mail(ctx context.Context, args []string) Verdict {
	s.discards = false
	return s.tell(ctx, event{code: milter.Mail, at: atMail, leaves: milter.NoMail, silent: milter.NoReplyMail, data: milter.Strings(args...)})
}

// Rcpt tells of RCPT. Of one that was refused hear those that have asked for it, and cannot change it.
func (s *Session) Rcpt(ctx context.Context, args []string, refused bool) Verdict {
	e := event{code: milter.Rcpt, at: atRcpt, leaves: milter.NoRcpt, silent: milter.NoReplyRcpt, data: milter.Strings(args...), refused: refused}
	if v := s.tell(ctx, e); !refused {
		return v
	}
	return Verdict{}
}

// Data tells of DATA, and of the first BDAT.
func (s *Session) Data(ctx context.Context) Verdict {
	return s.tell(ctx, event{code: milter.Data, at: atData, leaves: milter.NoData, silent: milter.NoReplyData})
}

// Unknown tells of a command that there is not.
func (s *Session) Unknown(ctx context.Context, line string) Verdict {
	return s.tell(ctx, event{code: milter.Unknown, at: atUnknown, leaves: milter.NoUnknown, silent: milter.NoReplyUnknown, data: milter.Strings(line)})
}

// Abort says that the transaction is over without a message.
func (s *Session) Abort() {
	s.discards = false
	for _, l := range s.links {
		l.abort()
	}
}

// Close ends the session.
func (s *Session) Close() {
	for _, l := range s.links {
		l.close()
	}
}

// macros are the names and values for a filter at a stage, as they are sent.
func (s *Session) macros(ctx context.Context, at stage, agreed *milter.Agreement) []byte {
	names := s.f.usual[at]
	if at < atUnknown && agreed.Macros[at] != "" {
		names = words(agreed.Macros[at])
	}
	var pairs []string
	for _, name := range names {
		if value, ok := s.macro(ctx, bare(name)); ok {
			pairs = append(pairs, name, value)
		}
	}
	return milter.Strings(pairs...)
}

// maxMacros bounds the names that a filter may ask for at a stage. It is no parameter: there are not so many.
const maxMacros = 100

func words(text string) []string {
	var all []string
	from := -1
	for i := 0; i <= len(text); i++ {
		if i < len(text) && !slices.Contains([]byte(" ,\t\r\n"), text[i]) {
			if from < 0 {
				from = i
			}
		} else if from >= 0 {
			if all = append(all, text[from:i]); len(all) == maxMacros {
				break
			}
			from = -1
		}
	}
	return all
}

// macro is what a name says, without braces.
func (s *Session) macro(ctx context.Context, name string) (string, bool) {
	p := &s.f.o.Params
	switch name {
	case "daemon_name":
		if value, ok := s.lookup(ctx, name); ok {
			return value, true
		}
		if p.MacroDaemonName != "" {
			return p.MacroDaemonName, true
		}
		return s.f.o.Hostname, true
	case "v":
		return p.MacroV, true
	case "j":
		return s.f.o.Hostname, true
	}
	if value, ok := s.lookup(ctx, name); ok {
		return value, true
	}
	value, ok := s.f.defaults[name]
	return value, ok
}
