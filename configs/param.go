package configs

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Param is one parameter. It is made by the row functions below, which bind it
// to a field, so that a name, its default and its bounds stand in one place.
type Param struct {
	// Name is "section.key".
	Name string
	// Kind and Allowed are for people: "size", "0 to 10 GiB".
	Kind    string
	Allowed string
	// Default is the default as the file would write it.
	Default string
	Text    string
	// Names are what Postfix and Dovecot call it, or something near it.
	Names []string
	// Tables are the lookup tables of a parameter that is a list of them; nil for
	// others.
	Tables func() []string

	// table says that it is one of a list of tables, [[section]]: Name is that of the
	// declaration, and of a table that is there "section.name.key".
	table bool
	// inherited is the parameter whose value is the default of one of [[listener]], "" for others.
	inherited string
	// agents are those that a parameter of [[transport]] is for, none is all; needed
	// says that they do not work without it.
	agents []string
	needed bool
	// set parses a TOML value: string, int64, float64, bool or []any of them.
	set func(v any) error
	// show is the present value as the file would write it.
	show func() string
	// get and put are the present value as it is; put takes what get of the same parameter gave.
	get func() any
	put func(v any)
}

// Value is the present value as the file would write it.
func (p Param) Value() string { return p.show() }

// IsDefault says that the present value is the default.
func (p Param) IsDefault() bool { return p.show() == p.Default }

// Also adds names that Postfix or Dovecot have for the parameter, for who looks
// for it by them. Those in the text need no mention.
func (p Param) Also(names ...string) Param {
	p.Names = append(p.Names, names...)
	return p
}

// of says that a parameter of [[transport]] is for these agents alone: with another one
// it is a mistake.
func (p Param) of(agents ...string) Param {
	p.agents = agents
	p.Text += " For the agent " + inWords(agents) + "."
	return p
}

// must says that the agents of a parameter do not work without it.
func (p Param) must() Param {
	p.needed = true
	p.Text += " It must be given."
	return p
}

func newParam[T any](name, kind, allowed, text string, field *T, def T, parse func(any) (T, error), show func(T) string) Param {
	*field = def
	return Param{
		Name: name, Kind: kind, Allowed: allowed, Default: show(def), Text: text,
		set: func(v any) error {
			parsed, err := parse(v)
			if err == nil {
				*field = parsed
			}
			return err
		},
		show: func() string { return show(*field) },
		get:  func() any { return *field },
		put:  func(v any) { *field = v.(T) },
	}
}

// Int is a whole number between low and high.
func Int(name string, field *int, def, low, high int, text string) Param {
	allowed := fmt.Sprintf("%d to %d", low, high)
	return newParam(name, "number", allowed, text, field, def, func(v any) (int, error) {
		n, ok := v.(int64)
		if !ok || n < int64(low) || n > int64(high) {
			return 0, notAllowed(v, "a number from "+allowed)
		}
		return int(n), nil
	}, strconv.Itoa)
}

// Size is a number of octets, written as a number or as ParseSize reads it.
func Size(name string, field *int64, def, low, high int64, text string) Param {
	allowed := fmt.Sprintf("%s to %s", formatSize(low), formatSize(high))
	return newParam(name, "size", allowed, text, field, def, func(v any) (int64, error) {
		n, err := parseSize(v)
		if err != nil || n < low || n > high {
			return 0, notAllowed(v, `a size from `+allowed+`, such as "50 MiB"`)
		}
		return n, nil
	}, func(n int64) string { return strconv.Quote(formatSize(n)) })
}

// Duration is a time, written "90s", "5m", "4h", "5d".
func Duration(name string, field *time.Duration, def, low, high time.Duration, text string) Param {
	allowed := fmt.Sprintf("%s to %s", formatDuration(low), formatDuration(high))
	return newParam(name, "time", allowed, text, field, def, func(v any) (time.Duration, error) {
		d, err := parseDuration(v)
		if err != nil || d < low || d > high {
			return 0, notAllowed(v, `a time from `+allowed+`, such as "90s", "5m", "4h" or "5d"`)
		}
		return d, nil
	}, func(d time.Duration) string { return strconv.Quote(formatDuration(d)) })
}

// Bool is true or false.
func Bool(name string, field *bool, def bool, text string) Param {
	return newParam(name, "boolean", "true or false", text, field, def, func(v any) (bool, error) {
		b, ok := v.(bool)
		if !ok {
			return false, notAllowed(v, "true or false, which stand without quotes")
		}
		return b, nil
	}, strconv.FormatBool)
}

// String is a text that check accepts; check may be nil.
func String(name string, field *string, def, allowed string, check func(string) error, text string) Param {
	return newParam(name, "text", allowed, text, field, def, func(v any) (string, error) {
		s, ok := v.(string)
		if !ok {
			return "", notAllowed(v, allowed)
		}
		if check != nil {
			if err := check(s); err != nil {
				return "", notTaken(s, err, allowed)
			}
		}
		return s, nil
	}, strconv.Quote)
}

// Choice is one of several words.
func Choice(name string, field *string, def string, choices []string, text string) Param {
	allowed := strings.Join(choices, ", ")
	return newParam(name, "choice", allowed, text, field, def, func(v any) (string, error) {
		s, ok := v.(string)
		if !ok || !slices.Contains(choices, s) {
			return "", notAllowed(v, "one of "+allowed)
		}
		return s, nil
	}, strconv.Quote)
}

// List is a list of texts, each of which check accepts; check may be nil.
func List(name string, field *[]string, def []string, allowed string, check func(string) error, text string) Param {
	return newParam(name, "list", allowed, text, field, def, func(v any) ([]string, error) {
		items, ok := v.([]any)
		if !ok {
			return nil, noList(v, allowed)
		}
		out := make([]string, 0, len(items))
		for _, item := range items {
			s, ok := item.(string)
			if !ok {
				return nil, notAllowed(item, "a list of texts: "+allowed)
			}
			if check != nil {
				if err := check(s); err != nil {
					return nil, notTaken(s, err, allowed)
				}
			}
			out = append(out, s)
		}
		return out, nil
	}, func(items []string) string {
		quoted := make([]string, len(items))
		for i, s := range items {
			quoted[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	})
}

func notAllowed(v any, want string) error {
	return fmt.Errorf("%v is not %s", v, want)
}

// notTaken is the error of a check, with the text that it is about.
func notTaken(s string, err error, allowed string) error {
	if !strings.Contains(err.Error(), s) || s == "" {
		err = fmt.Errorf("%q: %w", s, err)
	}
	return fmt.Errorf("%w (allowed: %s)", err, allowed)
}

// noList says how a text that stands where a list must is written, as Postfix writes it
// with commas.
func noList(v any, allowed string) error {
	s, ok := v.(string)
	if !ok {
		return notAllowed(v, "a list: "+allowed)
	}
	var items []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, strconv.Quote(item))
		}
	}
	return fmt.Errorf("%q is no list: write [%s] (allowed: %s)", s, strings.Join(items, ", "), allowed)
}

// sizeUnits are those that formatSize writes.
var sizeUnits = []struct {
	suffix string
	n      int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

func parseSize(v any) (int64, error) {
	if n, ok := v.(int64); ok {
		return n, nil
	}
	s, ok := v.(string)
	if !ok {
		return 0, strconv.ErrSyntax
	}
	return ParseSize(s)
}

// ParseSize reads a size as a person writes it: a number of octets, or one with K, M, G or
// T behind it, in any case, with or without "iB" or "B". They are powers of 1024, as
// Postfix's and Dovecot's are.
func ParseSize(text string) (int64, error) {
	s := strings.TrimSpace(text)
	s = strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(s), "B"), "I")
	factor := int64(1)
	for i, unit := range []string{"K", "M", "G", "T"} {
		if rest, ok := strings.CutSuffix(s, unit); ok {
			s, factor = rest, 1<<(10*(i+1))
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return 0, fmt.Errorf("%q is not a size such as 500M or 2GiB", text)
	}
	return n * factor, nil
}

func formatSize(n int64) string {
	for _, u := range sizeUnits {
		if n >= u.n && n%u.n == 0 {
			return fmt.Sprintf("%d %s", n/u.n, u.suffix)
		}
	}
	return strconv.FormatInt(n, 10)
}

const day = 24 * time.Hour

func parseDuration(v any) (time.Duration, error) {
	s, ok := v.(string)
	if !ok {
		return 0, strconv.ErrSyntax
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 32)
		return time.Duration(n) * day, err
	}
	return time.ParseDuration(s)
}

func formatDuration(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}
