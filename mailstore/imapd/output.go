package imapd

import (
	"strconv"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/mime"
	"toastmaster/internal/utf7"
)

// appendNumber appends a number.
func appendNumber[T ~uint32 | ~int | ~int64 | ~uint64](dst []byte, n T) []byte {
	return strconv.AppendUint(dst, uint64(n), 10)
}

// appendFlags appends a flag list with its brackets.
func appendFlags(dst []byte, flags []imap.Flag, recent bool) []byte {
	dst = append(dst, '(')
	for i, f := range flags {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, f...)
	}
	if recent {
		if len(flags) > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, `\Recent`...)
	}
	return append(dst, ')')
}

// appendDateTime appends INTERNALDATE's form (RFC 3501 date-time).
func appendDateTime(dst []byte, t time.Time) []byte {
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(dst, dateTime)
	}
	// By hand: reading the layout for each message was a fifth of a mail program's list.
	const months = "JanFebMarAprMayJunJulAugSepOctNovDec"
	hour, minute, second := t.Clock()
	_, zone := t.Zone()
	sign := byte('+')
	if zone /= 60; zone < 0 {
		sign, zone = '-', -zone
	}
	dst = append(dst, '"')
	if day < 10 {
		dst = append(dst, ' ', byte('0'+day))
	} else {
		dst = appendTwo(dst, day)
	}
	dst = append(append(append(dst, '-'), months[3*month-3:3*month]...), '-')
	dst = append(appendTwo(appendTwo(dst, year/100), year%100), ' ')
	dst = append(appendTwo(dst, hour), ':')
	dst = append(appendTwo(dst, minute), ':')
	dst = append(appendTwo(dst, second), ' ', sign)
	return append(appendTwo(appendTwo(dst, zone/60), zone%60), '"')
}

const dateTime = `"_2-Jan-2006 15:04:05 -0700"`

// appendTwo appends two digits.
func appendTwo(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

// appendMailbox appends a mailbox name as a modified UTF-7 astring.
func appendMailbox(dst []byte, name string) []byte {
	return mime.AppendString(dst, utf7.Append(nil, name))
}

// appendUIDSet appends UIDs as a set, runs as ranges, in the order given:
// COPYUID's two sets correspond by position (RFC 4315 section 3).
func appendUIDSet(dst []byte, uids []imap.UID) []byte {
	for i := 0; i < len(uids); {
		j := i + 1
		for j < len(uids) && uids[j] == uids[j-1]+1 {
			j++
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendNumber(dst, uids[i])
		if j-i > 1 {
			dst = append(dst, ':')
			dst = appendNumber(dst, uids[j-1])
		}
		i = j
	}
	return dst
}

// appendAstring appends s as an atom if it is one, else as a string.
func appendAstring(dst []byte, s string) []byte {
	for i := range len(s) {
		if atomEnd[s[i]] || s[i] == ']' || s[i] >= 0x80 {
			return mime.AppendString(dst, []byte(s))
		}
	}
	if s == "" {
		return append(dst, `""`...)
	}
	return append(dst, s...)
}
