package mailstore

import (
	"testing"

	"toastmaster/internal/mime"
)

// TestStructureOfAnOlderVersion has a structure in the cache that mime cannot
// read any more: it is made anew from the message, and kept.
func TestStructureOfAnOlderVersion(t *testing.T) {
	t.Parallel()
	s, u, _ := openEmpty(t)
	deliver(t, s, Delivery{Content: message("one")})
	v := openView(t, u, "INBOX")
	mb := v.mb
	current, err := v.Structure(t.Context(), 1)
	check(t, err)
	old := append([]byte{current[0] - 1}, current[1:]...)
	check(t, mb.locked(t.Context(), func() error {
		m := mb.st.Get(uint32(v.UID(1)))
		n, err := mb.cache.Append(mb.st.CacheEnd, m.UID, old)
		if err != nil {
			return err
		}
		mb.batch.Cache(m.UID, mb.st.CacheEnd, n)
		return mb.commitQuietly()
	}))
	v.dropWindow()
	read := func() []byte {
		t.Helper()
		data, err := v.entry(1)
		check(t, err)
		return data
	}
	if data := read(); data != nil {
		t.Fatalf("a record of version %d is taken", data[0])
	}
	data, err := v.Structure(t.Context(), 1)
	check(t, err)
	var m mime.Message
	check(t, m.Parse(data))
	v.dropWindow()
	if !mime.Current(read()) {
		t.Error("it is not kept")
	}
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}
