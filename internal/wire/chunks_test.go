package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// readChunks reads a message that came as "BDAT" lines and chunks of the
// given sizes, and hands each piece to take before it asks for the next.
func readChunks(r *Reader, c *Chunks, sizes []int, take func([]byte)) error {
	for i, n := range sizes {
		if line, err := r.ReadLine(); string(line) != "BDAT" || err != nil {
			return fmt.Errorf("chunk %d: line %q: %w", i, line, err)
		}
		c.Chunk(int64(n), i == len(sizes)-1)
		for {
			p, err := c.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			take(p)
		}
	}
	return nil
}

// TestChunkWithACRAtTheEndOfTheBuffer is a chunk whose CR is the last octet
// that one read brought: what came before it must be whole when the caller sees
// it, whatever is read to find out about the CR.
func TestChunkWithACRAtTheEndOfTheBuffer(t *testing.T) {
	t.Parallel()
	const (
		size = 40000
		// What a read into a whole block brings ends here: the command came
		// with the first octets of the message, into the small buffer.
		end = idleSize - headroom - len("BDAT\r\n") + BlockSize - headroom
	)
	for at := end - 4; at <= end+4; at++ { // of the CR
		message := []byte("A: b\r\n\r\n" + strings.Repeat("x", at-8) + "\r\n")
		message = append(message, bytes.Repeat([]byte("y"), size-len(message))...)
		for _, first := range []int{100, at + 1, at + 7, size} {
			session := append([]byte("BDAT\r\n"), message...)
			src := io.MultiReader(bytes.NewReader(session[:first]), bytes.NewReader(session[first:]))
			r := NewReader(src, &Pool{})
			var got []byte
			err := readChunks(r, r.Chunks(Reject), []int{size}, func(p []byte) { got = append(got, p...) })
			if err != nil || !bytes.Equal(got, message) {
				t.Fatalf("CR at %d, first read of %d: altered at octet %d of %d, %v", at, first, difference(got, message), len(got), err)
			}
		}
	}
}

// difference is the first octet in which a and b differ.
func difference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// randomMessage is size octets of lines, CRs, LFs and dots.
func randomMessage(rnd *rand.Rand, size int) []byte {
	message := make([]byte, 0, size+100)
	for len(message) < size {
		switch rnd.IntN(12) {
		case 0:
			message = append(message, "\r\r\n"[rnd.IntN(3):]...)
		case 1:
			message = append(message, "\n.\r\n"[rnd.IntN(4):]...)
		case 2:
			message = append(message, strings.Repeat("\r\n", rnd.IntN(BlockSize))...)
		case 3:
			message = append(message, bytes.Repeat([]byte{byte('a' + rnd.IntN(26))}, rnd.IntN(BlockSize))...)
		default:
			message = append(message, bytes.Repeat([]byte{byte('a' + rnd.IntN(26))}, rnd.IntN(80))...)
			message = append(message, "\r\n"...)
		}
	}
	return message[:size]
}

// randomSizes splits n into chunks, of which no more than the first thousand are
// tiny: each costs a buffer, and a hundred thousand of them show nothing new.
func randomSizes(rnd *rand.Rand, n int) []int {
	var sizes []int
	limit := []int{3, 100, 5000, 50000, 1 << 20}[rnd.IntN(5)]
	for n > 0 {
		if len(sizes) == 1000 {
			limit = max(limit, 5000)
		}
		size := min(rnd.IntN(limit+1), n)
		sizes = append(sizes, size)
		n -= size
	}
	if rnd.IntN(2) == 0 {
		sizes = append(sizes, 0)
	}
	return sizes
}

// burst gives what it has in pieces of random size, as TCP does.
type burst struct {
	rnd *rand.Rand
	in  []byte
	max int
}

func (b *burst) Read(p []byte) (int, error) {
	if len(b.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.in[:min(len(b.in), 1+b.rnd.IntN(b.max))])
	b.in = b.in[n:]
	return n, nil
}

// checkRandomChunks sends a random message by BDAT and by DATA in random
// pieces, and compares what comes out with the plain reading of the rules.
func checkRandomChunks(seed uint64) error {
	rnd := rand.New(rand.NewPCG(seed, 1))
	message := randomMessage(rnd, 1+rnd.IntN(6*BlockSize))
	sizes := randomSizes(rnd, len(message))
	var session []byte
	at := 0
	for _, n := range sizes {
		session = append(session, "BDAT\r\n"...)
		session = append(session, message[at:at+n]...)
		at += n
	}
	most := []int{1, 7, 1500, 9000, BlockSize, 1 << 20}[rnd.IntN(6)]
	r := NewReader(&burst{rnd, session, most}, &Pool{})
	c := r.Chunks(Allow)
	c.LF()
	var got []byte
	err := readChunks(r, c, sizes, func(p []byte) { got = append(got, p...) })
	if err != nil {
		return err
	}
	want := toLF(message)
	if !bytes.Equal(got, want) || c.Size() != int64(len(message)) {
		return fmt.Errorf("BDAT: octet %d of %d (want %d octets) differs, size %d", difference(got, want), len(got), len(want), c.Size())
	}
	if !bytes.HasSuffix(message, []byte("\r\n")) {
		message = append(message, "\r\n"...)
		want = toLF(message)
	}
	r = NewReader(&burst{rnd, stuffed(message), most}, &Pool{})
	content := r.Content(Allow)
	content.LF()
	if got, err = io.ReadAll(content); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errors.New("DATA: octet " + fmt.Sprint(difference(got, want)) + " differs")
	}
	return nil
}

// stuffed is message, which ends with CR LF, in DATA framing.
func stuffed(message []byte) []byte {
	out := bytes.ReplaceAll(append([]byte("\r\n"), message...), []byte("\r\n."), []byte("\r\n.."))
	return append(out[2:], ".\r\n"...)
}

func TestRandomChunks(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		if err := checkRandomChunks(seed); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

func FuzzRandomChunks(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		if err := checkRandomChunks(seed); err != nil {
			t.Error(err)
		}
	})
}

// TestLargestChunkBehindACR is a chunk as long as a number can say, behind one that
// ends with a CR, which belongs to what is read next.
func TestLargestChunkBehindACR(t *testing.T) {
	t.Parallel()
	r := NewReader(bytes.NewReader([]byte("x\r\nNOOP\r\n")), &Pool{})
	c := r.Chunks(Reject)
	c.Chunk(2, false)
	for _, err := c.Next(); err != io.EOF; _, err = c.Next() {
		if err != nil {
			t.Fatal(err)
		}
	}
	c.Chunk(math.MaxInt64, false)
	p, err := c.Next()
	if got := string(p); err != nil || !strings.HasPrefix("\r\nNOOP\r\n", got) || got == "" || c.Left() <= 0 {
		t.Errorf("the second chunk begins with %q, %v, left %d", got, err, c.Left())
	}
}
