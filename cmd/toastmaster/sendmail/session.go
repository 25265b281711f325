package sendmail

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"

	"toastmaster/internal/wire"
)

// session joins in and out with the SMTP service until it ends the session, as
// it does after QUIT or the end of in (`sendmail -bs`).
func (m mailSystem) session(ctx context.Context, in io.Reader, out io.Writer) error {
	conn, err := m.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	// Nobody waits for this one: the process ends with the session, and a read
	// of standard input cannot be ended. It has no fence: the process is the
	// command's own, and a panic in it is no matter of the mail service.
	go func() {
		_ = copyLines(conn, in)
		if c, ok := conn.(*net.TCPConn); ok {
			_ = c.CloseWrite()
		}
	}()
	_, err = io.Copy(out, conn)
	return err
}

// copyLines copies in as it comes. A program whose first line ends with LF
// alone means CRLF by LF throughout; one that speaks SMTP is left alone.
func copyLines(out io.Writer, in io.Reader) error {
	r := bufio.NewReader(in)
	first, err := r.ReadSlice('\n')
	bare := bytes.HasSuffix(first, []byte("\n")) && !bytes.HasSuffix(first, []byte("\r\n"))
	w := out
	if bare {
		w = newDialogue(out)
	}
	if _, werr := w.Write(first); werr != nil {
		return werr
	}
	if err != nil && err != bufio.ErrBufferFull {
		return err
	}
	_, err = io.Copy(w, struct{ io.Reader }{r})
	return err
}

// dialogue writes lines that end with LF as the service wants them, each at once.
type dialogue struct {
	lines *wire.ContentWriter
	w     *wire.Writer
}

func newDialogue(out io.Writer) dialogue {
	w := wire.NewWriter(out, nil)
	return dialogue{wire.NewLineWriter(w), w}
}

func (d dialogue) Write(b []byte) (int, error) {
	if _, err := d.lines.Write(b); err != nil {
		return 0, err
	}
	if err := d.w.Flush(); err != nil {
		return 0, err
	}
	return len(b), nil
}
