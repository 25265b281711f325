package main

import (
	"io"
	"strings"
	"testing"
)

func TestSkipBOM(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"\ufeffa@example.test,x\n": "a@example.test,x\n", "a@example.test,x\n": "a@example.test,x\n",
		"\ufeff": "", "": "", "a": "a", "\xef\xbb": "\xef\xbb", "a\ufeff": "a\ufeff",
	} {
		r, err := skipBOM(strings.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}
