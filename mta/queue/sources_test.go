package queue

import (
	"strings"
	"testing"

	"toastmaster/internal/envelope"
)

// TestGoldenSources: how a message came is a word in the queue, and stays that word: these files were written when the program knew
// the word alone.
func TestGoldenSources(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"", "ESMTPSA", "LMTP", "local", "QMQP", "bounce", "redirect", "vacation", "verify", "carrier pigeon"} {
		env := goldenEnvelope()
		env.Origin = envelope.Origin{Session: "s"}
		env.Origin.Came(word)
		r := &record{env: env, prefixSize: 12, contentSize: int64(len(goldenText) - 12)}
		name := "source-" + strings.ToLower(strings.ReplaceAll(word, " ", "-")) + "-2"
		sameRecord(t, name, goldenFiles.Current(t, name, append(encodeMessage(r), goldenText...)), env, false, checksum{})
	}
}
