package mailcopy

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
)

// file is a content that is not in memory.
type file struct{ *strings.Reader }

func (file) Close() error          { return nil }
func (file) Bytes() ([]byte, bool) { return nil, false }

func contents(text string) map[string]envelope.Content {
	return map[string]envelope.Content{"memory": envelope.Memory(text), "file": file{strings.NewReader(text)}}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("From ", 20_000)
	at := time.Date(2026, 11, 7, 4, 5, 6, 0, time.UTC)
	for _, c := range []struct {
		copy       Copy
		text, want string
	}{
		{Copy{}, "a: b\n\nc\n", "a: b\n\nc\n"},
		{Copy{}, "", ""},
		{Copy{}, "a: b\n\nno end", "a: b\n\nno end\n"},
		{Copy{EOL: "\r\n"}, "a: b\n\nc", "a: b\r\n\r\nc\r\n"},
		{Copy{Dots: true}, ".\n..a\nb.\n", "..\n...a\nb.\n"},
		{Copy{Quote: true}, "From a\n>From b\nfrom c\n From d\nFrom", ">From a\n>From b\nfrom c\n From d\nFrom\n"},
		{Copy{Quote: true, Dots: true}, long + "\n.x\n", ">" + long + "\n..x\n"},
		{Copy{Blank: true}, "x\n", "x\n\n"},
		{Copy{Blank: true, EOL: "\r\n"}, "x", "x\r\n\r\n"},
		{Copy{From: "a@b", At: at, ReturnPath: "<a@b>", OriginalTo: "c@d", DeliveredTo: "e@f"}, "\nx\n",
			"From a@b  Sat Nov  7 04:05:06 2026\nReturn-Path: <a@b>\nX-Original-To: c@d\nDelivered-To: e@f\n\nx\n"},
	} {
		for where, content := range contents(c.text) {
			var b bytes.Buffer
			if err := c.copy.Write(&b, content); err != nil || b.String() != c.want {
				t.Errorf("%+v of %.40q (%s): %.80q %v, want %.80q", c.copy, c.text, where, b.String(), err, c.want)
			}
		}
	}
}

type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

// TestWriteFails: an error of writing, and one of reading, is told.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("line\n", 100_000)
	for _, room := range []int{0, 100, 50_000} {
		if err := (&Copy{}).Write(&full{room}, envelope.Memory(text)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%d: %v", room, err)
		}
	}
	if err := (&Copy{}).Write(io.Discard, broken{file{strings.NewReader(text)}}); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
}

type broken struct{ file }

func (broken) ReadAt([]byte, int64) (int, error) { return 0, syscall.EIO }

func TestLoops(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"Delivered-To: u@d.test\n\n": true, "X: y\ndelivered-TO:  <U@D.test> \n\n": true, "Delivered-To: v@d.test\n\n": false, "\nDelivered-To: u@d.test\n": false, "": false,
	} {
		for where, content := range contents(text) {
			if got, err := Loops(content, addr.Address{Local: "u", Domain: "d.test"}); err != nil || got != want {
				t.Errorf("%q (%s): %v %v", text, where, got, err)
			}
		}
	}
}
