package bounce

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"toastmaster/configs"
	"toastmaster/internal/mime"
	"toastmaster/mta/agent"
)

// template is the text of a report for people (Postfix bounce(5)).
type template struct {
	from, subject, postmasterSubject string
	// text ends with a line end. It is UTF-8; eight says that it has more than ASCII.
	text  string
	eight bool
}

// templates are those of bounce.template_file; a kind that it does not name has our own text.
type templates map[agent.Kind]template

// templateNames are the names that bounce(5) gives them.
func templateNames() map[string]agent.Kind {
	return map[string]agent.Kind{"failure_template": agent.Failure, "delay_template": agent.Delay, "success_template": agent.Success, "verify_template": agent.Verified}
}

// maxTemplateFile bounds what is read of bounce.template_file.
const maxTemplateFile = 1 << 20

// CheckTemplateFile says why New would not take it as bounce.template_file.
func CheckTemplateFile(name string, v Values) error {
	_, err := readTemplates(name, v)
	return err
}

// readTemplates reads bounce.template_file. Errors name the file and the line; the parameter
// is the caller's to name.
func readTemplates(name string, v Values) (templates, error) {
	if name == "" {
		return nil, nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxTemplateFile {
		return nil, fmt.Errorf("%s is no file of at most 1 MiB", name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	all, err := parseTemplates(string(text), v)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", name, err)
	}
	return all, nil
}

// parseTemplates reads "name = <<MARK", lines, "MARK", over and over; "#" begins a comment
// between them.
func parseTemplates(text string, v Values) (templates, error) {
	all := templates{}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for n := 0; n < len(lines); n++ {
		line := strings.TrimSpace(lines[n])
		if line == "" || line[0] == '#' {
			continue
		}
		name, mark, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		mark, here := strings.CutPrefix(strings.TrimSpace(mark), "<<")
		mark = strings.TrimSpace(mark)
		kind, known := templateNames()[name]
		switch {
		case !ok || !here || mark == "":
			return nil, fmt.Errorf("%d: want \"name = <<MARK\"", n+1)
		case !known:
			return nil, fmt.Errorf("%d: %q is none of failure_template, delay_template, success_template and verify_template", n+1, name)
		}
		first := n + 1
		for n++; n < len(lines) && strings.TrimRight(lines[n], " \t\r") != mark; n++ {
		}
		if n == len(lines) {
			return nil, fmt.Errorf("%d: %s has no end: the line %s", first, name, mark)
		}
		t, at, err := parseTemplate(lines[first:n], v)
		if err != nil {
			return nil, fmt.Errorf("%d: %s: %w", first+at+1, name, err)
		}
		if _, twice := all[kind]; twice {
			return nil, fmt.Errorf("%d: %s is there twice", first, name)
		}
		all[kind] = t
	}
	delete(all, "")
	return all, nil
}

// parseTemplate reads a header of Charset, From, Subject and Postmaster-Subject, in which "$" is
// itself, and the text behind the empty line. at is the line that err is about.
func parseTemplate(lines []string, v Values) (t template, at int, err error) {
	charset := "us-ascii"
	fields := map[string]*string{"charset": &charset, "from": &t.from, "subject": &t.subject, "postmaster-subject": &t.postmasterSubject}
	for at = 0; at < len(lines) && strings.TrimSpace(lines[at]) != ""; at++ {
		name, value, ok := strings.Cut(lines[at], ":")
		field := fields[strings.ToLower(name)]
		value = strings.TrimSpace(value)
		switch {
		case !ok || field == nil:
			return t, at, fmt.Errorf("%q is no field Charset, From, Subject or Postmaster-Subject, and no empty line ends the header", lines[at])
		case value == "" || !printableASCII(value):
			return t, at, fmt.Errorf("%s is empty, or not ASCII", name)
		}
		*field = value
	}
	switch {
	case t.from == "" || t.subject == "":
		return t, 0, errors.New("it has no From, or no Subject")
	case at == len(lines):
		return t, at - 1, errors.New("no empty line, and no text, stands behind the header")
	}
	if t.postmasterSubject == "" {
		t.postmasterSubject = "Postmaster Copy: " + t.subject
	}
	for at++; at < len(lines); at++ {
		line, err := v.expand(strings.TrimSuffix(lines[at], "\r"))
		switch {
		case err != nil:
			return t, at, err
		case !utf8.ValidString(line):
			return t, at, errors.New("the text is not UTF-8")
		case len(line) > 990:
			return t, at, errors.New("the line is longer than 990 octets")
		}
		t.eight = t.eight || mime.Has8Bit([]byte(line))
		t.text += line + "\n"
	}
	if !strings.EqualFold(charset, "utf-8") && (t.eight || !strings.EqualFold(charset, "us-ascii")) {
		return t, 0, fmt.Errorf("the charset is %s: write the text in UTF-8, and Charset: utf-8", charset)
	}
	return t, 0, nil
}

func printableASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' })
}

// Values are what "$name" in a template stands for. ValuesOf makes them.
type Values struct {
	// Hostname is main.hostname. MailName is what the program calls itself.
	Hostname, MailName string
	SizeLimit          int64
	// The times of qmgr.delay_warning_time and qmgr.queue_lifetime.
	DelayWarning, QueueLifetime time.Duration
}

// ValuesOf takes them from a configuration.
func ValuesOf(c *configs.Config) Values {
	return Values{
		Hostname: c.Main.Hostname, MailName: "Toastmaster", SizeLimit: c.Bounce.SizeLimit,
		DelayWarning: c.Qmgr.DelayWarningTime, QueueLifetime: c.Qmgr.QueueLifetime,
	}
}

// value finds a parameter by Postfix's name; a time may have its unit behind it
// (maximal_queue_lifetime_days).
func (v Values) value(name string) (string, bool) {
	_, domain, _ := strings.Cut(v.Hostname, ".")
	switch name {
	case "myhostname", "myorigin":
		return v.Hostname, true
	case "mydomain":
		return domain, true
	case "mail_name":
		return v.MailName, true
	case "bounce_size_limit":
		return strconv.FormatInt(v.SizeLimit, 10), true
	}
	for prefix, d := range map[string]time.Duration{"delay_warning_time": v.DelayWarning, "maximal_queue_lifetime": v.QueueLifetime} {
		rest, is := strings.CutPrefix(name, prefix)
		if !is {
			continue
		}
		unit := map[string]time.Duration{
			"": time.Second, "_seconds": time.Second, "_minutes": time.Minute, "_hours": time.Hour, "_days": 24 * time.Hour, "_weeks": 7 * 24 * time.Hour,
		}[rest]
		if unit == 0 {
			return "", false
		}
		return strconv.FormatInt(int64(d/unit), 10), true
	}
	return "", false
}

// expand replaces $name, ${name} and $(name); "$$" is a dollar.
func (v Values) expand(s string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "$")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		if s, found = strings.CutPrefix(rest, "$"); found {
			b.WriteByte('$')
			continue
		}
		name := rest
		s = ""
		if end := strings.IndexByte("{(", firstOf(rest)); firstOf(rest) != 0 && end >= 0 {
			var closed bool
			if name, s, closed = strings.Cut(rest[1:], "})"[end:end+1]); !closed {
				return "", fmt.Errorf("$%s has no end", rest)
			}
		} else if i := strings.IndexFunc(rest, func(c rune) bool {
			return c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
		}); i >= 0 {
			name, s = rest[:i], rest[i:]
		}
		value, known := v.value(name)
		if !known {
			return "", fmt.Errorf("$%s is no parameter that stands in templates (write $$ for a dollar)", name)
		}
		b.WriteString(value)
	}
}

func firstOf(s string) byte {
	if s == "" {
		return 0
	}
	return s[0]
}
