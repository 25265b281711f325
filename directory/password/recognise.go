package password

import (
	"fmt"
	"regexp"
	"strings"
)

// marked is how a hash begins: "{SCHEME}", or crypt(3)'s "$method$".
var marked = regexp.MustCompile(`^(\{[A-Za-z0-9.-]+\}|\$[A-Za-z0-9._-]{1,16}\$)`)

// Recognise says whether text, which stands where a password or a hash may
// stand, is a hash that Verify can read. What begins as a hash and is none, or
// one of a method that Verify does not know, is an error: taken for a password,
// nobody could log in with the one that is behind it, and the hash would be in
// use as a password. The error never holds more of text than its mark.
func Recognise(text string) (hash bool, err error) {
	mark := marked.FindString(text)
	if mark == "" {
		return false, nil
	}
	if err := Check(text); err != nil {
		return false, fmt.Errorf("it begins as a hash, with %s%s: %w", mark, methodName(mark), err)
	}
	return true, nil
}

// methodName is the name of a method that is not read here, for people.
func methodName(mark string) string {
	for _, m := range [][2]string{
		{"$y$", "yescrypt"}, {"$gy$", "gost-yescrypt"}, {"$7$", "scrypt"}, {"$apr1$", "Apache's MD5"}, {"$P$", "phpass"},
		{"$H$", "phpass"}, {"$S$", "Drupal"}, {"$sha1$", "NetBSD's SHA-1"}, {"$md5$", "Solaris' MD5"}, {"$3$", "NT hash"},
	} {
		if strings.EqualFold(m[0], mark) {
			return " (" + m[1] + ", which is not supported)"
		}
	}
	return ""
}
