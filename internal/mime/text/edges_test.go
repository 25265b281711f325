package text

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	stdmime "mime/quotedprintable"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"toastmaster/internal/mime"
)

// slowly are the ways in which octets may come.
func slowly(s string) map[string]io.Reader {
	return map[string]io.Reader{
		"at once": strings.NewReader(s), "one by one": iotest.OneByteReader(strings.NewReader(s)), "by halves": iotest.HalfReader(strings.NewReader(s)),
		"the end with the last": iotest.DataErrReader(strings.NewReader(s)),
	}
}

// TestDecodersAgreeWithTheLibrary on what is clean, in pieces of every size; the lines may be of
// any length.
func TestDecodersAgreeWithTheLibrary(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 2, 3, 4, 57, 1023, 1024, 1025, 5000} {
		octets := make([]byte, size)
		for i := range octets {
			octets[i] = byte(random.Uint32())
		}
		var quoted bytes.Buffer
		w := stdmime.NewWriter(&quoted)
		w.Binary = true
		if _, err := w.Write(octets); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		plain := base64.StdEncoding.EncodeToString(octets)
		var lines strings.Builder
		for rest := plain; rest != ""; {
			n := min(76, len(rest))
			lines.WriteString(rest[:n] + "\r\n")
			rest = rest[n:]
		}
		for encoding, texts := range map[mime.Encoding][]string{
			mime.QuotedPrintable: {quoted.String(), strings.ReplaceAll(quoted.String(), "\r\n", "\n"), strings.ReplaceAll(quoted.String(), "=\r\n", "")},
			mime.Base64:          {plain, lines.String(), strings.TrimRight(plain, "="), strings.ReplaceAll(lines.String(), "\r\n", " \t\n")},
			mime.Identity:        {string(octets)},
		} {
			for i, text := range texts {
				for how, r := range slowly(text) {
					if got, err := io.ReadAll(NewReader(r, encoding, "")); err != nil || !bytes.Equal(got, octets) {
						t.Errorf("%d octets, encoding %d, form %d, %s: %d octets, %v", size, encoding, i, how, len(got), err)
					}
				}
			}
		}
	}
}

// TestWhatIsNoEncodingStays: half of a text is better than none, and the same half however the
// octets come.
func TestWhatIsNoEncodingStays(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a=zzb": "a=zzb", "=": "=", "a=": "a=", "=4": "=4", "=41": "A", "=4=41": "=4A", "==41": "=A", "=\n": "", "=\r\n": "", "=\r": "=\r", "=\rx": "=\rx", "a =\nb": "a b", "=C3=A4=": "\u00e4=", "=e4": "\xe4",
		"a=\t\nb": "a=\t\nb", "= 41": "= 41", "=0A": "\n", "=\n=\n=41": "A", "\n\n": "\n\n", "=3D41": "=41",
	} {
		for how, r := range slowly(in) {
			if got, err := io.ReadAll(NewReader(r, mime.QuotedPrintable, "")); err != nil || string(got) != want {
				t.Errorf("quoted %q, %s: %q, want %q, %v", in, how, got, want, err)
			}
		}
	}
	for in, want := range map[string]string{
		"": "", "A": "", "QQ": "A", "QQ=": "A", "QQ==": "A", "QUI": "AB", "QUJD": "ABC", "QUJDR": "ABC", "QUJDRA": "ABCD", "Q-U_J.D": "ABC", "QQ==QUI=": "AAB", "Q=QUJD": "ABC", "=QUJD": "ABC", "====": "", "QU\x00JD\xff": "ABC",
		"<html>": "\x86\xd9\xa5", "QUJD\n--\nQUJD": "ABCABC",
	} {
		for how, r := range slowly(in) {
			if got, err := io.ReadAll(NewReader(r, mime.Base64, "")); err != nil || string(got) != want {
				t.Errorf("base64 %q, %s: %q, want %q, %v", in, how, got, want, err)
			}
		}
	}
}

// TestErrorsOfTheReader come through, behind all that could be read before them.
func TestErrorsOfTheReader(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for encoding, in := range map[mime.Encoding]string{mime.Identity: "abc", mime.QuotedPrintable: "a=62c", mime.Base64: "YWJj"} {
		for _, name := range []string{"", "iso-8859-1", "utf-8", "klingon"} {
			got, err := io.ReadAll(NewReader(io.MultiReader(strings.NewReader(in), iotest.ErrReader(broken)), encoding, name))
			if !errors.Is(err, broken) || string(got) != "abc" {
				t.Errorf("encoding %d, %q: %q, %v", encoding, name, got, err)
			}
		}
	}
}

// TestCharsets: what a part says is believed, what is not known is read as it is.
func TestCharsets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"iso-8859-1", "gr\xfc\xdfe", "gr\u00fc\u00dfe"}, {"ISO-8859-15", "\xa4", "\u20ac"}, {"windows-1252", "\x93x\x94", "\u201cx\u201d"}, {"us-ascii", "\x93", "\u201c"}, {"koi8-r", "\xd0\xd2\xc9", "\u043f\u0440\u0438"},
		{"utf-8", "\u00e4\xff", "\u00e4\xff"}, {"UTF8", "\u00e4", "\u00e4"}, {"", "\xff", "\xff"}, {"klingon", "\xff", "\xff"}, {"iso-2022-jp", "\x1b$BF|K\\\x1b(B", "\u65e5\u672c"}, {"gb2312", "\xd6\xd0", "\u4e2d"},
		{"big5", "\xa4\xa4", "\u4e2d"}, {"euc-kr", "\xc7\xd1", "\ud55c"}, {"utf-16le", "a\x00\xe4\x00", "a\u00e4"}, {"shift_jis", "\x93\xfa", "\u65e5"},
	} {
		for how, r := range slowly(c.in) {
			if got, err := io.ReadAll(NewReader(r, mime.Identity, c.name)); err != nil || string(got) != c.want {
				t.Errorf("%s %q, %s: %q, want %q, %v", c.name, c.in, how, got, c.want, err)
			}
		}
	}
}

// TestDecodeWords: RFC 2047, and what senders make of it.
func TestDecodeWords(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain": "plain", "=?utf-8?q?gr=C3=BC=C3=9Fe?=": "gr\u00fc\u00dfe", "=?ISO-8859-1?Q?a_b=FC?= c": "a b\u00fc c", "=?utf-8?B?w6Q=?=": "\u00e4", "a =?utf-8?q?b?= =?utf-8?q?c?= d": "a bc d",
		"=?utf-8?q?b?=\n =?utf-8?q?c?=": "bc", "=?klingon?q?=FF?=": "\xff", "=?utf-8?x?a?=": "=?utf-8?x?a?=", "=?utf-8?q?a": "=?utf-8?q?a", "=?": "=?", "=?utf-8?q?a?=b": "ab", "=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=": "\u65e5\u672c",
		"=?utf-8?b?!!?= x": "=?utf-8?b?!!?= x",
	} {
		if got := string(DecodeWords([]byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestUnfold: a line end goes before white space, and nothing else does but the CR of a line end.
func TestUnfold(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "a": "a", "a\n b": "a b", "a\r\n b": "a b", "a\n\tb": "a\tb", "a\nb": "a\nb", "a\r\nb": "a\nb", "a\n": "a\n", "a\r\n": "a\n", "a\r": "a\r", "a\rb": "a\rb", "a\r\r\n b": "a\r b", "a\n \n b": "a  b", "\n": "\n", "\n ": " ", "a\r\n\r\nb": "a\n\nb",
	} {
		if got := string(Unfold([]byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestFold: who searches finds what looks the same, and nothing is the same that does not.
func TestFold(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"abc", "ABC", "aBc", "\uff41\uff22\uff43"}, {"\u00e4", "\u00c4", "a\u0308", "A\u0308"}, {"stra\u00dfe", "STRA\u00dfE"}, {"\u03c3", "\u03a3", "\u03c2"}, {"\ufb01n", "fin", "FIN"}, {"\u212a", "k", "K"}, {"\uff11", "1"},
		{"e\u0301\u0323", "e\u0323\u0301", "\u1eb9\u0301"}, {"xa\u0308", "x\u00e4", "X\u00c4"}, {"\u1e9e", "\u00df"}, {"i", "I", "\u0130", "\u0131"}, {""},
	} {
		want := string(Fold(nil, []byte(same[0])))
		for _, s := range same {
			if got := string(Fold([]byte("before "), []byte(s))); got != "before "+want {
				t.Errorf("%q: %q, want %q", s, got, want)
			}
			if again := string(Fold(nil, []byte(want))); again != want {
				t.Errorf("%q folded again: %q", want, again)
			}
		}
	}
	all := []string{"a", "\u00e4", "b", "\u00df", "ss", "1", "i", "\u0438", "\u0439", "\xff", "\xfe", "\xe4", "a\xff", "", " ", "\u00e9", "e"}
	for i, a := range all {
		for _, b := range all[:i] {
			if x, y := string(Fold(nil, []byte(a))), string(Fold(nil, []byte(b))); x == y {
				t.Errorf("%q and %q are both %q", a, b, x)
			}
		}
	}
	// Octets that are no UTF-8 stay, and so does what is about them.
	if got := string(Fold(nil, []byte("A\xffB\xc3"))); got != "a\xffb\xc3" {
		t.Errorf("%q", got)
	}
}

// TestPiecesAtEveryPlace: a text folded piece by piece is the text folded, for texts of everything
// that may go on; what a reader gives slowly, too. f may end it, and work.
func TestPiecesAtEveryPlace(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	stock := []string{"a", "B", "\u00e4", "a\u0308", "\u0301", "\u65e5", "\U0001f600", "\uff41", " ", "\n", "\u1100\u1161\u11a8", "\xff", "\xc3"}
	for range 300 {
		var in strings.Builder
		for range random.IntN(60) {
			in.WriteString(stock[random.IntN(len(stock))])
		}
		want, size := Fold(nil, []byte(in.String())), 64+random.IntN(64)
		for how, r := range slowly(in.String()) {
			var out []byte
			told := 0
			err := Pieces(r, make([]byte, size), func(n int) error {
				told += n
				return nil
			}, func(piece []byte) bool {
				out = Fold(out, piece)
				return true
			})
			if err != nil || told != in.Len() || !utf8.ValidString(in.String()) && len(out) < len(want)/2 || utf8.ValidString(in.String()) && !bytes.Equal(out, want) {
				t.Fatalf("%q, %s, block %d: %q, want %q, told %d of %d, %v", in.String(), how, size, out, want, told, in.Len(), err)
			}
		}
	}
	// What fills the block goes on, though nobody knows whether it is over.
	var marks []byte
	if err := Pieces(strings.NewReader("a"+strings.Repeat("\u0301", 50)), make([]byte, 12), func(int) error { return nil }, func(p []byte) bool {
		marks = append(marks, p...)
		return utf8.Valid(p)
	}); err != nil || string(marks) != "a"+strings.Repeat("\u0301", 50) {
		t.Errorf("%q, %v", marks, err)
	}
	pieces := 0
	if err := Pieces(iotest.OneByteReader(strings.NewReader("abcdef")), make([]byte, 8), func(int) error { return nil }, func([]byte) bool {
		pieces++
		return pieces < 3
	}); err != nil || pieces != 3 {
		t.Errorf("%d pieces, %v", pieces, err)
	}
	broken := errors.New("broken")
	var seen []byte
	if err := Pieces(io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(broken)), make([]byte, 8), func(int) error { return nil }, func(p []byte) bool {
		seen = append(seen, p...)
		return true
	}); err != broken || !bytes.HasPrefix([]byte("ab"), seen) {
		t.Errorf("%q, %v", seen, err)
	}
}

// TestWhole ends before what may go on.
func TestWhole(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int{"": 0, "ab": 1, "a": 0, "ab\xc3": 1, "ab\xe6\x97": 1, "ab\xf0\x9f\x98": 1, "ab\u65e5": 5, "abu\u0308": 2, "\u0308": 0, "\xff\xff": 2, "ab ": 3, "\u1100\u1161": 0, "\xc3": 0, "\xf0\x9f": 0} {
		if got := Whole([]byte(in)); got != want {
			t.Errorf("%q: %d, want %d", in, got, want)
		}
	}
}
