package mime

import "unicode/utf8"

// Has8Bit says that text has an octet that is not ASCII (RFC 2045 section 2.8).
func Has8Bit(text []byte) bool {
	for len(text) >= 8 {
		if (text[0]|text[1]|text[2]|text[3]|text[4]|text[5]|text[6]|text[7])&utf8.RuneSelf != 0 {
			return true
		}
		text = text[8:]
	}
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return true
		}
	}
	return false
}
