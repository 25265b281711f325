package mime

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// addressesOf is the To list of ENVELOPE.
func addressesOf(t *testing.T, value string) string {
	t.Helper()
	m := scanBytes([]byte("To: " + value + "\n\n"))
	checkGrammar(t, m)
	const before, behind = "(NIL NIL NIL NIL NIL ", " NIL NIL NIL NIL)"
	text, ok1 := strings.CutPrefix(string(m.Envelope), before)
	text, ok2 := strings.CutSuffix(text, behind)
	if !ok1 || !ok2 {
		t.Fatalf("%s", m.Envelope)
	}
	return text
}

// TestAddresses reads the forms of RFC 5322 and those that people and programs write; what is
// written down here a client shows, and answers to.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a@b": `((NIL NIL "a" "b"))`, "<a@b>": `((NIL NIL "a" "b"))`, "A B <a@b>": `(("A B" NIL "a" "b"))`, `"A, B" <a@b>`: `(("A, B" NIL "a" "b"))`, "a@b (C D)": `(("C D" NIL "a" "b"))`,
		"A. B. C <a@b>": `(("A. B. C" NIL "a" "b"))`, "a@b, c@d": `((NIL NIL "a" "b")(NIL NIL "c" "d"))`, ",, a@b,,": `((NIL NIL "a" "b"))`, "": `NIL`, " , ": `NIL`,
		"a.b.c@d.e.f": `((NIL NIL "a.b.c" "d.e.f"))`, "a . b @ c . d": `((NIL NIL "a.b" "c.d"))`, `"a b"@c`: `((NIL NIL "a b" "c"))`, `"a\"b\\"@c`: `((NIL NIL "a\"b\\" "c"))`, "a@[192.0.2.1]": `((NIL NIL "a" "[192.0.2.1]"))`,
		"<@r1,@r2:a@b>": `((NIL "@r1,@r2" "a" "b"))`, "<@r:a@b>": `((NIL "@r" "a" "b"))`, "<>": `((NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))`, "N <>": `(("N" NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))`, "<a>": `((NIL NIL "a" "MISSING_DOMAIN"))`,
		"a": `((NIL NIL "a" "MISSING_DOMAIN"))`, "a b": `(("a b" NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))`, "<@b>": `((NIL NIL "MISSING_MAILBOX" "b"))`, "a@": `((NIL NIL "a" "MISSING_DOMAIN"))`, "<a@b": `((NIL NIL "a" "b"))`,
		"g: a@b, c@d;":            `((NIL NIL "g" NIL)(NIL NIL "a" "b")(NIL NIL "c" "d")(NIL NIL NIL NIL))`,
		"undisclosed:;":           `((NIL NIL "undisclosed" NIL)(NIL NIL NIL NIL))`,
		"g: a@b":                  `((NIL NIL "g" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL))`,
		"x@y, g:;, z@y":           `((NIL NIL "x" "y")(NIL NIL "g" NIL)(NIL NIL NIL NIL)(NIL NIL "z" "y"))`,
		"G H: N <a@b>; c@d":       `((NIL NIL "G H" NIL)("N" NIL "a" "b")(NIL NIL NIL NIL)(NIL NIL "c" "d"))`,
		"g: h: a@b;":              `((NIL NIL "g" NIL)(NIL NIL "h" "MISSING_DOMAIN")(NIL NIL NIL NIL))`,
		"a@b;c@d":                 `((NIL NIL "a" "b")(NIL NIL "c" "d"))`,
		"(only a comment)":        `NIL`,
		"N (c (inner)) <a@b>":     `(("N" NIL "a" "b"))`,
		"<a@b> (c (i\\)) d)":      `(("c (i)) d" NIL "a" "b"))`,
		"<a@b> more, c@d":         `((NIL NIL "a" "b")(NIL NIL "c" "d"))`,
		"a@b@c, d@e":              `((NIL NIL "a" "b")(NIL NIL "d" "e"))`,
		"=?utf-8?q?=C3=A4?=<a@b>": `(("=?utf-8?q?=C3=A4?=" NIL "a" "b"))`,
		`A "B C" D <a@b>`:         `(("A B C D" NIL "a" "b"))`,
		`A"B" <a@b>`:              `(("A B" NIL "a" "b"))`,
		"\"open <a@b>":            `((NIL NIL "open <a@b>" "MISSING_DOMAIN"))`,
		"(open a@b":               `NIL`,
		"<a b@c d>":               `((NIL NIL "ab" "cd"))`,
		"<\"a b\"@c>":             `((NIL NIL "a b" "c"))`,
		"<a@[::1]>":               `((NIL NIL "a" "[::1]"))`,
	} {
		if got := addressesOf(t, in); got != want {
			t.Errorf("%s\nis   %s\nwant %s", in, got, want)
		}
	}
}

// TestSenderAndReplyTo are From where they are missing or name nobody, each by itself.
func TestSenderAndReplyTo(t *testing.T) {
	t.Parallel()
	const a, b, c = `((NIL NIL "a" "x"))`, `((NIL NIL "b" "x"))`, `((NIL NIL "c" "x"))`
	for header, want := range map[string][3]string{
		"From: a@x\n": {a, a, a}, "From: a@x\nSender: b@x\n": {a, b, a}, "From: a@x\nReply-To: c@x\n": {a, a, c}, "From: a@x\nSender: b@x\nReply-To: c@x\n": {a, b, c}, "From: a@x\nSender: \nReply-To: ,\n": {a, a, a},
		"Sender: b@x\n": {"NIL", b, "NIL"}, "": {"NIL", "NIL", "NIL"}, "FROM: a@x\nfrom : b@x\n": {strings.TrimSuffix(a, ")") + strings.TrimPrefix(b, "("), strings.TrimSuffix(a, ")") + strings.TrimPrefix(b, "("), strings.TrimSuffix(a, ")") + strings.TrimPrefix(b, "(")},
	} {
		if got, want := string(scanBytes([]byte(header+"\n")).Envelope), "(NIL NIL "+strings.Join(want[:], " ")+" NIL NIL NIL NIL NIL)"; got != want {
			t.Errorf("%q\nis   %s\nwant %s", header, got, want)
		}
	}
	// Of several dates and subjects the last counts, of several types the first: so says Dovecot.
	m := scanBytes([]byte("Date: 1\nDate: 2\nSubject: a\nSubject: b\n c \nContent-Type: text/x\nContent-Type: text/y\n\n"))
	if !bytes.HasPrefix(m.Envelope, []byte(`("2" "b c" `)) || !bytes.HasPrefix(m.Structure, []byte(`("text" "x" `)) {
		t.Errorf("%s %s", m.Envelope, m.Structure)
	}
}

// TestLimits: a message beyond them costs what they say, is whole for all that, and every octet of
// it belongs to some part.
func TestLimits(t *testing.T) {
	t.Parallel()
	const multi = "Content-Type: multipart/mixed; boundary=b\n\n"
	parts := multi + strings.Repeat("--b\n\nx\n", 20) + "--b--\nepilogue\n"
	for limit, want := range map[int]int{1: 1, 2: 2, 5: 5, 20: 20, 21: 21, 22: 21} {
		m := Limits{MaxParts: limit}.ScanBytes([]byte(parts))
		checkConsistent(t, []byte(parts), m)
		checkGrammar(t, m)
		if len(m.Parts) != want {
			t.Errorf("at most %d parts: %d", limit, len(m.Parts))
			continue
		}
		if last := m.Parts[want-1]; limit > 1 && limit < 21 && !strings.HasSuffix(parts[last.Body:last.End], "x") || limit > 1 && parts[last.End:] != "\n--b--\nepilogue\n" {
			t.Errorf("at most %d: the last is %q, behind it %q", limit, parts[last.Body:last.End], parts[last.End:])
		}
	}
	deep := ""
	for i := range 10 {
		deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	deep += "\nx\n"
	for limit, want := range map[int]int{1: 1, 2: 2, 5: 5, 10: 10, 11: 11, 12: 11} {
		m := Limits{MaxDepth: limit}.ScanBytes([]byte(deep))
		checkConsistent(t, []byte(deep), m)
		if opaque := bytes.Contains(m.Structure, []byte(`"application" "octet-stream"`)); len(m.Parts) != want || opaque != (limit <= 10) {
			t.Errorf("at most %d deep: %d parts, %s", limit, len(m.Parts), m.Structure)
		}
	}
	long := "Subject: " + strings.Repeat("s", 50) + "\nTo: " + strings.Repeat("a@b, ", 50) + "\nCc: never@seen\n\n"
	for limit, want := range map[int]int{1: 1, 30: 30, 50: 50, 1000: 50} {
		m := Limits{MaxText: limit}.ScanBytes([]byte(long))
		checkConsistent(t, []byte(long), m)
		checkGrammar(t, m)
		if n := bytes.Count(m.Envelope, []byte("s")); n != want && limit < 1000 || limit <= 50 && bytes.Contains(m.Envelope, []byte("never")) || limit == 1000 && !bytes.Contains(m.Envelope, []byte("never")) {
			t.Errorf("at most %d octets: %d, %s", limit, n, m.Envelope)
		}
	}
}

// TestAppendString: what a quoted string cannot hold is a literal, whose length is its octets.
func TestAppendString(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": `""`, "a": `"a"`, "a b": `"a b"`, `a"b\c`: `"a\"b\\c"`, "\x01\x7f": "\"\x01\x7f\"", "a\nb": "{3}\r\na\nb", "a\rb": "{3}\r\na\rb", "\u00e4": "{2}\r\n\u00e4", "\x00a\x00": "{3}\r\n\x80a\x80", "\"\xff": "{2}\r\n\"\xff",
		strings.Repeat("x", longQuoted): `"` + strings.Repeat("x", longQuoted) + `"`, strings.Repeat("x", longQuoted+1): "{1001}\r\n" + strings.Repeat("x", longQuoted+1),
	} {
		source := []byte(in)
		if got := string(AppendString([]byte("before "), source)); got != "before "+want || string(source) != in {
			t.Errorf("%.50q: %.100q, want %.50q", in, got, want)
		}
	}
	if got := string(AppendNString(AppendNString(nil, nil, false), nil, true)); got != `NIL""` {
		t.Errorf("%s", got)
	}
	for _, n := range []uint64{0, 9, 10, 1<<64 - 1} {
		if got := string(appendUint(nil, n)); got != fmt.Sprint(n) {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// TestRecordsThatAreDamaged: no octet of a record, changed or missing, is an index beyond the
// message or beyond its parts.
func TestRecordsThatAreDamaged(t *testing.T) {
	t.Parallel()
	m := scanBytes([]byte(sectioned))
	m.Keys = []byte("keys")
	record := m.AppendBinary(nil)
	read, refused := 0, 0
	for at := range record {
		for _, change := range []byte{1, 0x10, 0x80, 0xff} {
			damaged := bytes.Clone(record)
			damaged[at] ^= change
			var got Message
			if err := got.Parse(damaged); err != nil {
				if refused++; !errors.Is(err, ErrRecord) {
					t.Errorf("octet %d: %v", at, err)
				}
				continue
			}
			read++
			for i, p := range got.Parts {
				if p.Start < 0 || p.Start > p.Body || p.Body > p.End || p.End > got.Size || i > 0 && (p.Parent < 0 || int(p.Parent) >= i) || p.Child >= int32(len(got.Parts)) || p.Next >= int32(len(got.Parts)) {
					t.Errorf("octet %d: part %d is %+v of %d", at, i, p, got.Size)
				}
			}
			got.AppendBody(nil)
			for _, path := range [][]uint32{nil, {1}, {2}, {2, 1}, {2, 2}, {3, 1}, {9}} {
				got.IsMessage(path)
				for _, what := range []What{Whole, Header, Text, MIME} {
					if r, ok := got.Section(path, what); ok && (r.From > r.To || r.To > got.Size) {
						t.Errorf("octet %d: section %v is %+v of %d", at, path, r, got.Size)
					}
				}
			}
		}
		var got Message
		if err := got.Parse(record[:at]); err == nil && at < len(record)-9 {
			t.Errorf("cut at %d of %d: read", at, len(record))
		}
	}
	if read == 0 || refused == 0 {
		t.Errorf("%d read, %d refused", read, refused)
	}
}

// TestIsMessage is where HEADER and TEXT are those of a message.
func TestIsMessage(t *testing.T) {
	t.Parallel()
	m := scanBytes([]byte(sectioned))
	for _, c := range []struct {
		path []uint32
		want bool
	}{{nil, true}, {[]uint32{1}, false}, {[]uint32{2}, true}, {[]uint32{2, 1}, false}, {[]uint32{3}, true}, {[]uint32{3, 1}, false}, {[]uint32{4}, false}, {[]uint32{0}, false}, {[]uint32{1, 1}, false}} {
		if got := m.IsMessage(c.path); got != c.want {
			t.Errorf("%v: %v", c.path, got)
		}
	}
}

// TestFieldFilterInPieces: however a header comes, the same lines pass, and of those that no
// memory has room for all pieces.
func TestFieldFilterInPieces(t *testing.T) {
	t.Parallel()
	const header = "To: a\n b\nX: " + "long long long" + "\n c\nTO : d\r\n\te\r\nno colon\n to: g\nTo\nToo: h\nTo: end"
	wants := func(name string) bool { return name == "to" }
	whole := string(filtered([]byte(header), wants))
	if want := "To: a\n b\nTO : d\r\n\te\r\nTo: end"; whole != want {
		t.Fatalf("%q, want %q", whole, want)
	}
	for size := 1; size <= len(header); size++ {
		var out []byte
		f := FieldFilter{Wants: func(name []byte) bool { return wants(asciiLower(name)) }, Emit: func(line []byte) { out = append(out, line...) }}
		lines := Lines()
		for rest := header; rest != ""; rest = rest[min(size, len(rest)):] {
			if left, err := lines.Push([]byte(rest[:min(size, len(rest))]), f.Line); err != nil || len(left) > 0 {
				t.Fatalf("pieces of %d: %q left, %v", size, left, err)
			}
		}
		if err := lines.Flush(f.Line); err != nil {
			t.Fatal(err)
		}
		if string(out) != whole {
			t.Errorf("pieces of %d: %q", size, out)
		}
	}
	for _, c := range []struct {
		name, want string
		equal      bool
	}{{"to", "to", true}, {"TO", "to", true}, {"to", "TO", true}, {"to", "t", false}, {"", "", true}, {"to", "ta", false}, {"[", "{", false}, {"@", "`", false}} {
		if EqualName([]byte(c.name), c.want) != c.equal {
			t.Errorf("%q and %q", c.name, c.want)
		}
	}
}

// TestParametersThatAreContinued: RFC 2231 in any order; what is not whole stays what it is.
func TestParametersThatAreContinued(t *testing.T) {
	t.Parallel()
	for params, want := range map[string]string{
		`a*0=x; a*1=y`: `("a" "xy")`, `a*1=y; a*0=x`: `("a" "xy")`, `A*0=x; a*1=y`: `("A" "xy")`, `a*0*=utf-8''%C3%A4; a*1=100%; a*2*=%20`: `("a*" "utf-8''%C3%A4100%25%20")`, `a*=utf-8''x`: `("a*" "utf-8''x")`,
		`a*1=y`: `("a*1" "y")`, `a*0=x; a*2=z`: `("a*0" "x" "a*2" "z")`, `a*0=x; a*0=y`: `("a*0" "x" "a*0" "y")`, `a*x=y`: `("a*x" "y")`, `*=y`: `("*" "y")`, `a**=y`: `("a**" "y")`, `a*1234567=y`: `("a*1234567" "y")`,
		`b=1; a*0=x; c=2; a*1=y`: `("b" "1" "c" "2" "a" "xy")`, `b*0=1; a*0=2`: `("a" "2" "b" "1")`, `a=`: `("a" "")`, `a="x\"y"; b = c`: `("a" "x\"y" "b" "c")`, `a=x (comment) ; b=y`: `("a" "x" "b" "y")`, `a=x, b=y`: `("a" "x" "b" "y")`,
		`a="open`: `("a" "open")`, `word; a=b`: `("a" "b")`, `;;a=b;;`: `("a" "b")`, `a=b/c; d=<e>`: `("a" "b/c" "d" "<e>")`,
	} {
		m := scanBytes([]byte("Content-Type: application/x; " + params + "\n\n"))
		checkGrammar(t, m)
		text, _ := strings.CutPrefix(string(m.Structure), `("application" "x" `)
		if got, _, _ := strings.Cut(text, " NIL NIL "); got != want {
			t.Errorf("%s: %s, want %s", params, got, want)
		}
	}
	for in, want := range map[string]string{"utf-8''a%20b": "a b", "a%20b": "a b", "'": "'", "x'y": "x'y", "''": "", "''%4": "%4", "''%zz%41": "%zzA", "''%": "%", "a'b'c'd": "c'd"} {
		if got := string(decodeExtended([]byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	var many strings.Builder
	for i := range maxPieces + 10 {
		fmt.Fprintf(&many, ";a*%d=x", i)
	}
	m := scanBytes([]byte("Content-Type: application/x" + many.String() + "\n\n"))
	if n := bytes.Count(m.Structure, []byte("x")); n < maxPieces || !bytes.Contains(m.Structure, []byte(fmt.Sprintf(`"a*%d" "x"`, maxPieces))) {
		t.Errorf("%d pieces", n)
	}
}

// TestBoundaries: which line ends a part, and whose the line end before it is.
func TestBoundaries(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]string{
		"--b\n\none\n--b\n\ntwo\n--b--\n": {"one", "two"}, "pre\n--b\n\none\n\n--b--\nepi": {"one\n"}, "--b\r\n\r\none\r\n--b--": {"one"}, "--b  \n\none\n--b\t--\n\nx\n": {"one", "x\n"}, "--bb\n\none\n": {"one\n"},
		"--b\n\none\n --b\n-b\n--\n--a\n--b--": {"one\n --b\n-b\n--\n--a"}, "--b\n\n--b\n\n--b--": {"", ""}, "--b\n--b\n--b--": {"", ""}, "--b\n\none": {"one"}, "--b--\n\nx": nil, "--b\nA: 1": {""}, "--b\n\none\n--b--\n--b\n\nno part\n": {"one"},
	} {
		text := "Content-Type: multipart/mixed; boundary=b\n\n" + body
		m := scanBytes([]byte(text))
		checkConsistent(t, []byte(text), m)
		var got []string
		for _, p := range m.Parts[1:] {
			got = append(got, text[p.Body:p.End])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
	}
}
