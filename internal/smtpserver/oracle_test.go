package smtpserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	netsmtp "net/smtp"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// oracle is our backend under go-smtp's engine.
type oracle struct{ bag *mailbag }

type oracleSession struct{ *bagSession }

func (o oracle) NewSession(*smtp.Conn) (smtp.Session, error) {
	return oracleSession{&bagSession{bag: o.bag}}, nil
}

// theirs is the error of a session in the form that go-smtp understands.
func theirs(e *dsn.Error) error {
	if e == nil {
		return nil
	}
	if own := (*smtp.SMTPError)(nil); errors.As(e, &own) {
		return own // of its reader
	}
	return &smtp.SMTPError{Code: e.Reply(), EnhancedCode: e.Status.Triple(), Message: e.Text}
}

func (oracleSession) Logout() error { return nil }

// typed is an address that go-smtp passed on.
func typed(s string) addr.Address {
	a, _, _ := addr.ParsePath("<"+s+">", false)
	return a
}

func (s oracleSession) Mail(from string, o *smtp.MailOptions) error {
	m := Mail{From: typed(from), Size: o.Size, UTF8: o.UTF8, EnvelopeID: envelope.EncodeXtext(o.EnvelopeID)}
	if o.Body == smtp.Body8BitMIME {
		m.Body = envelope.Body8BitMIME
	}
	m.Return, _ = envelope.ParseReturn(string(o.Return))
	if o.Auth != nil {
		a := typed(*o.Auth)
		m.Auth = &a
	}
	return theirs(s.bagSession.Mail(context.Background(), m))
}

func (s oracleSession) Rcpt(to string, o *smtp.RcptOptions) error {
	r := Rcpt{To: typed(to)}
	for _, word := range o.Notify {
		n, _ := envelope.ParseNotify(string(word))
		r.Notify |= n
	}
	switch o.OriginalRecipientType {
	case "":
	case smtp.DSNAddressTypeUTF8:
		r.ORcpt, _ = envelope.ParseORcpt("utf-8;" + o.OriginalRecipient)
	default:
		r.ORcpt, _ = envelope.ParseORcpt(string(o.OriginalRecipientType) + ";" + envelope.EncodeXtext(o.OriginalRecipient))
	}
	return theirs(s.bagSession.Rcpt(context.Background(), r))
}

// said is what an accepted message is answered with, in go-smtp's form.
func said(got Accepted, e *dsn.Error) error {
	if e == nil && got.Text != "" {
		return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: got.Text}
	}
	return theirs(e)
}

func (s oracleSession) Data(r io.Reader) error {
	return said(s.bagSession.Data(context.Background(), r))
}

func (s oracleSession) LMTPData(r io.Reader, status smtp.StatusCollector) error {
	got, e := s.bagSession.Data(context.Background(), r)
	for i, failed := range got.Each {
		if failed != nil {
			status.SetStatus(s.msg.rcpt[i].To.String(), theirs(failed))
		}
	}
	return said(got, e)
}

func serveOracle(t *testing.T, bag *mailbag, lmtp bool) string {
	t.Helper()
	s := smtp.NewServer(oracle{bag})
	s.Domain, s.AllowInsecureAuth, s.LMTP = "mx.test", true, lmtp
	s.MaxMessageBytes, s.MaxRecipients, s.EnableSMTPUTF8, s.EnableDSN = 20_001, 3, true, true
	s.ReadTimeout = time.Minute
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, smtp.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// dialogues are what both engines are told. They keep to what both can do:
// go-smtp takes nested MAIL, for one, refuses <postmaster>, and has a data
// race when RSET ends a chunked message.
var dialogues = []struct{ name, text string }{
	{"one message", "EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n|Subject: x\r\n\r\n..dots\r\n.\r\n|QUIT\r\n"},
	{"options", "EHLO c\r\nMAIL FROM:<a@x.test> SIZE=100 BODY=8BITMIME RET=FULL ENVID=a+2Bb\r\nRCPT TO:<b@x.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;c+2Bd@x.test\r\nDATA\r\n|x\r\n.\r\n|QUIT\r\n"},
	{"utf8", "EHLO c\r\nMAIL FROM:<\xc3\xa4@x.test> SMTPUTF8\r\nRCPT TO:<\xc3\xb6@x.test> ORCPT=utf-8;\\x{F6}@x.test\r\nDATA\r\n|x\r\n.\r\n|QUIT\r\n"},
	{"two messages", "EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n|one\r\n.\r\n|MAIL FROM:<>\r\nRCPT TO:<c@x.test>\r\nDATA\r\n|two\r\n.\r\n|QUIT\r\n"},
	{"refused recipients", "EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<refused@x.test>\r\nRCPT TO:<later@x.test>\r\nRCPT TO:<moved@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n|x\r\n.\r\n|QUIT\r\n"},
	{"refused content", "EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n|virus\r\n.\r\n|QUIT\r\n"},
	{"rset", "EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRSET\r\nNOOP\r\nMAIL FROM:<c@x.test>\r\nRCPT TO:<d@x.test>\r\nDATA\r\n|x\r\n.\r\n|QUIT\r\n"},
	{"too many", "EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<1@x.test>\r\nRCPT TO:<2@x.test>\r\nRCPT TO:<3@x.test>\r\nRCPT TO:<4@x.test>\r\nDATA\r\n|x\r\n.\r\n|QUIT\r\n"},
	{"too big", "EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<1@x.test>\r\nDATA\r\n|" + strings.Repeat(strings.Repeat("x", 1000)+"\r\n", 25) + ".\r\n|NOOP\r\nQUIT\r\n"},
	{"announced too big", "EHLO c\r\nMAIL FROM:<a@x.test> SIZE=30000\r\nQUIT\r\n"},
	{"bdat", "EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n|BDAT 7\r\nhello\r\n|BDAT 9\r\n\r\n.\r\nx.\r\n|BDAT 0 LAST\r\n|QUIT\r\n"},
	{"helo", "HELO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n|x\r\n.\r\n|QUIT\r\n"},
	{"vrfy", "EHLO c\r\nVRFY x\r\nEXPN x\r\nQUIT\r\n"},
}

func TestSameAsGoSMTP(t *testing.T) {
	t.Parallel()
	for _, lmtp := range []bool{false, true} {
		for _, d := range dialogues {
			text := d.text
			if lmtp {
				if strings.HasPrefix(text, "HELO") || d.name == "too big" {
					continue // go-smtp answers too large a message once, not per recipient
				}
				text = strings.Replace(text, "EHLO", "LHLO", 1)
			}
			t.Run(fmt.Sprint(d.name, lmtp), func(t *testing.T) {
				t.Parallel()
				ours, theirs := &mailbag{}, &mailbag{}
				s := testServer(ours)
				s.LMTP = lmtp
				got := talk(t, serve(t, s), text)
				want := talk(t, serveOracle(t, theirs, lmtp), text)
				if got != want {
					t.Errorf("replies %s\ngo-smtp %s", got, want)
				}
				if !reflect.DeepEqual(ours.take(), theirs.take()) {
					t.Errorf("messages %+v\ngo-smtp  %+v", ours.take(), theirs.take())
				}
			})
		}
	}
}

// talk sends the parts of a dialogue, waiting for the replies in between, and
// returns the codes of all replies with their status: "220 250 250/2.1.0".
func talk(t *testing.T, address, text string) string {
	t.Helper()
	c := dial(t, address)
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReader(c)
	var codes []string
	read := func() bool {
		for {
			line, err := in.ReadString('\n')
			if err != nil || len(line) < 5 {
				return false
			}
			if line[3] == ' ' {
				codes = append(codes, line[:3])
				return true
			}
		}
	}
	read()
	for part := range strings.SplitSeq(text, "|") {
		for chunk := range commands(part) {
			if _, err := io.WriteString(c, chunk); err != nil {
				t.Fatal(err)
			}
			if !read() {
				break
			}
		}
	}
	for read() {
	}
	return strings.Join(codes, " ")
}

// commands cuts a part into what gets one reply each: lines, or a chunk or
// content as a whole.
func commands(part string) func(func(string) bool) {
	return func(yield func(string) bool) {
		if strings.HasPrefix(part, "BDAT") || strings.HasSuffix(part, "\r\n.\r\n") {
			yield(part)
			return
		}
		for line := range strings.SplitAfterSeq(part, "\r\n") {
			if line != "" && !yield(line) {
				return
			}
		}
	}
}

func TestGoSMTPsClient(t *testing.T) {
	t.Parallel()
	bag := &mailbag{lf: true}
	s := testServer(bag)
	serverTLS, clientTLS := selfSigned(t)
	s.TLS, bag.needTLS = serverTLS, true
	c, err := smtp.DialStartTLS(serve(t, s), clientTLS)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Auth(sasl.NewPlainClient("", "alice", "wrong")); err == nil {
		t.Fatal("a wrong password was taken")
	}
	if err := c.Auth(sasl.NewPlainClient("", "alice", "secret")); err != nil {
		t.Fatal(err)
	}
	text := "Subject: x\r\n\r\n.dot\r\n"
	if err := c.SendMail("a@x.test", []string{"b@x.test", "c@x.test"}, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	if err := c.Quit(); err != nil {
		t.Fatal(err)
	}
	got := bag.take()
	if len(got) != 1 || got[0].text != "Subject: x\n\n.dot\n" || len(got[0].rcpt) != 2 || got[0].mail.Size != 0 {
		t.Errorf("%+v", got)
	}
}

func TestStandardLibrarysClient(t *testing.T) {
	t.Parallel()
	bag := &mailbag{}
	address := serve(t, testServer(bag))
	auth := netsmtp.PlainAuth("", "alice", "secret", "127.0.0.1")
	if err := netsmtp.SendMail(address, auth, "a@x.test", []string{"b@x.test"}, []byte("x\r\n")); err != nil {
		t.Fatal(err)
	}
	if got := bag.take(); len(got) != 1 || got[0].text != "x\r\n" {
		t.Errorf("%+v", got)
	}
}

func TestGoSMTPsLMTPClient(t *testing.T) {
	t.Parallel()
	s := testServer(&mailbag{})
	s.LMTP = true
	c := smtp.NewClientLMTP(dial(t, serve(t, s)))
	defer c.Close()
	if err := c.Mail("a@x.test", nil); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"b@x.test", "lmtpfail@x.test"} {
		if err := c.Rcpt(to, nil); err != nil {
			t.Fatal(err)
		}
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "x\r\n")
	_, err = w.CloseWithLMTPResponse()
	failed, _ := err.(smtp.LMTPDataError)
	if len(failed) != 1 || failed["lmtpfail@x.test"] == nil || failed["lmtpfail@x.test"].Code != 552 {
		t.Errorf("%v", err)
	}
}
