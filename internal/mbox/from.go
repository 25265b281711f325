package mbox

import (
	"strconv"
	"strings"
	"time"
)

// parseFrom takes a From line apart. ok is false when no date is in it.
func parseFrom(line string) (sender string, date time.Time, ok bool) {
	rest, ok := strings.CutPrefix(line, fromMark)
	if !ok {
		return "", date, false
	}
	fields := strings.Fields(rest)
	for i := len(fields) - 1; i >= 0; i-- {
		month := monthOf(fields[i])
		if month == 0 {
			continue
		}
		if date, ok := dateAround(fields, i, month); ok {
			return senderBefore(fields[:i]), date, true
		}
	}
	return "", date, false
}

// senderBefore is what stands before a date.
func senderBefore(fields []string) string {
	if len(fields) == 0 || isWeekday(fields[0]) {
		return ""
	}
	return fields[0]
}

func monthOf(s string) time.Month {
	const months = "JanFebMarAprMayJunJulAugSepOctNovDec"
	if len(s) != 3 {
		return 0
	}
	i := strings.Index(months, s)
	if i < 0 || i%3 != 0 {
		return 0
	}
	return time.Month(i/3 + 1)
}

func isWeekday(s string) bool {
	switch strings.TrimSuffix(s, ",") {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return true
	}
	return false
}

// dateAround reads "Nov 26 10:00:00 [ZONE] 2026 [ZONE]", as ctime(3) writes it, and
// "26 Nov 2026 10:00:00 ZONE", as RFC 5322 does. fields[i] is the month.
func dateAround(fields []string, i int, month time.Month) (time.Time, bool) {
	next := func(k int) string {
		if i+k < 0 || i+k >= len(fields) {
			return ""
		}
		return fields[i+k]
	}
	if clock, ok := clockOf(next(2)); ok {
		if day, ok := number(next(1), 1, 31); ok {
			for k, zone := range []string{next(4), next(3)} {
				if year, ok := number(next(3+k), 1900, 9999); ok {
					return clock.on(year, month, day, zone), true
				}
			}
		}
		if year, ok := number(next(1), 1900, 9999); ok {
			if day, ok := number(next(-1), 1, 31); ok {
				return clock.on(year, month, day, next(3)), true
			}
		}
	}
	return time.Time{}, false
}

func number(s string, least, most int) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= least && n <= most && s[0] != '+'
}

// clockTime is a time of day.
type clockTime struct{ hour, minute, second int }

// clockOf reads "10:00" and "10:00:00".
func clockOf(s string) (c clockTime, ok bool) {
	parts := strings.Split(s, ":")
	if len(parts) != 2 && len(parts) != 3 {
		return c, false
	}
	var ok1, ok2 bool
	c.hour, ok1 = number(parts[0], 0, 23)
	c.minute, ok2 = number(parts[1], 0, 59)
	if !ok1 || !ok2 {
		return c, false
	}
	if len(parts) == 3 {
		c.second, ok1 = number(parts[2], 0, 60)
	}
	return c, ok1
}

// on is the time on a day. A zone that is no number is UTC.
func (c clockTime) on(year int, month time.Month, day int, zone string) time.Time {
	where := time.UTC
	if t, err := time.Parse("-0700", zone); err == nil {
		where = t.Location()
		if _, offset := t.Zone(); offset != 0 {
			where = time.FixedZone("", offset)
		}
	}
	return time.Date(year, month, day, c.hour, c.minute, c.second, 0, where)
}
