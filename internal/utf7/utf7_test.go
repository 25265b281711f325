package utf7

import "testing"

func TestNames(t *testing.T) {
	t.Parallel()
	// The examples of RFC 3501 section 5.1.3 and what Dovecot wrote.
	for plain, code := range map[string]string{
		"Entwürfe": "Entw&APw-rfe", "台北": "&U,BTFw-", "日本語": "&ZeVnLIqe-", "a&b": "a&-b", "plain": "plain", "😀x": "&2D3eAA-x", "": "",
	} {
		if got, ok := Encode(plain); !ok || got != code {
			t.Errorf("encode %q: %q %v", plain, got, ok)
		}
		if got, ok := Decode(code); !ok || got != plain {
			t.Errorf("decode %q: %q %v", code, got, ok)
		}
	}
	for _, bad := range []string{"&", "&AGE-", "&Jjo", "a\x80", "&Jjo!-", "&2D0-", "&AAA", "\n", "&AOQ-&AOQ-"} {
		if got, ok := Decode(bad); ok {
			t.Errorf("%q is taken as %q", bad, got)
		}
	}
	if _, ok := Encode("\xff"); ok {
		t.Error("invalid UTF-8 is taken")
	}
}

// FuzzNames holds the codec to its one valid form.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"INBOX", "Entw&APw-rfe", "&-", "&2D3eAA-", "&AGE-", "&", "&AOk", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, ok := DecodeLoose(s)
		if strict, ok := Decode(s); ok && string(Append(nil, strict)) != s {
			t.Fatalf("%q is taken, its form is %q", s, Append(nil, strict))
		}
		if !ok {
			return
		}
		again, ok := Decode(string(Append(nil, name)))
		if !ok || again != name {
			t.Fatalf("%q became %q, then %q", s, name, again)
		}
	})
}
