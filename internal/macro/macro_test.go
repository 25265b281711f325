package macro

import (
	"strings"
	"testing"
)

var values = map[string]string{"user": "alice", "extension": "", "home": "/home/$user", "a_1": "-x"}

func names() []string { return []string{"user", "extension", "home", "a_1"} }

func TestExpand(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "plain": "plain", "$user": "alice", "${user}": "alice", "$(user)": "alice", "$user.$user": "alice.alice", "${user}x": "alicex", "$$user": "$user", "a$$": "a$",
		"[$extension]": "[]", "$home/.forward": "/home/$user/.forward", "${extension?+}${extension}": "", "${user?+}x": "+x", "${extension:none}": "none", "${user:none}": "",
		"${user?{a $user}:{b}}": "a alice", "${extension?{a}:{b $user}}": "b alice", "${user?{a}}": "a", "${extension:{x ${user?{y}}}}": "x y", "$(extension:(none))": "(none)", "$a_1": "-x", "{$user}": "{alice}",
		"${user?}": "", "${user?{}:{b}}": "",
	} {
		parsed, err := Parse(text, names())
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := parsed.Expand(func(n string) string { return values[n] }); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	for _, bad := range []string{"$", "a $", "$other", "${user", "$(user", "${}", "$ user", "$-", "${user?{a}b}", "${user?{a}:b}", "${user=a}", "${user?{a}:{b}c}", "${user:{a}:{b}}", "${user?$x}", "${user ?a}",
		strings.Repeat("${user?", 30) + strings.Repeat("}", 30)} {
		if _, err := Parse(bad, names()); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestBeginsAndUses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]bool{"$user": {true, true}, "-f$user": {false, true}, "$home": {true, false}, "x": {}, "": {}, "${extension?{$user}}x": {true, true}, "$$user": {}} {
		parsed, err := Parse(text, names())
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{parsed.Begins(), parsed.Uses("user")}; got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// FuzzParse: what is taken is expanded, to something that has no more than it may have.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"$user", "${user?{a}:{b}}", "$(extension:(x))", "$$", "${home?${user}}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := Parse(s, names())
		if err != nil {
			return
		}
		got := parsed.Expand(func(string) string { return "" })
		if len(got) > len(s) {
			t.Errorf("%q became %q", s, got)
		}
	})
}
