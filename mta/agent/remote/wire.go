package remote

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

// The bounds of the conversation; see the package's documentation. They are no parameters: both sides are this program.
const (
	headTimeout  = 30 * time.Second
	writeTimeout = 30 * time.Second
	aliveEvery   = 10 * time.Second
	silence      = 6 * aliveEvery
	endTimeout   = 30 * time.Second
	maxLine      = 8 << 20
	maxFields    = 64 << 10
)

// request is what the agent's Deliver, or Probe, is called with.
type request struct {
	Probe              bool
	Transport          string
	Envelope           *envelope.Envelope
	Nexthop            string
	Chosen, Replay     bool
	Activated, Started time.Time
	Size               int64
}

// said is a line of the Server: one of these.
type said struct {
	Result *result  `json:",omitempty"`
	Submit *submit  `json:",omitempty"`
	Pass   *request `json:",omitempty"`
	Alive  bool     `json:",omitempty"`
	Done   bool     `json:",omitempty"`
	// Failed is why there is no delivery at all.
	Failed string `json:",omitempty"`
}

// reply answers Submit and Pass.
type reply struct {
	ID     envelope.QueueID `json:",omitempty"`
	Err    *failure         `json:",omitempty"`
	Result *result          `json:",omitempty"`
}

// submit is an envelope.Submission whose content is the message with Fields before it.
type submit struct {
	Envelope *envelope.Envelope
	Fields   []byte
}

// result is an agent.Result.
type result struct {
	Recipient   int
	Err         *failure
	Action      agent.Action
	Site        bool
	Status      dsn.Status
	Text, Relay string
	Effect      queue.Effect
	Connected   time.Time
}

// failure is a dsn.Error whose cause is text, for the log of the process that hears it.
type failure struct {
	Code                         int
	Status                       dsn.Status
	Text, RemoteMTA, RemoteReply string
	Cause                        string
}

func failureOf(e *dsn.Error) *failure {
	if e == nil {
		return nil
	}
	f := &failure{Code: e.Code, Status: e.Status, Text: e.Text, RemoteMTA: e.RemoteMTA, RemoteReply: e.RemoteReply}
	if e.Cause != nil {
		f.Cause = e.Cause.Error()
	}
	return f
}

func (f *failure) err() *dsn.Error {
	if f == nil {
		return nil
	}
	e := &dsn.Error{Code: f.Code, Status: f.Status, Text: f.Text, RemoteMTA: f.RemoteMTA, RemoteReply: f.RemoteReply}
	if f.Cause != "" {
		e.Cause = errors.New(f.Cause)
	}
	return e
}

func resultOf(r agent.Result, recipient int) *result {
	return &result{recipient, failureOf(r.Err), r.Action, r.Site, r.Status, r.Text, r.Relay, r.Effect, r.Connected}
}

func (r *result) result(recipient int) agent.Result {
	return agent.Result{
		Recipient: recipient, Err: r.Err.err(), Action: r.Action, Site: r.Site, Status: r.Status, Text: r.Text, Relay: r.Relay, Effect: r.Effect, Connected: r.Connected,
	}
}

// temporary is what becomes of a recipient of whom nothing was said.
func temporary(cause error) *dsn.Error {
	return dsn.Wrap(dsn.MailSystem, "Temporary failure in the mail system", cause)
}

// of is a request about some recipients, who are all that its envelope has. Why some were refused is nothing for an agent.
func of(r *agent.Request, transport string) *request {
	env := *r.Envelope
	env.Recipients = make([]envelope.Recipient, 0, len(r.Recipients))
	for _, i := range r.Recipients {
		one := r.Envelope.Recipients[i]
		one.Refused, one.Unknown = nil, nil
		env.Recipients = append(env.Recipients, one)
	}
	return &request{
		Transport: transport, Envelope: &env, Nexthop: r.Nexthop, Chosen: r.Chosen, Replay: r.Replay, Activated: r.Activated, Started: r.Started, Size: r.Content.Size(),
	}
}

// request is what the agent gets.
func (q *request) request(content envelope.Content) *agent.Request {
	r := &agent.Request{
		Envelope: q.Envelope, Content: content, Nexthop: q.Nexthop, Chosen: q.Chosen, Replay: q.Replay, Activated: q.Activated, Started: q.Started,
	}
	for i := range q.Envelope.Recipients {
		r.Recipients = append(r.Recipients, i)
	}
	return r
}

// check refuses what no queue has.
func (q *request) check() error {
	e := q.Envelope
	if e == nil || len(e.Recipients) == 0 || q.Probe && len(e.Recipients) != 1 || q.Size < 0 {
		return errors.New("no request")
	}
	o := e.Origin
	words := []string{q.Transport, q.Nexthop, string(e.ID), e.EnvID, o.Protocol, o.ClientAddr, o.ClientName, o.Helo, o.Login, o.UserID, o.Session}
	addresses := []addr.Address{e.Sender}
	for _, r := range e.Recipients {
		if r.Address.IsNull() {
			return errors.New("a recipient without an address")
		}
		words, addresses = append(words, r.ORcpt), append(addresses, r.Address, r.Original)
	}
	for _, a := range addresses {
		words = append(words, a.Local, a.Domain)
	}
	for _, w := range words {
		if strings.ContainsAny(w, "\x00\r\n") {
			return fmt.Errorf("%q has a control character", w)
		}
	}
	if strings.ContainsAny(string(e.ID), "/.") {
		return fmt.Errorf("%q is no queue ID", e.ID)
	}
	return nil
}

// wire is a connection with lines of JSON on it.
type wire struct {
	conn *net.UnixConn
	in   *bufio.Reader
	mu   sync.Mutex // one line at a time
}

// send writes a line.
func (w *wire) send(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err = w.conn.Write(append(line, '\n'))
	return err
}

// hear reads a line; io.EOF is the end of the other side.
func (w *wire) hear(v any) error {
	var line []byte
	for {
		part, err := w.in.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			return json.Unmarshal(line, v)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if len(line) > maxLine {
			return errors.New("a line is too long")
		}
	}
}

// lengthSize is that of the number of octets of the request, which the descriptor comes with.
const lengthSize = 8

// sendRequest begins a delivery.
func (w *wire) sendRequest(q *request, content *os.File) error {
	text, err := json.Marshal(q)
	if err != nil {
		return err
	}
	if len(text) > maxLine {
		return errors.New("the envelope is too long")
	}
	if err := w.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	length := binary.BigEndian.AppendUint64(nil, uint64(len(text)))
	if n, _, err := w.conn.WriteMsgUnix(length, unix.UnixRights(int(content.Fd())), nil); err != nil || n != lengthSize {
		return errors.Join(errors.New("the descriptor was not sent"), err)
	}
	_, err = w.conn.Write(text)
	return err
}

// hearRequest is the other side of it. The file is the caller's to close.
func (w *wire) hearRequest() (*request, *os.File, error) {
	if err := w.conn.SetReadDeadline(time.Now().Add(headTimeout)); err != nil {
		return nil, nil, err
	}
	length, control := make([]byte, lengthSize), make([]byte, unix.CmsgSpace(4*4))
	n, controls, _, _, err := w.conn.ReadMsgUnix(length, control)
	if err != nil {
		return nil, nil, err
	}
	file, err := theFile(control[:controls])
	if err != nil {
		return nil, nil, err
	}
	size := binary.BigEndian.Uint64(length)
	if n != lengthSize || size > maxLine {
		return nil, nil, errors.Join(errors.New("no request"), file.Close())
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(w.in, text); err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	q := &request{}
	if err := json.Unmarshal(text, q); err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	if err := errors.Join(q.check(), w.conn.SetReadDeadline(time.Time{})); err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return q, file, nil
}

// theFile is the one descriptor that came; others are closed.
func theFile(control []byte) (*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, err
	}
	var fds []int
	for _, m := range messages {
		if some, err := unix.ParseUnixRights(&m); err == nil {
			fds = append(fds, some...)
		}
	}
	if len(fds) == 1 {
		return os.NewFile(uintptr(fds[0]), "message"), nil
	}
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
	return nil, fmt.Errorf("%d descriptors came", len(fds))
}

// fileContent is a message in a file of another process.
type fileContent struct {
	*io.SectionReader
	file *os.File
}

func contentOf(f *os.File, size int64) fileContent {
	return fileContent{io.NewSectionReader(f, 0, size), f}
}

// Bytes implements envelope.Content.
func (fileContent) Bytes() ([]byte, bool) { return nil, false }

// Close implements envelope.Content: the file is the delivery's.
func (fileContent) Close() error { return nil }

// prefixed is a content with fields before it, which is closed by its owner.
type prefixed struct {
	fields []byte
	envelope.Content
}

func (p *prefixed) Close() error { return nil }

func (p *prefixed) Size() int64 { return int64(len(p.fields)) + p.Content.Size() }

func (p *prefixed) Bytes() ([]byte, bool) {
	b, ok := p.Content.Bytes()
	if !ok {
		return nil, false
	}
	return append(append([]byte{}, p.fields...), b...), true
}

func (p *prefixed) ReadAt(b []byte, off int64) (n int, err error) {
	if off < int64(len(p.fields)) {
		if n = copy(b, p.fields[off:]); n == len(b) {
			return n, nil
		}
	}
	more, err := p.Content.ReadAt(b[n:], off+int64(n)-int64(len(p.fields)))
	return n + more, err
}
