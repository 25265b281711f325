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
	"toastmaster/internal/testkit/golden"
	"toastmaster/internal/vfs"
)

var goldenFiles = golden.Flag()

func goldenEnvelope() *envelope.Envelope {
	env := fullEnvelope()
	env.Recipients[0].Original = addr.Address{Local: "o", Domain: "d"}
	env.Recipients = append(env.Recipients, envelope.Recipient{
		Address: addr.Address{Local: "y", Domain: "example.test"}, Original: addr.Address{Local: "y", Domain: "example.test"},
	})
	return env
}

const goldenText = "Received: x\nSubject: y\n\nz\n"

func sameRecord(t *testing.T, name string, file []byte, env *envelope.Envelope, external bool, sum checksum) {
	t.Helper()
	r, err := decodeMessage(file[1:])
	if err != nil || file[0] != kindMessage {
		t.Fatalf("%s: kind %d, %v", name, file[0], err)
	}
	text := goldenText
	if external {
		text = text[:12]
	}
	if !reflect.DeepEqual(r.env, env) || string(r.text) != text || r.external != external || r.sum != sum || r.size() != int64(len(goldenText)) {
		t.Errorf("%s: %+v", name, r)
	}
}

// TestGoldenRecords: the journal records of every version.
func TestGoldenRecords(t *testing.T) {
	t.Parallel()
	env := goldenEnvelope()
	r := &record{env: env, prefixSize: 12, contentSize: int64(len(goldenText) - 12)}
	inline := append(encodeMessage(r), goldenText...)
	sameRecord(t, "message-2", goldenFiles.Current(t, "message-2", inline), env, false, checksum{})
	r.external, r.sum = true, checksum{0xfedcba98, true}
	outside := append(encodeMessage(r), goldenText[:12]...)
	sameRecord(t, "external-3", goldenFiles.Current(t, "external-3", outside), env, true, r.sum)
	// From before the checksum of a content file was noted.
	sameRecord(t, "external-2", goldenFiles.Read(t, "external-2", nil), env, true, checksum{})

	tagged := taggedEnvelope()
	tagged.Recipients = append(tagged.Recipients, env.Recipients[1])
	r = &record{env: tagged, prefixSize: 12, contentSize: int64(len(goldenText) - 12)}
	inline = append(encodeMessage(r), goldenText...)
	sameRecord(t, "message-3", goldenFiles.Current(t, "message-3", inline), tagged, false, checksum{})

	// What restrictions ask for: fields that came later, and no new version.
	acted := actionsEnvelope()
	acted.Recipients = append(acted.Recipients, env.Recipients[1])
	r = &record{env: acted, prefixSize: 12, contentSize: int64(len(goldenText) - 12)}
	inline = append(encodeMessage(r), goldenText...)
	sameRecord(t, "actions-3", goldenFiles.Current(t, "actions-3", inline), acted, false, checksum{})

	prepended := prependEnvelope()
	prepended.Recipients = append(prepended.Recipients, env.Recipients[1])
	r = &record{env: prepended, prefixSize: 12, contentSize: int64(len(goldenText) - 12)}
	inline = append(encodeMessage(r), goldenText...)
	sameRecord(t, "prepend-3", goldenFiles.Current(t, "prepend-3", inline), prepended, false, checksum{})

	forwarded := taggedEnvelope()
	forwarded.Origin.Forwarded = forwardedOrigin()
	forwarded.Recipients = append(forwarded.Recipients, env.Recipients[1])
	r = &record{env: forwarded, prefixSize: 12, contentSize: int64(len(goldenText) - 12)}
	inline = append(encodeMessage(r), goldenText...)
	sameRecord(t, "forwarded-3", goldenFiles.Current(t, "forwarded-3", inline), forwarded, false, checksum{})

	m := mark{env.ID, 300, EffectStore, 1<<63 + 7, 300}
	if got, err := decodeMark(goldenFiles.Current(t, "mark-1", m.encode())[1:]); err != nil || got != m {
		t.Errorf("%+v, %v", got, err)
	}
	g := farewell{env.ID, leftDeleted}
	if got, err := decodeFarewell(goldenFiles.Current(t, "gone-1", g.encode())[1:]); err != nil || got != g {
		t.Errorf("%+v, %v", got, err)
	}
	c := checkpointed{1<<63 + 7, 300}
	if got, err := decodeCheckpointed(goldenFiles.Current(t, "checkpoint-1", c.encode())[1:]); err != nil || got != c {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestGoldenEnvelope1: envelopes from before Recipient.Refused and Expanded, in a
// journal record with one recipient.
func TestGoldenEnvelope1(t *testing.T) {
	t.Parallel()
	env := goldenEnvelope()
	env.Recipients = env.Recipients[1:]
	file := goldenFiles.Read(t, "message-1", nil)
	sameRecord(t, "message-1", file, env, false, checksum{})
}

// TestGoldenFile: a file of deferred/ with two states, of which the second
// counts.
func TestGoldenFile(t *testing.T) {
	t.Parallel()
	env := goldenEnvelope()
	first := &progress{boot: 5, rcpts: make([]rcpt, 2)}
	refused := &dsn.Error{Status: dsn.NoAnswer, Code: 421, Text: "text", RemoteMTA: "mx", RemoteReply: "421 reply"}
	second := &progress{attempts: 300, warned: true, boot: 1<<63 + 5, rcpts: []rcpt{{last: refused}, {done: true}}}
	w, err := faultfs.NewDisk().OpenTemp("/", 0o600)
	must(t, err)
	must(t, writeMessage(w, env, envelope.Memory(goldenText), first))
	_, err = updateFile(w, second)
	must(t, err)
	info, err := w.Stat()
	must(t, err)
	written := make([]byte, info.Size())
	_, err = w.ReadAt(written, 0)
	must(t, err)

	file := goldenFiles.Current(t, "file-2", written)
	r, err := faultfs.NewDisk().OpenTemp("/", 0o600)
	must(t, err)
	_, err = r.Write(file)
	must(t, err)
	m, err := readMessage(r)
	must(t, err)
	if !reflect.DeepEqual(m.env, env) || !reflect.DeepEqual(m.progress, second) || m.end != int64(len(file)) {
		t.Errorf("%+v %+v, end %d", m.env, m.progress, m.end)
	}
	if content := file[m.contentAt : m.contentAt+m.contentSize]; string(content) != goldenText {
		t.Errorf("%q", content)
	}
}

func TestGoldenEpochAndID(t *testing.T) {
	t.Parallel()
	d := faultfs.NewDisk()
	epoch := make([]byte, 12)
	for range 2 {
		_, err := newEpoch(d, "/", time.Unix(0, 0))
		must(t, err)
	}
	f, err := d.OpenFile("/epoch", 0, 0)
	must(t, err)
	_, err = f.ReadAt(epoch, 0)
	must(t, err)
	must(t, f.Close())
	file := goldenFiles.Current(t, "epoch-1", epoch)
	must(t, vfs.Replace(d, "/epoch", file))
	if n, err := readEpoch(d, "/epoch"); n != 2 || err != nil {
		t.Error(n, err)
	}
	id := formatID(time.UnixMicro(1_700_000_000_123_456), epochText(2))
	if got := goldenFiles.Current(t, "id-1", []byte(id)); !bytes.Equal(got, []byte(id)) || !validID(id) {
		t.Errorf("%s", got)
	}
}
