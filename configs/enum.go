package configs

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
)

// A word is one value of a parameter that has a few: what stands in the file and
// what it is in the program. Nobody compares the texts later.
type word[T comparable] struct {
	text  string
	value T
}

// enum is a parameter that is one of words.
func enum[T comparable](name string, field *T, def T, words []word[T], text string) Param {
	allowed := texts(words)
	return newParam(name, "choice", allowed, text, field, def, func(v any) (T, error) {
		s, ok := v.(string)
		if value, known := lookUp(words, s); ok && known {
			return value, nil
		}
		return def, notAllowed(v, "one of "+allowed)
	}, func(v T) string { return strconv.Quote(textOf(words, v)) })
}

// enums is a list of words.
func enums[T comparable](name string, field *[]T, words []word[T], text string) Param {
	allowed := texts(words)
	return newParam(name, "list", allowed, text, field, nil, func(v any) ([]T, error) {
		items, ok := v.([]any)
		if !ok {
			return nil, noList(v, allowed)
		}
		out := make([]T, 0, len(items))
		for _, item := range items {
			s, _ := item.(string)
			value, known := lookUp(words, s)
			if !known {
				return nil, notAllowed(item, "one of "+allowed)
			}
			out = append(out, value)
		}
		return out, nil
	}, func(items []T) string {
		quoted := make([]string, len(items))
		for i, item := range items {
			quoted[i] = strconv.Quote(textOf(words, item))
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	})
}

func texts[T comparable](words []word[T]) string {
	var all []string
	for _, w := range words {
		if w.text == "" {
			w.text = "or empty"
		}
		all = append(all, w.text)
	}
	return strings.Join(all, ", ")
}

func lookUp[T comparable](words []word[T], text string) (T, bool) {
	i := slices.IndexFunc(words, func(w word[T]) bool { return w.text == text })
	if i < 0 {
		var none T
		return none, false
	}
	return words[i].value, true
}

func textOf[T comparable](words []word[T], value T) string {
	i := slices.IndexFunc(words, func(w word[T]) bool { return w.value == value })
	if i < 0 {
		return fmt.Sprint("no value: ", value)
	}
	return words[i].text
}

// TLSLevel is what a client of SMTP wants of TLS, the weakest first: smtp.tls_level.
type TLSLevel uint8

// The levels. TLSUnset is the level of the section [smtp], in a transport that
// names none.
const (
	TLSUnset TLSLevel = iota
	TLSNone
	TLSMay
	TLSEncrypt
	TLSFingerprint
	TLSVerify
	TLSSecure
)

func tlsLevels() []word[TLSLevel] {
	return []word[TLSLevel]{
		{"none", TLSNone}, {"may", TLSMay}, {"encrypt", TLSEncrypt}, {"fingerprint", TLSFingerprint}, {"verify", TLSVerify}, {"secure", TLSSecure},
	}
}

func optionalTLSLevels() []word[TLSLevel] {
	return append(tlsLevels(), word[TLSLevel]{"", TLSUnset})
}

// Network is the family of addresses that mail is sent over: smtp.protocols.
type Network uint8

// The families.
const (
	AnyNetwork Network = iota
	IPv4
	IPv6
)

func networks() []word[Network] {
	return []word[Network]{{"all", AnyNetwork}, {"ipv4", IPv4}, {"ipv6", IPv6}}
}

// BareNewline is what is done with a line that ends with LF alone: smtpd.bare_newline.
type BareNewline uint8

// The ways.
const (
	RejectBareNewline BareNewline = iota
	NormalizeBareNewline
	AllowBareNewline
)

func bareNewlines() []word[BareNewline] {
	return []word[BareNewline]{{"reject", RejectBareNewline}, {"normalize", NormalizeBareNewline}, {"allow", AllowBareNewline}}
}

// Tempfail is what a restriction does that cannot find out: smtpd.reject_tempfail_action.
type Tempfail uint8

// The actions. TempfailUnset is smtpd.reject_tempfail_action, in a parameter that takes its place.
const (
	TempfailUnset Tempfail = iota
	TempfailDefer
	TempfailIfPermit
)

func tempfails() []word[Tempfail] {
	return []word[Tempfail]{{"defer", TempfailDefer}, {"defer_if_permit", TempfailIfPermit}}
}

// LogFormat is how events are written: log.format.
type LogFormat uint8

// The formats.
const (
	LogText LogFormat = iota
	LogJSON
	LogPostfix
)

func logFormats() []word[LogFormat] {
	return []word[LogFormat]{{"text", LogText}, {"json", LogJSON}, {"postfix", LogPostfix}}
}

// isoTimestamps says of the words of log.timestamps whether the time is RFC 3339's.
func isoTimestamps() []word[bool] { return []word[bool]{{"syslog", false}, {"iso", true}} }

func logLevels() []word[slog.Level] {
	return []word[slog.Level]{{"debug", slog.LevelDebug}, {"info", slog.LevelInfo}, {"warn", slog.LevelWarn}, {"error", slog.LevelError}}
}

// tlsVersions are those of crypto/tls.
func tlsVersions() []word[uint16] {
	return []word[uint16]{{"1.2", tls.VersionTLS12}, {"1.3", tls.VersionTLS13}}
}
