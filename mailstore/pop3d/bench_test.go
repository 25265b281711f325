package pop3d

import (
	"bytes"
	"fmt"
	"testing"
)

// BenchmarkRetr retrieves messages of 4 KiB over loopback, pipelined in groups.
func BenchmarkRetr(b *testing.B) {
	h := newHost(b, func(h *host) { h.config.POP3D.NoFlagUpdates = true })
	const messages = 500
	body := big(4096)
	for range messages {
		h.deliver("bob", body)
	}
	c := h.login("bob")
	var commands bytes.Buffer
	for i := range messages {
		fmt.Fprintf(&commands, "RETR %d\r\n", i+1)
	}
	b.SetBytes(int64(len(body)) * messages)
	b.ReportAllocs()
	for b.Loop() {
		go func() { _, _ = c.Write(commands.Bytes()) }()
		for range messages {
			for {
				line, err := c.r.ReadSlice('\n')
				if err != nil {
					b.Fatal(err)
				}
				if len(line) == 3 && line[0] == '.' {
					break
				}
			}
		}
	}
	b.ReportMetric(float64(b.N)*messages/b.Elapsed().Seconds(), "messages/s")
}

func BenchmarkLogin(b *testing.B) {
	h := newHost(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		c := h.login("bob")
		c.ask("QUIT", "+OK")
		_ = c.Close()
	}
}
