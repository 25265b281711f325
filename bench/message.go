package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// message makes message number i: a plausible header and text, size octets in
// all, CR LF line ends. The same i gives the same message, on every run.
func message(i, size int) []byte {
	r := rand.New(rand.NewPCG(uint64(i), 4096))
	names := []string{"Ada Lovelace", "Grace Hopper", "Edsger Dijkstra", "Barbara Liskov", "Donald Knuth", "Frances Allen"}
	from, to, cc := names[r.IntN(len(names))], names[r.IntN(len(names))], names[r.IntN(len(names))]
	date := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 7 * time.Minute)
	var b bytes.Buffer
	fmt.Fprintf(&b, "Received: from client.example.net (client.example.net [192.0.2.%d])\r\n\tby mx.example.test (Postfix) with ESMTPS id %08X\r\n\tfor <user@example.test>; %s\r\n",
		r.IntN(256), r.Uint32(), date.Format(time.RFC1123Z))
	fmt.Fprintf(&b, "Date: %s\r\nFrom: %q <sender%d@example.net>\r\nTo: %q <user@example.test>\r\nCc: %q <copy%d@example.org>\r\n",
		date.Format(time.RFC1123Z), from, r.IntN(1000), to, cc, r.IntN(1000))
	fmt.Fprintf(&b, "Message-ID: <%016x.%d@client.example.net>\r\nIn-Reply-To: <%016x.%d@client.example.net>\r\n", r.Uint64(), i, r.Uint64(), i/2)
	fmt.Fprintf(&b, "Subject: Message %d of the benchmark, about %s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", i, names[r.IntN(len(names))])
	line := []byte("Sixty characters of text and one line end make up this body.\r\n")
	for b.Len()+len(line) <= size {
		b.Write(line)
	}
	return b.Bytes()
}

// someMessages are made before a measurement, so that the load generator takes
// little of the processors that it shares with the server.
func someMessages() [][]byte {
	all := make([][]byte, 200)
	for i := range all {
		all[i] = slices.Clip(message(i, messageSize)) // shared: nobody appends in place
	}
	return all
}

// fillMaildir writes n messages into cur/, as another program would have left
// them: LF line ends, S= and W= in the name.
func fillMaildir(s *side, addr string, n, size int) error {
	root := s.maildir(addr)
	for _, dir := range []string{root, filepath.Join(root, "cur"), filepath.Join(root, "new"), filepath.Join(root, "tmp")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := s.chown(dir); err != nil {
			return err
		}
	}
	flags := []string{"", "S", "RS", "FS"}
	for i := range n {
		wire := message(i, size)
		disk := bytes.ReplaceAll(wire, []byte("\r\n"), []byte("\n"))
		name := fmt.Sprintf("%d.M%06dP1.bench,S=%d,W=%d:2,%s", 1767225600+i, i, len(disk), len(wire), flags[i%len(flags)])
		path := filepath.Join(root, "cur", name)
		if err := os.WriteFile(path, disk, 0o600); err != nil {
			return err
		}
		if err := s.chown(path); err != nil {
			return err
		}
	}
	return nil
}
