package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/testkit/binary"
	"toastmaster/internal/testkit/peers"
)

// program is the path of the binary, set once before any test runs.
var program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tm-")
	if err == nil {
		defer os.RemoveAll(dir)
		program, err = binary.Build(context.Background(), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

const (
	alice      = "alice@example.test"
	alicesWord = "wonderland"
	bob        = "bob@example.test"
	bobsWord   = "builder"
)

// box is a running instance with alice and bob.
type box struct {
	*binary.Instance
	dir string
}

// testTime bounds every test.
const testTime = 4 * time.Minute

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	t.Cleanup(cancel)
	return ctx
}

// serve starts an instance; it is stopped by SIGTERM at the end of the test,
// which must succeed. params are configuration parameters to change.
func serve(t *testing.T, params map[string]string) *box {
	t.Helper()
	return serveIn(t, "", params)
}

// serveIn is serve with the data in a folder of the caller's choice.
func serveIn(t *testing.T, data string, params map[string]string) *box {
	t.Helper()
	return serveWith(t, binary.Options{Data: data, Params: params})
}

// serveWith is serve with an instance of the caller's choice.
func serveWith(t *testing.T, o binary.Options) *box {
	t.Helper()
	dir := peers.TempDir(t)
	o.Program, o.Dir, o.Hostname = program, dir, "mx.example.test"
	i, err := binary.Create(testContext(t), o)
	if err != nil {
		t.Fatal(err)
	}
	b := &box{Instance: i, dir: dir}
	t.Cleanup(func() {
		if b.Running() {
			if err := b.Stop(); err != nil {
				t.Errorf("SIGTERM: %v", err)
			}
		}
		b.Close()
		if t.Failed() {
			t.Logf("the server's log ends:\n%s", b.LogTail(3000))
		}
		b.checkLog(t)
	})
	b.start(t)
	ctx := testContext(t)
	must(t, b.AddDomain(ctx, "example.test"))
	must(t, b.AddMailbox(ctx, alice, alicesWord))
	must(t, b.AddMailbox(ctx, bob, bobsWord))
	return b
}

func (b *box) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	must(t, b.Start(ctx))
}

// checkLog finds what no test may leave in the log: a panic.
func (b *box) checkLog(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(b.LogFile())
	if err != nil {
		t.Error(err)
		return
	}
	for _, word := range []string{"panic", "DATA RACE", "fatal error:", alicesWord, bobsWord} {
		if i := bytes.Index(text, []byte(word)); i >= 0 {
			t.Errorf("the log says %q: %s", word, text[max(i-300, 0):min(i+1500, len(text))])
		}
	}
}

// mail lists the message files of a folder of a mailbox, "" for INBOX.
func (b *box) mail(t *testing.T, address, folder string) []string {
	t.Helper()
	root := b.Maildir(address)
	if folder != "" {
		root = filepath.Join(root, "."+folder)
	}
	return maildirFiles(t, root)
}

func maildirFiles(t *testing.T, root string) []string {
	t.Helper()
	var files []string
	for _, sub := range []string{"new", "cur"} {
		found, err := filepath.Glob(filepath.Join(root, sub, "*"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	return files
}

// waitMail waits until INBOX holds n messages and returns their files.
func (b *box) waitMail(t *testing.T, address string, n int) []string {
	t.Helper()
	var files []string
	eventually(t, func() error {
		files = b.mail(t, address, "")
		if len(files) != n {
			return fmt.Errorf("%s has %d messages, want %d", address, len(files), n)
		}
		return nil
	})
	return files
}

// eventually tries until there is no error, for at most two minutes: what is
// slow is no failure.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// queueEmpty waits until nothing is queued.
func (b *box) queueEmpty(t *testing.T) {
	t.Helper()
	eventually(t, func() error {
		out, err := b.Run(testContext(t), "", "queue", "list", "--json")
		if err != nil {
			return err
		}
		if strings.Contains(out, `"id"`) {
			return fmt.Errorf("still queued: %s", out)
		}
		return nil
	})
}

// certFile saves the server's certificate, so that a client can be told to
// trust it.
func (b *box) certFile(t *testing.T) string {
	t.Helper()
	c, err := tls.Dial("tcp", b.IMAPS(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // it is the certificate that is wanted
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	file := filepath.Join(b.dir, "cert.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: c.ConnectionState().PeerCertificates[0].Raw}
	must(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o644))
	return file
}

// client runs a program of others and returns what it printed.
func client(t *testing.T, dir, stdin, path string, args ...string) string {
	t.Helper()
	out, err := tryClient(t, dir, stdin, path, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(path), strings.Join(args, " "), err, out)
	}
	return out
}

func tryClient(t *testing.T, dir, stdin, path string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "LC_ALL=C")
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	i := strings.LastIndexByte(address, ':')
	return address[i+1:]
}

// readFile returns a message file's text.
func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
