package configs

import (
	"strings"
	"testing"
)

// TestReadMaps: what may be asked for has a name that a client of socketmap_table(5) can say.
func TestReadMaps(t *testing.T) {
	t.Parallel()
	for item, want := range map[string][2]string{
		"directory:mailboxes": {"mailboxes", "directory:mailboxes"}, "boxes=directory:mailboxes": {"boxes", "directory:mailboxes"},
		"access=hash:/etc/access": {"access", "hash:/etc/access"}, "a=inline:{b=c}": {"a", "inline:{b=c}"}, "a=static:b=c": {"a", "static:b=c"},
		"a.b-c_D9=pcre:{{/x:y=z/ OK}}": {"a.b-c_D9", "pcre:{{/x:y=z/ OK}}"},
		"hash:/etc/access":             {}, "inline:{b=c}": {}, "=hash:x": {}, "a b=hash:x": {}, "a=hash": {}, "a=": {}, "": {}, "directory:": {}, "directory:a b": {}, "a/b=hash:x": {},
		"é=hash:x": {}, strings.Repeat("a", 65) + "=hash:x": {}, "a\n=hash:x": {}, "a=:x": {}, "directory:a=b": {},
	} {
		name, table, err := ParseReadMap(item)
		if (err == nil) != (want[0] != "") || err == nil && [2]string{name, table} != want {
			t.Errorf("%q: %q %q %v", item, name, table, err)
		}
	}
	c := Default()
	if lists := c.TableLists()["proxymap.read_maps"]; len(lists) != 6 {
		t.Errorf("%q", lists)
	}
	for text, want := range map[string]string{
		"proxymap.read_maps = [\"a=static:x\", \"b=static:x\",\n\"a=hash:y\"]": `f.toml:2: proxymap.read_maps: "a" is the name of another table already`,
		`proxymap.read_maps = ["hash:/etc/access"]`:                            `a table needs a name by which it is asked for: "name=type:argument"`,
		`proxymap.trusted_networks = ["::/0"]`:                                 "::/0 is everybody: anybody on the Internet could try out which addresses there are",
		`proxymap.listen = ["127.0.0.1:25"]`:                                   `is an address of`,
		`proxymap.unix_listener_mode = "rw"`:                                   "an octal mode",
	} {
		if text == `proxymap.listen = ["127.0.0.1:25"]` {
			text += "\nsmtpd.listen = [\"127.0.0.1:25\"]"
		}
		if _, err := Parse("f.toml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		`proxymap.trusted_networks = ["11.0.0.0/8"]`: "can try out which addresses there are", "proxymap.listen = [\"192.0.2.1:24245\"]": "proxymap.trusted_networks serves none of them",
		"proxymap.listen = [\"unix:s\"]\nproxymap.unix_listener_mode = \"0666\"": "lets every user of this machine try out",
		"proxymap.listen = [\"127.0.0.1:24245\", \"unix:s\"]":                    "",
		`proxymap.trusted_networks = ["10.1.2.3/16"]`:                            "has bits of one host in it",
	} {
		c, err := Parse("f.toml", []byte(text))
		if err != nil {
			t.Error(err)
			continue
		}
		said := ""
		for _, w := range c.Warnings() {
			if strings.Contains(w.Error(), "proxymap.") {
				said += w.Error()
			}
		}
		if (said == "") != (want == "") || !strings.Contains(said, want) {
			t.Errorf("%s: %q, want %q", text, said, want)
		}
	}
}
