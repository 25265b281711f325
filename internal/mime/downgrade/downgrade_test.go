package downgrade

import (
	"bytes"
	"errors"
	"io"
	"mime/quotedprintable"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/internal/mime/text"
)

// inFile is a content that does not lie in memory, and is read in odd pieces.
type inFile struct{ envelope.Memory }

func (inFile) Bytes() ([]byte, bool) { return nil, false }

func (f inFile) ReadAt(p []byte, off int64) (int, error) {
	return f.Memory.ReadAt(p[:min(len(p), 7)], off)
}

// convert is the converted message, from memory and from a file.
func convert(t testing.TB, message string) (string, bool, error) {
	t.Helper()
	var results [2]string
	for i, c := range []envelope.Content{envelope.Memory(message), inFile{envelope.Memory(message)}} {
		p, err := New(c, mime.Limits{})
		if err != nil || p == nil {
			return "", false, err
		}
		var b bytes.Buffer
		for range 2 { // the second time is as the first
			b.Reset()
			for piece, err := range p.Pieces() {
				if err != nil {
					t.Fatal(err)
				}
				b.Write(piece)
			}
		}
		results[i] = b.String()
	}
	if results[0] != results[1] {
		t.Fatalf("from memory %q\nfrom a file %q", results[0], results[1])
	}
	return results[0], true, nil
}

const plainUTF8 = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"

func TestConversion(t *testing.T) {
	t.Parallel()
	x70 := strings.Repeat("x", 70)
	for name, c := range map[string]struct{ in, want string }{
		"labelled":           {"A: b\n" + plainUTF8 + "\ncaf\xc3\xa9 = 1 \nend\t", "A: b\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\ncaf=C3=A9 =3D 1=20\nend=09"},
		"nothing said":       {"Subject: x\n\nna\xefve\n", "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\nna=EFve\n"},
		"said to be 7bit":    {"MIME-Version: 1.0\nContent-Type: text/html\nContent-Transfer-Encoding: 7bit\n\n\xff\n", "MIME-Version: 1.0\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n=FF\n"},
		"folded, twice":      {"MIME-Version: 1.0\nContent-Transfer-Encoding:\n 8bit\nX: y\nContent-Transfer-Encoding: binary\n 2\n\n\xff", "MIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\nX: y\n\n=FF"},
		"header as it is":    {"Subject: \xe9\n" + plainUTF8 + "\n\xe9\n", "Subject: \xe9\n" + strings.Replace(plainUTF8, "8bit", "quoted-printable", 1) + "\n=E9\n"},
		"controls, CR, dots": {plainUTF8 + "\n\xff\x00\x7f\ra\r\r\n.\n\r\n", strings.Replace(plainUTF8, "8bit", "quoted-printable", 1) + "\n=FF=00=7F=0Da=0D\n.\n\n"},
		"long lines": {plainUTF8 + "\n" + x70 + "123\xe9\n" + x70 + "12 \n" + x70 + "123\n" + x70 + "1234\n",
			strings.Replace(plainUTF8, "8bit", "quoted-printable", 1) + "\n" + x70 + "123=\n=E9\n" + x70 + "12=20\n" + x70 + "123\n" + x70 + "123=\n4\n"},
		"no new boundary": {"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b=E9\"\n\n--b=E9\n\n--b\xe9\n" + x70 + "xxx--b=E9\n--b=E9--\n",
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b=E9\"\n\n--b=E9\nContent-Transfer-Encoding: quoted-printable\n\n-=2Db=E9\n" + x70 + "xxx=\n-=2Db=3DE9\n--b=E9--\n"},
		"multipart": {
			"MIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\nContent-Type: multipart/mixed; boundary=b\n\npr\xe9\n--b\n\nascii\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\n\xe9\n\n--b\nContent-Transfer-Encoding: base64\n\nAAAA\n--b--\n\xe9pi\n",
			"MIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\nContent-Type: multipart/mixed; boundary=b\n\npr\xe9\n--b\n\nascii\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=E9\n\n--b\nContent-Transfer-Encoding: base64\n\nAAAA\n--b--\n\xe9pi\n",
		},
		"message/rfc822": {
			"MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: inner\n\n\xe9\n",
			"MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\nSubject: inner\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\n=E9\n",
		},
		"digest": {
			"MIME-Version: 1.0\nContent-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: inner\nMIME-Version: 1.0\nContent-Type: text/plain\n\n\xe9\n--b--\n",
			"MIME-Version: 1.0\nContent-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: inner\nMIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=E9\n--b--\n",
		},
		"beside a signature": {
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n--b\nContent-Type: multipart/signed; boundary=s\nContent-Transfer-Encoding: 8bit\n\n--s\nContent-Transfer-Encoding: 8bit\n\nsigned \n--s\n\nsignature\n--s--\n--b\n\n\xe9\n--b--\n",
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 7bit\n\n--b\nContent-Type: multipart/signed; boundary=s\nContent-Transfer-Encoding: 8bit\n\n--s\nContent-Transfer-Encoding: 8bit\n\nsigned \n--s\n\nsignature\n--s--\n--b\nContent-Transfer-Encoding: quoted-printable\n\n=E9\n--b--\n",
		},
		"quoted-printable with raw octets": {
			"MIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\n=E9 \xe9=\n- \n", "MIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\n=E9 =E9=\n- \n",
		},
	} {
		got, converted, err := convert(t, c.in)
		if err != nil || !converted || got != c.want {
			t.Errorf("%s: %v\n got %q\nwant %q", name, err, got, c.want)
			continue
		}
		if d := difference(t, c.in, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestNothingToConvert(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "x", "A: b\n\nc\n", plainUTF8 + "\nascii\n", "Subject: \xe9\n\nascii\n",
		"Content-Type: multipart/mixed; boundary=b\n\n\xe9\n--b\n\na\n--b--\n\xe9\n"} {
		if got, converted, err := convert(t, in); converted || err != nil {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
}

func TestImpossible(t *testing.T) {
	t.Parallel()
	deep := "\xe9"
	for range 120 {
		deep = "Content-Type: message/rfc822\n\n" + deep
	}
	for name, in := range map[string]string{
		"signed":                  "Content-Type: multipart/signed; boundary=s\n\n--s\n" + plainUTF8 + "\n\xe9\n--s\n\nsignature\n--s--\n",
		"below a signed one":      "Content-Type: Multipart(c)/Signed; boundary=s\n\n--s\nContent-Type: message/rfc822\n\nA: b\n\n\xe9\n--s\n\nsignature\n--s--\n",
		"partial":                 "Content-Type: message/partial; id=x; number=1\n\nA: b\n\n\xe9\n",
		"external":                "Content-Type: message/external-body; access-type=x\n\nA: b\n\n\xe9\n",
		"no boundary":             "Content-Type: multipart/mixed\n\n\xe9\n",
		"base64":                  "Content-Transfer-Encoding: base64\n\nAAAA\n\xe9\n",
		"unknown encoding":        "Content-Transfer-Encoding: x-uuencode\n\n\xe9\n",
		"a multipart in base64":   "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\n\xe9\n--b--\n",
		"a message that is coded": "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\nA: b\n\n\xe9\n",
		"too deep":                deep,
		"too many parts":          "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\n\xe9\n", 10_001),
	} {
		_, _, err := convert(t, in)
		var impossible *ImpossibleError
		if !errors.As(err, &impossible) || impossible.Reason == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTroubleWithReading: at each place it is an error, and not a shorter message.
func TestTroubleWithReading(t *testing.T) {
	t.Parallel()
	message := "A: b\n" + plainUTF8 + "\n" + strings.Repeat("\xe9t\xe9 \n", 20)
	for at := range int64(len(message)) {
		c := &failing{inFile: inFile{envelope.Memory(message)}, at: int64(len(message))}
		p, err := New(c, mime.Limits{})
		if err != nil || p == nil {
			t.Fatal(p, err)
		}
		c.at = at
		if _, err := New(c, mime.Limits{}); !errors.Is(err, errDisk) {
			t.Fatalf("New at %d: %v", at, err)
		}
		var last error
		for _, last = range p.Pieces() {
		}
		if !errors.Is(last, errDisk) {
			t.Fatalf("Pieces at %d: %v", at, last)
		}
	}
	p, err := New(envelope.Memory(message), mime.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for range p.Pieces() {
		break // who has had enough is given no more
	}
}

var errDisk = errors.New("the disk is broken")

type failing struct {
	inFile
	at int64
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if off >= f.at {
		return 0, errDisk
	}
	return f.inFile.ReadAt(p[:min(int64(len(p)), f.at-off)], off)
}

// TestMemoryIsBounded: a long body without line ends takes no more than a short one.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	p, err := New(inBlocks{envelope.Memory(plainUTF8 + "\n" + strings.Repeat("\xe9", 4<<20))}, mime.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for piece, err := range p.Pieces() {
		if err != nil {
			t.Fatal(err)
		}
		if total += len(piece); cap(piece) > 4*blockSize {
			t.Fatalf("a piece of %d octets", cap(piece))
		}
	}
	if total < 12<<20 {
		t.Errorf("%d octets", total)
	}
}

type inBlocks struct{ envelope.Memory }

func (inBlocks) Bytes() ([]byte, bool) { return nil, false }

// difference says in what a converted message is not the one before: the tree of parts, their
// fields, their content when it is decoded, and what has to hold for the form.
func difference(t testing.TB, before, after string) string {
	t.Helper()
	a, b := mime.Limits{}.ScanBytes([]byte(before)), mime.Limits{}.ScanBytes([]byte(after))
	if len(a.Parts) != len(b.Parts) {
		return "another number of parts"
	}
	for i := range a.Parts {
		x, y := &a.Parts[i], &b.Parts[i]
		switch {
		case x.Kind != y.Kind || x.Parent != y.Parent || x.Child != y.Child || x.Next != y.Next:
			return "another tree"
		case fields(before[x.Start:x.Body]) != fields(after[y.Start:y.Body]):
			return "another header"
		case x.Kind != mime.Leaf:
			continue
		}
		was, is := before[x.Body:x.End], after[y.Body:y.End]
		if strings.IndexFunc(is, func(r rune) bool { return r > 127 }) >= 0 {
			return "8-bit content"
		}
		if is == was {
			continue
		}
		if y.Encoding != mime.QuotedPrintable {
			return "changed and not quoted-printable"
		}
		if d, w := decode(is, mime.QuotedPrintable), decode(was, x.Encoding); d != w {
			return "decoded: " + d + "\nwas: " + w
		}
		if x.Encoding == mime.QuotedPrintable {
			continue
		}
		strict, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(is)))
		if err != nil || string(strict) != lineEnds(was) {
			return "the library does not decode it: " + string(strict)
		}
		for line := range strings.Lines(is) {
			if line = strings.TrimSuffix(line, "\n"); len(line) > 76 || strings.HasPrefix(line, "--") || strings.TrimRight(line, " \t") != line {
				return "a bad line: " + line
			}
		}
	}
	return ""
}

func lineEnds(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

func decode(s string, e mime.Encoding) string {
	if e == mime.Identity {
		return lineEnds(s)
	}
	b, _ := io.ReadAll(text.NewReader(strings.NewReader(s), e, ""))
	return string(b)
}

// fields are the lines of a header but those that a conversion writes.
func fields(header string) string {
	var out []string
	skip := false
	for line := range strings.Lines(header) {
		if line[0] != ' ' && line[0] != '\t' {
			name, value, _ := strings.Cut(line, ":")
			name = strings.TrimSpace(name)
			skip = strings.EqualFold(name, encodingField) || strings.EqualFold(name, versionField) || strings.Contains(value, "unknown-8bit")
		}
		if !skip {
			out = append(out, line)
		}
	}
	return strings.Join(slices.Clip(out), "")
}

func FuzzRoundTrip(f *testing.F) {
	for _, s := range []string{
		plainUTF8 + "\ncaf\xc3\xa9 \n--x\n", "A: b\n\n\xe9", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n\xe9\n--b\nContent-Type: message/rfc822\n\nX: y\n\n\xe9\n--b--\n",
		"Content-Type: multipart/digest; boundary=\"=E9\"\nContent-Transfer-Encoding: binary\n\n--=E9\n\n\n--\xe9\n--=E9--", "Content-Transfer-Encoding: quoted-printable\n\n=E9\xe9=\n--\xff\r\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, converted, err := convert(t, s)
		if err != nil || !converted {
			return
		}
		if d := difference(t, s, got); d != "" {
			t.Fatalf("%s\nbefore %q\nafter %q", d, s, got)
		}
		if _, again, err := convert(t, got); again || err != nil {
			t.Fatalf("again: %v %v\nbefore %q\nafter %q", again, err, s, got)
		}
	})
}
