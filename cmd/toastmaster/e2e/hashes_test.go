package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHashesOfOtherHosts: mailboxes with the hashes that openssl makes, as they
// stand in a passwd-file, log in with the password and not with the hash.
func TestHashesOfOtherHosts(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	const word = "moved-in"
	hashes := map[string]string{}
	var lines strings.Builder
	for name, flag := range map[string]string{"md5": "-1", "sha256": "-5", "sha512": "-6"} {
		hashes[name] = strings.TrimSpace(client(t, b.dir, word+"\n", "/usr/bin/openssl", "passwd", flag, "-stdin"))
		fmt.Fprintf(&lines, "%s@example.test,%s\n", name, hashes[name])
	}
	// Of the crypt_blowfish distribution.
	hashes["bcrypt"] = "$2y$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq"
	fmt.Fprintf(&lines, "bcrypt@example.test,%s\n", hashes["bcrypt"])
	fmt.Fprintf(&lines, "yescrypt@example.test,$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7\n")
	file := filepath.Join(b.dir, "hashes.csv")
	must(t, os.WriteFile(file, []byte(lines.String()), 0o600))
	_, err := b.Run(testContext(t), "", "mailbox", "add", "--from", file)
	if err == nil || !strings.Contains(err.Error(), "yescrypt, which is not supported") || strings.Contains(err.Error(), "X3DX6M94") {
		t.Errorf("%v", err)
	}
	for name, hash := range hashes {
		secret := word
		if name == "bcrypt" {
			secret = "\xa3"
		}
		for given, want := range map[string]string{secret: "a OK", hash: "a NO"} {
			c := converse(t, b.IMAP())
			c.say(t, fmt.Sprintf("a LOGIN %s@example.test {%d}\r\n", name, len(given)), "+")
			if text := c.say(t, given+"\r\n", "a "); !strings.Contains(text, want) {
				t.Errorf("%s with %q: %s", name, given, text)
			}
		}
	}
}
