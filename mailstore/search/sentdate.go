package search

import (
	"net/mail"
	"time"
)

// parseDate reads a Date field as net/mail does; the forms that nearly all have
// without its trials, each of which that fails makes an error.
func parseDate(s []byte) (t time.Time, ok bool) {
	if t, ok = parseUsualDate(s); ok {
		return t, true
	}
	t, err := mail.ParseDate(string(s))
	return t, err == nil
}

// parseUsualDate reads "Thu, 26 Nov 2026 23:30:00 -0800", "Thu, 26 Nov 2026 23:30:00
// +0000 (UTC)", as Postfix writes it, and "Thu, 26 Nov 2026 23:30:00 GMT".
func parseUsualDate(s []byte) (t time.Time, ok bool) {
	r := dateReader{s: s, ok: true}
	if len(s) > 4 && s[3] == ',' {
		r.name("MonTueWedThuFriSatSun")
		r.octet(',')
		r.octet(' ')
	}
	day := r.number(1, 2)
	r.octet(' ')
	month := time.Month(r.name("JanFebMarAprMayJunJulAugSepOctNovDec") + 1)
	r.octet(' ')
	year := r.number(4, 4)
	r.octet(' ')
	hour := r.number(2, 2)
	r.octet(':')
	minute := r.number(2, 2)
	r.octet(':')
	second := r.number(2, 2)
	r.octet(' ')
	offset := r.zone()
	r.comment()
	if !r.ok || len(r.s) > 0 || hour > 23 || minute > 59 || second > 59 {
		return t, false
	}
	zone := time.UTC
	if offset != 0 {
		zone = time.FixedZone("", offset)
	}
	t = time.Date(year, month, day, hour, minute, second, 0, zone)
	return t, day > 0 && t.Day() == day
}

// dateReader reads a string from its start; ok is false after the first mistake.
type dateReader struct {
	s  []byte
	ok bool
}

// zone reads a zone and returns its seconds east of UTC.
func (r *dateReader) zone() int {
	if string(r.s) == "GMT" { // nothing behind it: net/mail reads that in another way
		r.s = nil
		return 0
	}
	east := 1
	if len(r.s) > 0 && r.s[0] == '-' {
		east = -1
		r.octet('-')
	} else {
		r.octet('+')
	}
	hour, minute := r.number(2, 2), r.number(2, 2)
	r.ok = r.ok && hour <= 23 && minute <= 59
	return east * (hour*60 + minute) * 60
}

// comment reads a comment that has letters and the like, if there is one.
func (r *dateReader) comment() {
	if len(r.s) == 0 {
		return
	}
	r.octet(' ')
	r.octet('(')
	for len(r.s) > 0 && r.s[0] > ' ' && r.s[0] < 0x7f && r.s[0] != '(' && r.s[0] != ')' && r.s[0] != '\\' {
		r.s = r.s[1:]
	}
	r.octet(')')
}

func (r *dateReader) octet(c byte) {
	if r.ok = r.ok && len(r.s) > 0 && r.s[0] == c; r.ok {
		r.s = r.s[1:]
	}
}

// number reads as many digits as there are, from least to most.
func (r *dateReader) number(least, most int) (v int) {
	n := 0
	for n < most && n < len(r.s) && '0' <= r.s[n] && r.s[n] <= '9' {
		v = 10*v + int(r.s[n]-'0')
		n++
	}
	r.ok, r.s = r.ok && n >= least, r.s[n:]
	return v
}

// name reads one of the words of three letters that names is made of, and returns
// its number.
func (r *dateReader) name(names string) int {
	if len(r.s) < 3 {
		r.ok = false
		return 0
	}
	for i := 0; i < len(names); i += 3 {
		if string(r.s[:3]) == names[i:i+3] {
			r.s = r.s[3:]
			return i / 3
		}
	}
	r.ok = false
	return 0
}
