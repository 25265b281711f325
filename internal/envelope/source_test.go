package envelope

import (
	"encoding/json"
	"testing"
)

// TestSources: each source has a word and a class of its own kind, and a word leads back to its source.
func TestSources(t *testing.T) {
	t.Parallel()
	words := map[string]Source{}
	for _, s := range Sources() {
		if other, twice := words[s.String()]; twice || s.Class() == "" {
			t.Errorf("%d: %q is %d's, class %q", s, s, other, s.Class())
		}
		words[s.String()] = s
		if s.Submitted() && s.FilterClass() != "" {
			t.Errorf("%v is made here, and handed in", s)
		}
		var o Origin
		o.Came(s.String())
		if o.Source != s || o.Word() != s.String() || o.Protocol != "" && s != SourceQMQP {
			t.Errorf("%v: %+v", s, o)
		}
		text, err := json.Marshal(Origin{Source: s})
		if err != nil {
			t.Fatal(err)
		}
		var back Origin
		if err = json.Unmarshal(text, &back); err != nil || back.Source != s {
			t.Errorf("%s: %+v, %v", text, back, err)
		}
	}
	// What no version has written is a client's: it is believed least.
	for _, word := range []string{"ESMTPSA", "carrier pigeon", "LOCAL"} {
		var o Origin
		if o.Came(word); o.Source != SourceClient || o.Protocol != word || o.Word() != word || o.Source.Submitted() {
			t.Errorf("%q: %+v", word, o)
		}
	}
}
