package queue

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/faultfs"
)

func fullEnvelope() *envelope.Envelope {
	return &envelope.Envelope{
		ID: "3Zx0000001z1", Sender: addr.Address{Local: "a b", Domain: "example.org"}, Arrived: time.Unix(1, 2),
		Recipients: []envelope.Recipient{{Address: addr.Address{Local: "x"}, ORcpt: "rfc822;x", Notify: envelope.NotifyNever, Refused: dsn.New(dsn.LoopDetected, "loop"), Expanded: true}},
		Body:       envelope.Body8BitMIME, UTF8: true, Return: envelope.ReturnHeaders, EnvID: "e",
		Origin: envelope.Origin{Protocol: "ESMTP", ClientAddr: "::1", ClientName: "n", Helo: "h", Login: "l", Session: "s", TLS: "t"}, Hops: 1,
	}
}

// taggedEnvelope is fullEnvelope with optional fields, of which some are from a
// program that is newer.
func taggedEnvelope() *envelope.Envelope {
	env := fullEnvelope()
	env.Auth = &addr.Address{Local: "submitter", Domain: "example.org"}
	env.Unknown = []envelope.Tag{{Number: 1000, Value: "hold"}, {Number: 1 << 60, Value: ""}}
	env.Recipients[0].Unknown = []envelope.Tag{{Number: 7, Value: "\x00\xff"}}
	return env
}

// TestUnknownTagsSurvive a program that does not know them, as often as it writes
// the message.
func TestUnknownTagsSurvive(t *testing.T) {
	t.Parallel()
	env := taggedEnvelope()
	null := addr.Address{}
	for _, auth := range []*addr.Address{nil, &null, env.Auth} {
		env.Auth = auth
		for range 3 {
			e := encoder{}
			e.envelope(env)
			if e.b[0] != taggedVersion {
				t.Fatalf("version %d", e.b[0])
			}
			got, err := newDecoder(e.b).envelope()
			if err != nil || !reflect.DeepEqual(got, env) {
				t.Fatalf("%+v, %v", got, err)
			}
			env = got
		}
	}
}

// TestAnEnvelopeWithoutTagsIsPlain: the program before can read it.
func TestAnEnvelopeWithoutTagsIsPlain(t *testing.T) {
	t.Parallel()
	e := encoder{}
	e.envelope(fullEnvelope())
	if e.b[0] != plainVersion {
		t.Errorf("version %d", e.b[0])
	}
}

// TestMalformedTags: a field that cannot be read makes the record a damaged one.
func TestMalformedTags(t *testing.T) {
	t.Parallel()
	for name, tags := range map[string]string{
		"none":                   "",
		"more than there is":     "\x09\x07\x00\x00",
		"a value that is short":  "\x01\x01\x01\x05\x00",
		"octets behind a value":  "\x01\x01\x03\x00\x00\x00\x00",
		"of no recipient":        "\x00\x01\x01\x07\x00",
		"no count of recipients": "\x01\x07\x00",
	} {
		e := encoder{b: []byte{taggedVersion}}
		e.plain(fullEnvelope())
		if got, err := newDecoder(append(e.b, tags...)).envelope(); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	e := encoder{b: []byte{taggedVersion}}
	e.plain(fullEnvelope())
	if _, err := newDecoder(append(e.b, "\x01\x01\x02\x00\x00\x01\x00\x07\x00"...)).envelope(); err != nil {
		t.Error("the test says nothing:", err)
	}
}

// TestEveryFieldIsKept fails when a field is added to the envelope and
// forgotten here: the sample must have no zero field.
func TestEveryFieldIsKept(t *testing.T) {
	t.Parallel()
	env := actionsEnvelope()
	env.Prepend, env.Origin.Forwarded, env.Origin.ClientPort = prependEnvelope().Prepend, forwardedOrigin(), 4711
	env.Settles = settlingEnvelope().Settles
	env.Recipients[0].Original = addr.Address{Local: "o", Domain: "d"}
	for _, v := range []reflect.Value{reflect.ValueOf(*env), reflect.ValueOf(env.Origin), reflect.ValueOf(env.Recipients[0])} {
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name == "Mechanism" || name == "Cert" || name == "UserID" || name == "Source" {
				continue // for the log of the moment, and for Received, which is there by now; of Source see TestGoldenSources
			}
			if v.Field(i).IsZero() {
				t.Errorf("%s.%s is zero in the sample", v.Type(), v.Type().Field(i).Name)
			}
		}
	}
	e := encoder{}
	e.envelope(env)
	got, err := newDecoder(e.b).envelope()
	if err != nil || !reflect.DeepEqual(got, env) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestVersion1IsRead: a queue outlives the program.
func TestVersion1IsRead(t *testing.T) {
	t.Parallel()
	env := fullEnvelope()
	env.Recipients[0].Refused, env.Recipients[0].Expanded = nil, false
	e := encoder{}
	e.envelope(env)
	// Version 1 ended before the flags of the last recipient.
	old := append([]byte{1}, e.b[1:len(e.b)-2]...)
	got, err := newDecoder(old).envelope()
	if err != nil || !reflect.DeepEqual(got, env) {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzRecord(f *testing.F) {
	env := fullEnvelope()
	f.Add(append(encodeMessage(&record{env: env, prefixSize: 3, contentSize: 4}), "abcdefg"...))
	outside := &record{env: env, external: true, prefixSize: 3, contentSize: 400000}
	f.Add(append(encodeMessage(outside), "abc"...))
	outside.sum = checksum{1<<31 + 5, true}
	f.Add(append(encodeMessage(outside), "abc"...))
	outside.env = taggedEnvelope()
	f.Add(append(encodeMessage(outside), "abc"...))
	f.Add(mark{env.ID, 3, EffectStore, 1 << 60, 7}.encode())
	f.Add(farewell{env.ID, leftMoved}.encode())
	f.Add(checkpointed{9, 9}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		if m, err := decodeMark(b[1:]); err == nil && b[0] == kindMark && m.effect == 0 {
			t.Error(m)
		}
		_, _ = decodeFarewell(b[1:])
		_, _ = decodeCheckpointed(b[1:])
		r, err := decodeMessage(b[1:])
		if err != nil {
			return
		}
		again := append(encodeMessage(r), r.text...)
		r2, err := decodeMessage(again[1:])
		if err != nil || !reflect.DeepEqual(r.env, r2.env) || !bytes.Equal(r.text, r2.text) || r.external != r2.external || r.sum != r2.sum {
			t.Errorf("%+v became %+v: %v", r, r2, err)
		}
	})
}

func FuzzMessageFile(f *testing.F) {
	d := faultfs.NewDisk()
	s := &progress{attempts: 1, warned: true, boot: 5, rcpts: []rcpt{{last: dsn.New(dsn.NoAnswer, "x")}}}
	w, err := d.OpenTemp("/", 0o600)
	if err != nil {
		f.Fatal(err)
	}
	if err := writeMessage(w, fullEnvelope(), envelope.Memory("content"), s); err != nil {
		f.Fatal(err)
	}
	if _, err := updateFile(w, s); err != nil {
		f.Fatal(err)
	}
	whole := make([]byte, 4096)
	n, _ := w.ReadAt(whole, 0)
	f.Add(whole[:n])
	f.Add(whole[:n-3])
	f.Fuzz(func(t *testing.T, b []byte) {
		d := faultfs.NewDisk()
		w, err := d.OpenTemp("/", 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteAt(b, 0); err != nil {
			t.Fatal(err)
		}
		m, err := readMessage(w)
		if err != nil {
			return
		}
		if len(m.progress.rcpts) != len(m.env.Recipients) || m.contentAt+m.contentSize > int64(len(b)) || m.end > int64(len(b)) {
			t.Fatalf("%+v", m)
		}
		m.progress.attempts = 77
		if _, err := updateFile(w, m.progress); err != nil {
			t.Fatal(err)
		}
		if again, err := readMessage(w); err != nil || again.progress.attempts != 77 {
			t.Fatalf("after an update: %+v %v", again, err)
		}
	})
}
