package msglog

import (
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"toastmaster/internal/dsn"
)

// appendTime appends t in UTC: 2006-01-02T15:04:05.000Z. time.AppendFormat
// takes several times as long for a layout that is not RFC 3339 itself.
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = appendPadded(b, year, 4)
	b = appendPadded(append(b, '-'), int(month), 2)
	b = appendPadded(append(b, '-'), day, 2)
	b = appendPadded(append(b, 'T'), hour, 2)
	b = appendPadded(append(b, ':'), minute, 2)
	b = appendPadded(append(b, ':'), second, 2)
	b = appendPadded(append(b, '.'), t.Nanosecond()/1e6, 3)
	return append(b, 'Z')
}

// appendPadded appends the last width digits of n.
func appendPadded(b []byte, n, width int) []byte {
	for i := range width {
		b = append(b, byte('0'+n/powersOf10(width-1-i)%10))
	}
	return b
}

func powersOf10(n int) int { return [...]int{1, 10, 100, 1000}[n] }

// appendSeconds keeps two significant digits below ten seconds, as Postfix's
// delay= does (delay_logging_resolution_limit).
func appendSeconds(b []byte, d time.Duration) []byte {
	switch d = max(d, 0); {
	case d == 0:
		return append(b, '0')
	case d < 100*time.Millisecond:
		ms := int64(d.Round(time.Millisecond) / time.Millisecond)
		b = append(b, '0', '.')
		b = append(b, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
	case d < 10*time.Second:
		cs := int64(d.Round(10*time.Millisecond) / (10 * time.Millisecond))
		b = append(strconv.AppendInt(b, cs/100, 10), '.', byte('0'+cs/10%10), byte('0'+cs%10))
	default:
		b = strconv.AppendInt(b, int64(d.Round(time.Second)/time.Second), 10)
	}
	return b
}

func appendDelays(b []byte, d [4]time.Duration) []byte {
	for i, v := range d {
		if i > 0 {
			b = append(b, '/')
		}
		b = appendSeconds(b, v)
	}
	return b
}

func appendStatus(b []byte, s dsn.Status) []byte {
	b = append(strconv.AppendInt(b, int64(s.Class()), 10), '.')
	b = append(strconv.AppendInt(b, int64(s.Subject()), 10), '.')
	return strconv.AppendInt(b, int64(s.Detail()), 10)
}

// appendText appends s as it is, or quoted when it would not stand for itself.
func appendText(b []byte, s string) []byte {
	if s == "" || needsQuotes(s) {
		return strconv.AppendQuote(b, s)
	}
	return append(b, s...)
}

func needsQuotes(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c == '"' || c == 0x7f {
			return true
		}
		if c >= utf8.RuneSelf {
			return hasUnprintable(s[i:])
		}
	}
	return false
}

func hasUnprintable(s string) bool {
	for i, r := range s {
		if r <= ' ' || r == '"' || !unicode.IsPrint(r) || r == utf8.RuneError && !utf8.ValidString(s[i:]) {
			return true
		}
	}
	return false
}

// maxValue is the longest text of an event. It is no parameter: programs that read
// logs cut at a few thousand octets a line.
const maxValue = 1024

// cut shortens what a peer may have made long.
func cut(s string) string {
	if len(s) <= maxValue {
		return s
	}
	return s[:maxValue] + "..."
}
