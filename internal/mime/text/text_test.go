package text

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"toastmaster/internal/mime"
)

// FuzzDecode feeds the decoders: no text of a message is an error of theirs.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("PGI+V8Okcm1l\r\nPC9iPg==x=y"), "utf-8")
	f.Add([]byte("a=3D=\r\nb=\nc=zz=4"), "iso-2022-jp")
	f.Fuzz(func(t *testing.T, b []byte, charset string) {
		for _, r := range []io.Reader{NewReader(bytes.NewReader(b), mime.Base64, charset), NewReader(bytes.NewReader(b), mime.QuotedPrintable, charset)} {
			out, err := io.ReadAll(r)
			if err != nil && len(out) > 10*len(b)+100 {
				t.Fatal(err)
			}
		}
		DecodeWords(b)
		Unfold(Fold(nil, b))
	})
}

func TestQuotedAndBase64(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"a=3D=\r\nb=\nc=zz=4": "a=bc=zz=4", "=C3=A4": "ä", "x =": "x ="} {
		if got, _ := io.ReadAll(&quotedReader{r: strings.NewReader(in)}); string(got) != want {
			t.Errorf("quoted %q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"aGVs\r\nbG8=": "hello", "aGVsbG8": "hello", "aA==aQ==": "hi", "!aG Vs": "hel"} {
		if got, _ := io.ReadAll(&base64Reader{r: strings.NewReader(in)}); string(got) != want {
			t.Errorf("base64 %q: %q, want %q", in, got, want)
		}
	}
}

// TestToUTF8 is strict: what a client sends it can be told about.
func TestToUTF8(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		charset, in, want string
		ok                bool
	}{
		{"", "gr\u00fc\u00df", "gr\u00fc\u00df", true},
		{"UTF-8", "\xff", "", false},
		{"us-ascii", "plain", "plain", true},
		{"US-ASCII", "\x93", "", false},
		{"iso-8859-1", "gr\xfc\xdf", "gr\u00fc\u00df", true},
		{"iso-2022-jp", "\x1b$B\x46|\x1b(B", "\u65e5", true},
		{"shift_jis", "\x81", "", false},
		{"klingon", "a", "", false},
	} {
		if got, ok := ToUTF8(c.charset, c.in); ok != c.ok || ok && got != c.want {
			t.Errorf("%s %q: %q %v", c.charset, c.in, got, ok)
		}
		if known := KnownCharset(c.charset); known != (c.charset != "klingon" && c.charset != "") {
			t.Errorf("%s known: %v", c.charset, known)
		}
	}
}

// TestPieces cuts a text at every place: no piece ends within a character, or
// before a mark that belongs to it.
func TestPieces(t *testing.T) {
	t.Parallel()
	in := "gru\u0308\u00dfe \U0001f600 u\u0308\u0301x"
	for size := 12; size < 40; size++ {
		var out []byte
		err := Pieces(strings.NewReader(in), make([]byte, size), func(int) error { return nil }, func(piece []byte) bool {
			out = Fold(out, piece)
			return true
		})
		if want := Fold(nil, []byte(in)); err != nil || !bytes.Equal(out, want) {
			t.Errorf("%d: %q, want %q, %v", size, out, want, err)
		}
	}
	lost := io.ErrClosedPipe
	if err := Pieces(strings.NewReader(in), make([]byte, 12), func(int) error { return lost }, nil); err != lost {
		t.Error(err)
	}
}
