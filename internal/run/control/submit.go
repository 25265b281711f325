package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// maxSubmission bounds the line before a content: an envelope with many recipients.
const maxSubmission = 8 << 20

// submission is an envelope.Submission in a line of JSON, before its content. A filter is nobody's but
// smtpd's.
type submission struct {
	Envelope  *envelope.Envelope
	Size      int64
	Complete  bool
	Outside   bool
	Author    addr.Address
	Incoming  bool
	Rewrite   envelope.Rewrite
	CheckRoom bool
}

// submitted is the answer: the message is on the disk, or Err says why not.
type submitted struct {
	ID  envelope.QueueID
	Err *dsn.Error
}

// Submitter hands mail of this role to the one that has the queue.
type Submitter struct{ c *Client }

var _ envelope.Submitter = Submitter{}

// Submitter is the way into the queue of the role.
func (c *Client) Submitter() Submitter { return Submitter{c} }

// Submit implements envelope.Submitter. A role that does not answer is a temporary error; the message may be
// in its queue then, and is there twice when it is tried again: its ENVID tells.
func (s Submitter) Submit(ctx context.Context, in *envelope.Submission) (envelope.QueueID, error) {
	defer in.Content.Close()
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	head, err := json.Marshal(submission{
		in.Envelope, in.Content.Size(), in.Complete, in.Outside, in.Author, in.Incoming, in.Rewrite, in.CheckRoom,
	})
	if err != nil {
		return "", err
	}
	pr, pw := io.Pipe()
	written := make(chan struct{})
	go func() {
		// No fence: it copies.
		defer close(written)
		_, err := pw.Write(append(head, '\n'))
		if err == nil {
			_, err = io.Copy(pw, envelope.Reader(in.Content))
		}
		pw.CloseWithError(err)
	}()
	answer, err := s.send(ctx, pr)
	_ = pr.CloseWithError(errors.New("answered"))
	<-written
	switch {
	case err != nil:
		return "", dsn.Wrap(dsn.MailSystem, "Temporary failure", s.c.unavailable(err))
	case answer.Err != nil:
		return "", answer.Err
	}
	return answer.ID, nil
}

func (s Submitter) send(ctx context.Context, body io.Reader) (out submitted, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.c.Role+"/submit", body)
	if err != nil {
		return out, err
	}
	res, err := s.c.http.Do(req)
	if err != nil {
		return out, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return out, errors.New(res.Status)
	}
	return out, json.NewDecoder(io.LimitReader(res.Body, maxProblem)).Decode(&out)
}

// submit takes a message.
func (s *Server) submit(w http.ResponseWriter, r *http.Request) {
	var out submitted
	id, err := s.take(w, r)
	if out.ID = id; err != nil {
		e := dsn.From(err)
		s.o.Log.Warn("control", "path", r.URL.Path, "cause", e)
		out.Err = withoutCause(e)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

// take reads a message and submits it.
func (s *Server) take(w http.ResponseWriter, r *http.Request) (envelope.QueueID, error) {
	c := http.NewResponseController(w)
	if err := c.SetReadDeadline(time.Now().Add(submitTimeout)); err != nil {
		return "", err
	}
	body := bufio.NewReader(r.Body)
	line, err := readLine(body)
	if err != nil {
		return "", err
	}
	var in submission
	if err := json.Unmarshal(line, &in); err != nil {
		return "", err
	}
	if in.Envelope == nil {
		return "", errors.New("no envelope")
	}
	buf := s.o.Spool.New()
	n, err := io.Copy(buf, io.LimitReader(body, max(in.Size, 0)+1))
	if err == nil && n != in.Size {
		err = fmt.Errorf("%d octets of %d came", n, in.Size)
	}
	if err != nil {
		return "", errors.Join(err, buf.Close())
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return "", errors.Join(err, buf.Close())
	}
	return s.o.Submit.Submit(r.Context(), &envelope.Submission{
		Envelope: said(in.Envelope), Content: buf, Complete: in.Complete, Outside: in.Outside, Author: in.Author,
		Incoming: in.Incoming, Rewrite: in.Rewrite, CheckRoom: in.CheckRoom,
	})
}

// said is the envelope of another role's message: what a delivery says of mail that it sends on, or answers. What
// the queue and the restrictions of this role decide is not the other's to say: an ID, a route, what is settled of other
// messages; nor that it comes from a client, or from a user of this host, whose mail filters sign. A role that is in a stranger's hands could take others' mail out of the queue by them.
func said(e *envelope.Envelope) *envelope.Envelope {
	out := &envelope.Envelope{
		Sender: e.Sender, Body: e.Body, UTF8: e.UTF8, Return: e.Return, Auth: e.Auth, Hops: e.Hops,
		Origin: envelope.Origin{Source: envelope.SourceRedirect, Session: e.Origin.Session},
	}
	if e.Origin.Source == envelope.SourceVacation {
		out.Origin.Source = envelope.SourceVacation
	}
	if envelope.IsEnvID(e.EnvID) {
		out.EnvID = e.EnvID
	}
	for _, r := range e.Recipients {
		out.Recipients = append(out.Recipients, envelope.Recipient{Address: r.Address, Original: r.Original, ORcpt: r.ORcpt, Notify: r.Notify})
	}
	return out
}

// readLine reads a line that is not too long.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
		if len(line) > maxSubmission {
			return nil, errors.New("the envelope is too long")
		}
	}
}
