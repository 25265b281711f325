package transcript

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	steps, err := parse("# c\nS: 220 *\nC: a\\x41\\{bc*2}\nC> x\\r\\n\\0\\\\\nS: ...\nS: <end>\nTLS\n", nil)
	if err != nil || len(steps) != 6 {
		t.Fatal(steps, err)
	}
	if steps[1].text != "aAbcbc\r\n" || steps[2].text != "x\r\n\x00\\" || steps[4].kind != serverEnd {
		t.Error(steps)
	}
	for _, bad := range []string{"hello", `C: \q`, `C: \`, `C: \{x}`, `C: \xZZ`} {
		if _, err := parse(bad, nil); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"a*", "abc", true}, {"*c", "abc", true},
		{"a*c*e", "abcde", true}, {"a*c", "abcd", false}, {"*", "", true},
	} {
		if match(c.pattern, c.s) != c.want {
			t.Errorf("%q %q", c.pattern, c.s)
		}
	}
}

func TestPlay(t *testing.T) {
	t.Parallel()
	// Not net.Pipe: it takes no deadline any more when the other end is closed.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dial := func(t *testing.T, _ string) net.Conn {
		go func() {
			b, err := l.Accept()
			if err != nil {
				return
			}
			defer b.Close()
			io.WriteString(b, "hello\r\n")
			in := bufio.NewReader(b)
			for {
				line, err := in.ReadString('\n')
				if err != nil || strings.HasPrefix(line, "bye") {
					return
				}
				io.WriteString(b, "one\r\ntwo\r\n"+line)
			}
		}()
		a, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	Run(t, "two", "C: a\nC2: b\nS: hello\nS2: hello\nS: one\nS2: ...\nS2: b\nC2: bye\nS: two\nS: a\nS2: <end>\n", Options{Dial: dial})
	Run(t, "echo", "S: hello\nC: ${x}\nS: ...\nS: me\nC: bye\nS: <end>\n", Options{Dial: dial, Vars: map[string]string{"x": "me"}})
}
