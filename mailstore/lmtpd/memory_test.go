package lmtpd

import (
	"bytes"
	"testing"
)

// TestADeliveryTakesLittleMemory: what a message costs is not seen in a test's time, but
// in what it takes. It was 67 pieces of memory, from MAIL to 250, when mostPieces was written,
// and 179 when a delivery had become slower by a tenth, 72 of them for its date.
func TestADeliveryTakesLittleMemory(t *testing.T) {
	b := newBed(t, hosted(t))
	conn := b.dial(t, "tcp")
	defer conn.Close()
	answer := make([]byte, 4<<10)
	// exchange sends a request and reads to the end of its answer's last line.
	exchange := func(request []byte, last string) {
		if _, err := conn.Write(request); err != nil {
			t.Fatal(err)
		}
		for n := 0; !bytes.HasSuffix(answer[:n], []byte(last)); {
			got, err := conn.Read(answer[n:])
			if err != nil {
				t.Fatalf("%q: %v", answer[:n], err)
			}
			n += got
		}
	}
	exchange(nil, "220 mx.test LMTP ready\r\n")
	exchange([]byte("LHLO c\r\n"), "250 CHUNKING\r\n")
	envelope := []byte("MAIL FROM:<sender@example.net>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n")
	content := []byte("Received: from a (a [192.0.2.1])\r\n\tby b with ESMTPS id 1\r\n\tfor <alice@example.test>; Fri, 27 Nov 2026 07:30:00 +0000\r\n" +
		"Date: Fri, 27 Nov 2026 07:30:00 +0000 (UTC)\r\nFrom: \"Ada\" <ada@example.net>\r\nTo: Alice <alice@example.test>\r\nMessage-ID: <1@example.net>\r\n" +
		"Subject: Re: a subject of some words\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n.\r\n")
	pieces := testing.AllocsPerRun(200, func() {
		exchange(envelope, "354 End data with <CR><LF>.<CR><LF>\r\n")
		exchange(content, "250 2.0.0 Saved\r\n")
	})
	if t.Logf("%v pieces", pieces); pieces > mostPieces {
		t.Errorf("a delivery takes %v pieces of memory, at most %d are allowed", pieces, mostPieces)
	}
}
