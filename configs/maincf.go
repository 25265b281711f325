package configs

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// maincfNames are parameters of Postfix that are one of ours under another name, with the same values. What is called
// alike needs no row.
var maincfNames = map[string]string{
	"mynetworks": "main.trusted_networks", "myhostname": "main.hostname", "recipient_delimiter": "main.recipient_delimiter",
	"default_destination_concurrency_limit": "qmgr.destination_concurrency_limit", "default_destination_recipient_limit": "qmgr.destination_recipient_limit",
	"maximal_queue_lifetime": "qmgr.queue_lifetime", "smtp_tls_security_level": "smtp.tls_level", "message_size_limit": "smtpd.message_size_limit",
	"content_filter": "smtpd.content_filter",
}

// ownMacros are parameters whose $names are put in when mail is delivered or refused.
var ownMacros = []string{"mailbox_command", "forward_path", "luser_relay", "default_rbl_reply", "smtpd_reject_footer", "command_execution_directory"}

// maincfPlace is the place in a file that nobody has.
var maincfPlace = regexp.MustCompile(`^toastmaster\.toml:[0-9: ]*`)

// maincfUnits are the units of times that Postfix reads without one; others are seconds.
var maincfUnits = map[string]string{"maximal_queue_lifetime": "d", "bounce_queue_lifetime": "d", "delay_warning_time": "h"}

// WriteMainCF translates what a main.cf of Postfix sets, or what `postconf -n` prints of it, into a configuration, for a
// person to go on with. What has no translation is told behind it, each with what there is of it here. Every value that is
// written is one that Parse takes; whether its files are there nobody asks.
func WriteMainCF(w io.Writer, r io.Reader) error {
	set, order, err := readMainCF(r)
	if err != nil {
		return err
	}
	t := &mainCF{set: set, takenBy: map[string]string{}}
	for _, name := range order {
		t.add(name)
	}
	_, err = fmt.Fprintf(w, "# %d of the %d parameters of a main.cf. Look it over, put it into the configuration, `toastmaster config check`.\n\n%s", t.done, len(order), t.text)
	for i, line := range t.left {
		if i == 0 && err == nil {
			_, err = fmt.Fprint(w, "\n# Not translated, or not quite the same:\n")
		}
		if err == nil {
			_, err = fmt.Fprintf(w, "# %s\n", line)
		}
	}
	return err
}

// readMainCF reads it: a line that begins with white space goes on with the one before, of two of a name the last counts.
func readMainCF(r io.Reader) (set map[string]string, order []string, err error) {
	set = map[string]string{}
	name, lines := "", bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimRight(lines.Text(), " \t\r")
		switch trimmed := strings.TrimLeft(line, " \t"); {
		case trimmed == "" || trimmed[0] == '#':
		case trimmed != line && name == "":
			return nil, nil, fmt.Errorf("line %d: it goes on with a line before, and there is none", n)
		case trimmed != line:
			set[name] = strings.TrimSpace(set[name] + " " + trimmed)
		default:
			key, value, ok := strings.Cut(line, "=")
			if name = strings.TrimSpace(key); !ok || name == "" || strings.ContainsAny(name, " \t") {
				return nil, nil, fmt.Errorf("line %d: expected \"name = value\": %q", n, line)
			}
			if _, twice := set[name]; twice {
				order = slices.DeleteFunc(order, func(s string) bool { return s == name })
			}
			set[name] = strings.TrimSpace(value)
			order = append(order, name)
		}
	}
	return set, order, lines.Err()
}

// mainCF is a translation under way.
type mainCF struct {
	set  map[string]string
	text []byte
	// left are the lines about what is not translated; takenBy is which parameter has set one of ours.
	left    []string
	takenBy map[string]string
	done    int
}

func (t *mainCF) leave(name, format string, args ...any) {
	t.left = append(t.left, fmt.Sprintf("%s = %s: ", name, t.set[name])+fmt.Sprintf(format, args...))
}

// add translates one parameter.
func (t *mainCF) add(name string) {
	said, known := Postfix(name)
	here := hereOf(name)
	value, whole := t.expand(t.set[name], 0)
	switch {
	case name == "smtpd_tls_cert_file" && t.set["smtpd_tls_key_file"] != "" && t.set["smtpd_tls_key_file"] != "$smtpd_tls_cert_file":
		key, _ := t.expand(t.set["smtpd_tls_key_file"], 0)
		t.put(name, "tls.certificates", []string{value + "," + key})
	case name == "smtpd_tls_key_file" && t.takenBy["tls.certificates"] != "":
		t.done++
	case name == "smtp_sasl_password_maps" && isFileTable(value):
		_, file, _ := strings.Cut(value, ":")
		t.put(name, "smtp.password_file", []string{file})
	case !known && here == "":
		t.leave(name, "no parameter of Postfix: one of your own, or of an entry in master.cf")
	case here == "":
		t.leave(name, "%s", said.Answer())
	case slices.Contains(ownMacros, name):
		t.put(name, here, []string{t.set[name]})
	case !whole:
		t.leave(name, "%s; a $name in it is not set in this file", here)
	default:
		t.put(name, here, t.values(name, here, value))
	}
}

// hereOf is the parameter of ours that takes the value of one of Postfix's, "" for none.
func hereOf(name string) string {
	if here := maincfNames[name]; here != "" {
		return here
	}
	found := ""
	for _, p := range Default().Bound() {
		section, key, _ := strings.Cut(p.Name, ".")
		if key != name && section+"_"+key != name {
			continue
		}
		if said, known := Postfix(name); !known || !slices.Contains(said.Here, p.Name) {
			continue
		}
		if found == "" || section+"_"+key == name {
			found = p.Name
		}
	}
	return found
}

func isFileTable(value string) bool {
	kind, file, ok := strings.Cut(value, ":")
	return ok && slices.Contains([]string{"hash", "btree", "texthash", "lmdb", "cdb", "dbm"}, kind) && strings.HasPrefix(file, "/") && !strings.ContainsAny(file, ", ")
}

func (t *mainCF) put(name, here string, values []string) {
	if other := t.takenBy[here]; other != "" {
		t.leave(name, "%s is set by %s already", here, other)
		return
	}
	text, _, err := Set("toastmaster.toml", t.text, here, values)
	if err != nil {
		said, _, _ := strings.Cut(err.Error(), "\n")
		t.leave(name, "%s", maincfPlace.ReplaceAllString(said, ""))
		return
	}
	t.text = text
	t.takenBy[here] = name
	t.done++
	if said, known := Postfix(name); known && said.Text != "" {
		t.left = append(t.left, fmt.Sprintf("%s is translated, but: %s", name, said.Text))
	}
}

// values are those of a parameter of ours.
func (t *mainCF) values(name, here, value string) []string {
	kind := ""
	for _, p := range Default().Bound() {
		if p.Name == here {
			kind = p.Kind
		}
	}
	switch {
	case kind == "list" && strings.HasSuffix(here, "_restrictions"):
		return restrictionItems(here, listItems(value))
	case kind == "list" && here == "main.trusted_networks":
		return networkItems(listItems(value))
	case kind == "list" && value == "":
		return []string{"[]"}
	case kind == "list":
		return listItems(value)
	case kind == "time" && digits.MatchString(value):
		unit := maincfUnits[name]
		if unit == "" {
			unit = "s"
		}
		return []string{value + unit}
	}
	return []string{value}
}

var digits = regexp.MustCompile(`^[0-9]+$`)

// listItems are the items of a list, which commas and white space part; braces hold one together.
func listItems(value string) []string {
	var all []string
	depth, word := 0, strings.Builder{}
	for _, r := range value + " " {
		switch {
		case depth == 0 && strings.ContainsRune(", \t\r\n", r):
			if word.Len() > 0 {
				all = append(all, word.String())
				word.Reset()
			}
			continue
		case r == '{':
			depth++
		case r == '}' && depth > 0:
			depth--
		}
		word.WriteRune(r)
	}
	return all
}

// takesArgument says that a restriction has one.
func takesArgument(name string) bool {
	return strings.HasPrefix(name, "check_") || strings.HasPrefix(name, "reject_rbl_") || strings.HasPrefix(name, "reject_rhsbl_") || name == "permit_dnswl_client" || name == "permit_rhswl_client" || name == "sleep"
}

// restrictionItems has each restriction with its argument. Postfix looks by itself whether a recipient is there
// (smtpd_reject_unlisted_recipient); here that is a restriction, which the list has to have.
func restrictionItems(here string, all []string) []string {
	var items []string
	for i := 0; i < len(all); i++ {
		item := all[i]
		if takesArgument(item) && i+1 < len(all) {
			i++
			item += " " + all[i]
		}
		items = append(items, item)
	}
	if here == "smtpd.recipient_restrictions" {
		for _, own := range []string{"reject_over_quota", "reject_relocated_recipient", "reject_unlisted_recipient"} {
			if !slices.Contains(items, own) {
				items = slices.Insert(items, 0, own)
			}
		}
	}
	if len(items) == 0 {
		items = []string{"[]"}
	}
	return items
}

// networkItems are networks with their length and without brackets.
func networkItems(all []string) []string {
	var items []string
	for _, one := range all {
		one = strings.NewReplacer("[", "", "]", "").Replace(one)
		switch {
		case strings.Contains(one, "/") || strings.HasPrefix(one, "!"):
		case strings.Contains(one, ":"):
			one += "/128"
		default:
			one += "/32"
		}
		items = append(items, one)
	}
	if len(items) == 0 {
		items = []string{"[]"}
	}
	return items
}

var dollar = regexp.MustCompile(`\$(?:\{(\w+)\}|\((\w+)\)|(\w+))`)

// expand puts in what this file sets; whole is false where a name is not set in it.
func (t *mainCF) expand(value string, depth int) (out string, whole bool) {
	whole = depth < 10
	if !whole {
		return value, false
	}
	out = dollar.ReplaceAllStringFunc(value, func(m string) string {
		name := strings.Trim(m, "${}()")
		inner, set := t.set[name]
		if !set {
			whole = false
			return m
		}
		inner, ok := t.expand(inner, depth+1)
		whole = whole && ok
		return inner
	})
	return out, whole
}
