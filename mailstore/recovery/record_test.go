package recovery

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/emersion/go-imap/v2"
)

func FuzzJournalRecord(f *testing.F) {
	f.Add(append(appendHead(nil, Stored, "h", ".A"), "\x04name\x01\x02\x03\x04\x05\x01\x01k\x01content"...))
	f.Add(appendHead(nil, Left, "h", ""))
	f.Add(appendRenamed(Folder{"h", ".A"}, 7, ".B"))
	moved := Record{Kind: Moved, Home: "h", Dir: ".A", To: ".B", Items: []Item{{UID: 1, Name: "n", NewUID: 2, NewName: "m", Keywords: []imap.Flag{"k"}}}}
	f.Add(moved.records()[0])
	// The bit of a keyword among the flags: nobody writes it, the names are elsewhere.
	bit := bytes.Clone(moved.records()[0])
	bit[bytes.LastIndexByte(bit, 'm')+1] = 1 // the first of maildir.Keywords
	f.Add(bit)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err == nil && r.Kind == Stored && (r.Name == "" || r.UID == 0 || len(r.content) > len(b)) {
			t.Fatalf("%+v", r)
		}
		if err != nil || r.Kind < Copied || r.Kind > Expunged || len(r.Items) == 0 {
			return
		}
		again, err := decodeRecord(r.records()[0])
		if r.more = again != nil && again.more; err != nil || !reflect.DeepEqual(r.Items[:len(again.Items)], again.Items) {
			t.Fatalf("%+v is %+v, %v", r, again, err)
		}
	})
}
