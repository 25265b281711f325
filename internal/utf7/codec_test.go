package utf7

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// TestLooseReadsWhatClientsSend: UTF-8 as it is and control characters are taken, and become
// the one form; what has two meanings, and a shift behind a shift, is not.
func TestLooseReadsWhatClientsSend(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"ä": "ä", "&AOQA5A-": "ää", "&AOQ-&-&AOQ-": "ä&ä", "a&AOQ-b&-c": "aäb&c", "\x01": "\x01", "&AAE-": "\x01", "&AH8-": "\x7f", "&-&-": "&&",
		"&2D3eAA-": "😀", "&2D3eANg93gA-": "😀😀", "&AOQ-ä": "ää",
	} {
		got, ok := DecodeLoose(code)
		if !ok || got != want {
			t.Errorf("%q: %q %v", code, got, ok)
		}
		if again, ok := Decode(string(Append(nil, got))); !ok || again != want {
			t.Errorf("%q: its form is %q, which is %q", code, Append(nil, got), again)
		}
	}
	for _, bad := range []string{
		"&", "a&", "&AOQ", "&A-", "&AO-", "&AGE-", "&AOQAYQ-", "&AOQ=-", "&AOR-", "&AO/-", "&AO Q-", "&AO\nQ-", "\xe4", "&2D0-", "&3gA-", "&2D0AYQ-", "&2D0-&3gA-", "&AOQ-&AOQ-", "x&AOQ-&AOQ-&-",
	} {
		if got, ok := DecodeLoose(bad); ok {
			t.Errorf("%q is taken as %q", bad, got)
		}
	}
}

// TestEveryCharacter goes there and back, alone and between others.
func TestEveryCharacter(t *testing.T) {
	t.Parallel()
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if utf16.IsSurrogate(r) {
			r = 0xdfff
			continue
		}
		if r > 0x3000 && r%97 != 0 {
			continue // enough of these
		}
		for _, name := range []string{string(r), "a" + string(r) + "b", "ä" + string(r) + "ä"} {
			code, ok := Encode(name)
			if !ok {
				t.Fatalf("%U is not taken", r)
			}
			for i := range len(code) {
				if code[i] < 0x20 || code[i] > 0x7e {
					t.Fatalf("%U: %q is not printable ASCII", r, code)
				}
			}
			if got, ok := Decode(code); !ok || got != name {
				t.Fatalf("%U: %q became %q", r, name, got)
			}
		}
	}
}

// TestOneCodeForOneName: of two codes that Decode takes no two are one name, and no
// octet of a code can be changed without the name.
func TestOneCodeForOneName(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	alphabet := []rune("ab&-/. äß台😀\x7f\u0301")
	names := map[string]string{}
	for range 20_000 {
		var b strings.Builder
		for range r.IntN(6) {
			b.WriteRune(alphabet[r.IntN(len(alphabet))])
		}
		code, _ := Encode(b.String())
		if other, known := names[code]; known && other != b.String() {
			t.Fatalf("%q is %q and %q", code, other, b.String())
		}
		names[code] = b.String()
		if code == "" {
			continue
		}
		changed := []byte(code)
		changed[r.IntN(len(changed))] = byte(0x20 + r.IntN(0x5f))
		if got, ok := Decode(string(changed)); ok && got == b.String() && string(changed) != code {
			t.Fatalf("%q and %q are both %q", code, changed, got)
		}
	}
}

// TestAppendKeepsWhatIsThere: both append, and a shift that is none leaves dst alone.
func TestAppendKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	if got := string(Append([]byte("x/"), "ä")); got != "x/&AOQ-" {
		t.Errorf("%q", got)
	}
	dst := []byte("x/")
	if got, ok := AppendShift(dst, "AOQ"); !ok || string(got) != "x/ä" {
		t.Errorf("%q %v", got, ok)
	}
	for _, bad := range []string{"", "A", "AGE", "AOQAYQ", "2D0", "!"} {
		if got, ok := AppendShift(dst, bad); ok || string(got) != "x/" {
			t.Errorf("%q: %q %v", bad, got, ok)
		}
	}
	if got := string(Append(nil, "a\xffb")); got != "a&,,0-b" {
		t.Errorf("invalid UTF-8 became %q", got)
	}
}
