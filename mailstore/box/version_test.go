package box_test

import (
	"testing"

	"toastmaster/internal/mime"
	"toastmaster/mailstore/box"
)

// TestStructureOfAnOlderVersion has a structure in the cache that mime cannot
// read any more: it is made anew from the message, and kept.
func TestStructureOfAnOlderVersion(t *testing.T) {
	t.Parallel()
	s, u := open(t, options(t.TempDir()))
	deliver(t, s, "one")
	v := inbox(t, u)
	current, err := recordOf(t.Context(), v, 1)
	check(t, err)
	old := append([]byte{1}, current[1:]...)
	check(t, box.PutEntry(t.Context(), v, 1, old))
	box.DropWindow(v)
	read := func() []byte {
		t.Helper()
		data, err := box.Entry(v, 1)
		check(t, err)
		return data
	}
	if data := read(); data != nil {
		t.Fatalf("a record of version %d is taken", data[0])
	}
	data, err := recordOf(t.Context(), v, 1)
	check(t, err)
	var m mime.Message
	check(t, m.Parse(data))
	box.DropWindow(v)
	if !mime.Readable(read()) {
		t.Error("it is not kept")
	}
}
