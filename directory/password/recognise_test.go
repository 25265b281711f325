package password_test

import (
	"strings"
	"testing"

	"toastmaster/directory/password"
)

// TestRecognise: hashes of other hosts as they stand in their files, beside
// passwords that only look a little like one.
func TestRecognise(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/":                                                                                 "hash",
		"$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8":                                                          "hash",
		"$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.":               "hash",
		"$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW":                                                       "hash",
		"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW":                                                       "hash",
		"{SHA512-CRYPT}$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.": "hash",
		"{PLAIN}$6$": "hash",
		"$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7": "yescrypt",
		"$apr1$salt$xxxxxxxxxxxxxxxxxxxxxx":                                         "Apache's MD5",
		"$1$money":                                                                  "begins as a hash, with $1$",
		"$6$short$x":                                                                "begins as a hash, with $6$",
		"{NOSUCH}abc":                                                               "begins as a hash, with {NOSUCH}",
		"{SSHA}x":                                                                   "begins as a hash, with {SSHA}",
		"secret":                                                                    "",
		"$ecret":                                                                    "",
		"$$$":                                                                       "",
		"{curly":                                                                    "",
		"pa$1$word":                                                                 "",
		"$two words$ long":                                                          "",
	} {
		hash, err := password.Recognise(text)
		switch {
		case want == "hash" && (!hash || err != nil):
			t.Errorf("%s: %v %v", text, hash, err)
		case want == "" && (hash || err != nil):
			t.Errorf("%s: %v %v", text, hash, err)
		case want != "hash" && want != "" && (hash || err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v %v", text, hash, err)
		case err != nil && len(text) > 20 && strings.Contains(err.Error(), text[12:]):
			t.Errorf("the error holds the hash: %v", err)
		}
	}
}
