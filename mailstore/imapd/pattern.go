package imapd

import "strings"

// match says whether a mailbox name fits a LIST pattern: "*" stands for
// anything, "%" for anything within one level (RFC 3501 section 6.3.8). It
// takes pattern times name steps, whatever the pattern.
func match(pattern, name string, separator byte) bool {
	if name == inbox {
		pattern = strings.ToUpper(pattern) // INBOX has no case
	}
	// at[i] says that name[:i] fits the part of pattern read so far.
	at := make([]bool, len(name)+1)
	at[0] = true
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*', '%':
			spread(at, name, c, separator)
		default:
			for j := len(name); j > 0; j-- {
				at[j] = at[j-1] && name[j-1] == c
			}
			at[0] = false
		}
	}
	return at[len(name)]
}

// spread lets a wildcard swallow octet by octet.
func spread(at []bool, name string, wildcard, separator byte) {
	for j := 0; j < len(name); j++ {
		if at[j] && (wildcard == '*' || name[j] != separator) {
			at[j+1] = true
		}
	}
}
