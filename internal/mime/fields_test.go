package mime

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// filtered are the lines of the fields that wants names, through FieldFilter.
func filtered(header []byte, wants func(name string) bool) []byte {
	var out []byte
	f := FieldFilter{
		Wants: func(name []byte) bool { return wants(asciiLower(name)) },
		Emit:  func(line []byte) { out = append(out, line...) },
	}
	f.All(header)
	return out
}

func asciiLower(name []byte) string {
	low := bytes.Clone(name)
	for i, c := range low {
		low[i] = lower(c)
	}
	return string(low)
}

// checkFields holds what a scan kept against the header: each name that it says it
// answers has the same lines here and there, for itself and with all others.
func checkFields(t *testing.T, b []byte, m *Message) {
	t.Helper()
	if !m.Fields.Known() {
		t.Fatal("the scan did not look for fields")
	}
	header := b[:m.Parts[0].Body]
	names := []string{"x-nobody", "date", "list-id", ""}
	filtered(header, func(name string) bool {
		if len(names) < 100 && !slices.Contains(names, name) {
			names = append(names, name)
		}
		return false
	})
	answered := map[string]bool{}
	for _, name := range names {
		answered[name] = m.Fields.Answers(name)
		if m.Fields.AnswersAll(NewNames(name, "x-nobody", name)) != (answered[name] && answered["x-nobody"]) {
			t.Fatalf("%q: answered %v alone", name, answered[name])
		}
		if !answered[name] {
			continue
		}
		one := func(n string) bool { return n == name }
		if got, want := filtered(m.Fields.Lines, one), filtered(header, one); !bytes.Equal(got, want) {
			t.Fatalf("%q: kept %q, the header has %q", name, got, want)
		}
	}
	all := func(n string) bool { return answered[n] }
	if got, want := filtered(m.Fields.Lines, all), filtered(header, all); !bytes.Equal(got, want) {
		t.Fatalf("kept %q, the header has %q", got, want)
	}
}

func TestFieldsOfALetter(t *testing.T) {
	t.Parallel()
	header := "Return-Path: <a@b>\nReceived: by x\n\tfor y\nDate : today\nFROM: a\n b\nno field\n goes on\nTo: c\nX-Mailer: m\nList-Post: <mailto:l@x>\nTo: d\n"
	m := scanBytes([]byte(header + "\nTo: body\n"))
	want := "Return-Path: <a@b>\nDate : today\nFROM: a\n b\nTo: c\nList-Post: <mailto:l@x>\nTo: d\n"
	if string(m.Fields.Lines) != want {
		t.Errorf("%q\nwant %q", m.Fields.Lines, want)
	}
	for name, answers := range map[string]bool{
		"to": true, "To": true, "date": true, "x-nobody": true, "bcc": true, "list-id": true,
		"received": false, "RECEIVED": false, "x-mailer": false, "": false, strings.Repeat("x", 65): false,
	} {
		if m.Fields.Answers(name) != answers {
			t.Errorf("%q: %v", name, !answers)
		}
	}
	if (&Fields{}).Answers("to") {
		t.Error("what nobody looked for is answered")
	}
}

// TestFieldsHaveABound: a field too long is not kept, all others are; and a header
// with too many names answers nothing.
func TestFieldsHaveABound(t *testing.T) {
	t.Parallel()
	long := "To: " + strings.Repeat("x@example.org,\n ", 100) + "y\n"
	text := []byte("From: a\n" + long + "Subject: b\nTo: c\nReply-To: " + strings.Repeat("z", 1100) + "\nCc: d\n\n")
	m := Limits{MaxFields: 1000}.ScanBytes(text)
	checkConsistent(t, text, m)
	if got := string(m.Fields.Lines); got != "From: a\nSubject: b\nTo: c\nCc: d\n" {
		t.Errorf("%q", got)
	}
	if m.Fields.Answers("to") || m.Fields.Answers("reply-to") || !m.Fields.Answers("cc") {
		t.Error("a field that is kept in part is answered")
	}
	m = Limits{MaxFields: -1}.ScanBytes(text)
	checkConsistent(t, text, m)
	if len(m.Fields.Lines) > 0 || m.Fields.Answers("from") || !m.Fields.Answers("bcc") {
		t.Errorf("%q", m.Fields.Lines)
	}
	var many bytes.Buffer
	for i := range 2000 {
		fmt.Fprintf(&many, "X-%d: y\n", i)
	}
	m = scanBytes(many.Bytes())
	checkConsistent(t, many.Bytes(), m)
	if m.Fields.Answers("from") || len(m.Fields.others) > 2*maxOthers {
		t.Error("a name may have been forgotten")
	}
}

// TestFieldsOfTheCorpus in pieces of every size, with bounds of every size.
func TestFieldsOfTheCorpus(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*/*.eml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d messages: %v", len(files), err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			l := Limits{MaxFields: 1 + random.IntN(600)}
			m := l.ScanBytes(text)
			checkConsistent(t, text, m)
			s := Scanner{Limits: l}
			cut := random.IntN(len(text) + 1)
			if pieces := s.ScanBytes(text[:cut], text[cut:]); !bytes.Equal(binaryOf(pieces), binaryOf(m)) {
				t.Fatalf("%s cut at %d: %q, %q", name, cut, pieces.Fields.Lines, m.Fields.Lines)
			}
		}
	}
}

// TestRecordVersions: one of version 2 is read and has no sections; one with a
// section of tomorrow is read and has those of today; one of another version is
// none.
func TestRecordVersions(t *testing.T) {
	t.Parallel()
	m := scanBytes(simple())
	m.Keys = []byte("keys")
	record := m.AppendBinary(nil)
	m.Keys, m.Fields = nil, Fields{}
	bare := m.AppendBinary(nil)
	var got Message
	if err := got.Parse(append([]byte{plainVersion}, bare[1:]...)); err != nil || got.Whole() || !bytes.Equal(got.Envelope, m.Envelope) {
		t.Fatalf("version 2: %v %+v", err, got)
	}
	if got.Parse(append([]byte{plainVersion}, record[1:]...)) == nil {
		t.Error("a version 2 with sections is read")
	}
	if err := got.Parse(append(bytes.Clone(record), 99, 3, 'n', 'e', 'w')); err != nil || !got.Whole() || string(got.Keys) != "keys" {
		t.Fatalf("a new section: %v", err)
	}
	for _, tail := range [][]byte{{99}, {99, 3}, {99, 3, 1}, {fieldsSection, 0}, {fieldsSection, 2, 1, 0}, {fieldsSection, 1, 0x80}, {0x80}} {
		if got.Parse(append(bytes.Clone(bare), tail...)) == nil {
			t.Errorf("a section %v is read", tail)
		}
	}
	for version := range 256 {
		known := version == plainVersion || version == recordVersion
		if b := append([]byte{byte(version)}, bare[1:]...); Readable(b) != known || (got.Parse(b) == nil) != known {
			t.Errorf("version %d", version)
		}
	}
	got = *scanBytes([]byte("x"))
	got.Fields = Fields{}
	got.TakeHeader(m)
	if got.Fields.Known() {
		t.Error("from nothing came something")
	}
}
