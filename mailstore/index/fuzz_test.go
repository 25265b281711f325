package index

import (
	"bytes"
	"encoding/binary"
	"testing"

	"toastmaster/internal/crc32c"
)

// consistent checks what every state must be, whatever made it.
func consistent(t *testing.T, s *State) {
	t.Helper()
	if got, want := s.Counters(), counted(s); got != want {
		t.Fatalf("counters %+v, counted %+v", got, want)
	}
	last := uint32(0)
	if len(s.UIDs) != len(s.Messages) {
		t.Fatalf("%d UIDs of %d messages", len(s.UIDs), len(s.Messages))
	}
	for i, m := range s.Messages {
		if m.UID != s.UIDs[i] || m.UID <= last || m.UID >= s.UIDNext || m.Name == "" || m.Size < 0 || m.Wire < 0 {
			t.Fatalf("message %+v after UID %d, UIDNEXT %d", m, last, s.UIDNext)
		}
		last = m.UID
		if m.CacheLen > 0 && m.CacheOff+int64(m.CacheLen) > s.CacheEnd {
			t.Fatalf("entry of %d lies beyond the end", m.UID)
		}
	}
}

// FuzzReplay gives the octets right checksums, so that the fuzzer reaches the
// decoders.
func FuzzReplay(f *testing.F) {
	_, b := sample()
	f.Add(b.buf)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		fixed := bytes.Clone(data)
		for at := 0; len(fixed)-at >= recordHeader; {
			size := int(binary.LittleEndian.Uint32(fixed[at+4:]) & MaxPayload)
			if size > len(fixed)-at-recordHeader {
				break
			}
			r := fixed[at : at+recordHeader+size]
			binary.LittleEndian.PutUint32(r, recordCRC(uint64(at), r))
			at += len(r)
		}
		s := NewState(1)
		n, _ := s.Replay(fixed)
		if n > len(fixed) || s.Position != uint64(n) {
			t.Fatal(n, s.Position)
		}
		consistent(t, s)
		again, err := ParseSnapshot(s.AppendSnapshot(nil))
		if err != nil {
			t.Fatalf("its own snapshot is refused: %v", err)
		}
		consistent(t, again)
	})
}

func FuzzSnapshot(f *testing.F) {
	s, _ := sample()
	f.Add(s.AppendSnapshot(nil))
	f.Add(NewState(1).AppendSnapshot(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		fixed := bytes.Clone(data)
		if len(fixed) >= snapshotHeader {
			copy(fixed, snapshotMagic)
			binary.LittleEndian.PutUint32(fixed[8:], crc32c.Sum(fixed[12:]))
		}
		if s, err := ParseSnapshot(fixed); err == nil {
			consistent(t, s)
		}
	})
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte("12345678data"), uint32(1))
	f.Fuzz(func(t *testing.T, raw []byte, uid uint32) {
		if data, ok := Entry(raw, uid); ok && len(data) != len(raw)-entryHeader {
			t.Fatal(len(data))
		}
	})
}
