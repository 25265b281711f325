package storetest_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"toastmaster/mailstore/storetest"
)

func dial(address string) (net.Conn, error) {
	c, err := net.Dial("tcp", address)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(2 * time.Minute))
	}
	return c, err
}

// lmtpClient delivers to alice.
type lmtpClient struct{ *textproto.Conn }

func (b *bed) lmtp(process int) (*lmtpClient, error) {
	c, err := dial(b.servers[process]["lmtp"])
	if err != nil {
		return nil, err
	}
	l := &lmtpClient{textproto.NewConn(c)}
	if _, _, err = l.ReadResponse(220); err == nil {
		err = l.say(250, "LHLO client.test")
	}
	return l, err
}

func (l *lmtpClient) close() { _ = l.Close() }

func (l *lmtpClient) say(code int, line string) error {
	if err := l.PrintfLine("%s", line); err != nil {
		return err
	}
	_, _, err := l.ReadResponse(code)
	return err
}

func (l *lmtpClient) deliver(message string) error {
	for _, step := range []struct {
		code int
		line string
	}{{250, "MAIL FROM:<a@example.test>"}, {250, "RCPT TO:<alice@example.test>"}, {354, "DATA"}, {250, strings.TrimSuffix(message, "\r\n") + "\r\n."}} {
		if err := l.say(step.code, step.line); err != nil {
			return fmt.Errorf("%s: %w", step.line, err)
		}
	}
	return nil
}

// popClient is alice in a session of POP3.
type popClient struct{ *textproto.Conn }

func (b *bed) pop(process int) (*popClient, error) {
	c, err := dial(b.servers[process]["pop"])
	if err != nil {
		return nil, err
	}
	p := &popClient{textproto.NewConn(c)}
	if _, err = p.ReadLine(); err == nil {
		err = errors.Join(p.say("USER alice@example.test"), p.say("PASS "+storetest.Password))
	}
	return p, err
}

func (p *popClient) close() { _ = p.Close() }

func (p *popClient) say(line string) error {
	if err := p.PrintfLine("%s", line); err != nil {
		return err
	}
	answer, err := p.ReadLine()
	if err == nil && !strings.HasPrefix(answer, "+OK") {
		err = errors.New(answer)
	}
	return err
}

// list is what the maildrop has, which was decided at PASS.
func (p *popClient) list() (list []held, err error) {
	if err := p.say("UIDL"); err != nil {
		return nil, err
	}
	lines, err := p.ReadDotLines()
	if err != nil {
		return nil, err
	}
	for n, line := range lines {
		_, id, _ := strings.Cut(line, " ")
		uid, err := strconv.ParseUint(id[:8], 16, 32) // %08Xu%08Xv
		if err != nil {
			return nil, err
		}
		h := held{uid: uint32(uid)}
		if p.say(fmt.Sprintf("TOP %d 0", n+1)) == nil {
			head, err := p.ReadDotBytes()
			if err != nil {
				return nil, err
			}
			h.id = subjectOf(strings.ReplaceAll(string(head), "\n", "\r\n"))
		}
		list = append(list, h)
	}
	return list, nil
}

func (p *popClient) remove(n int) error {
	if err := p.say(fmt.Sprintf("DELE %d", n)); err != nil && !strings.Contains(err.Error(), "-ERR") {
		return err
	}
	return p.quit()
}

func (p *popClient) quit() error { return p.say("QUIT") }

// imapClient is alice with INBOX selected, and what she was told.
type imapClient struct {
	net.Conn
	in  *bufio.Reader
	tag int
	// seen has a message for each sequence number; the UID of one that was not
	// asked for yet is 0.
	has []held
}

func (b *bed) imap(process int) (*imapClient, error) {
	conn, err := dial(b.servers[process]["imap"])
	if err != nil {
		return nil, err
	}
	c := &imapClient{Conn: conn, in: bufio.NewReader(conn)}
	if _, err = c.line(); err == nil {
		_, _, err = c.do("LOGIN alice@example.test \"" + storetest.Password + "\"")
	}
	if err == nil {
		_, _, err = c.do("SELECT INBOX")
	}
	return c, err
}

func (c *imapClient) close() { _ = c.Close() }

// line reads a line with its literals.
func (c *imapClient) line() (string, error) {
	line, err := c.in.ReadString('\n')
	for err == nil && strings.HasSuffix(line, "}\r\n") {
		n, convErr := strconv.Atoi(line[strings.LastIndexByte(line, '{')+1 : len(line)-3])
		literal := make([]byte, max(n, 0))
		_, err = io.ReadFull(c.in, literal)
		rest := ""
		if err = errors.Join(err, convErr); err == nil {
			rest, err = c.in.ReadString('\n')
		}
		line += string(literal) + rest
	}
	return line, err
}

var (
	reExists  = regexp.MustCompile(`^\* (\d+) EXISTS\r\n`)
	reExpunge = regexp.MustCompile(`^\* (\d+) EXPUNGE\r\n`)
)

// do sends a command and reads what belongs to it. The news are taken as they
// come.
func (c *imapClient) do(command string) (untagged []string, answer string, err error) {
	c.tag++
	tag := fmt.Sprintf("t%d ", c.tag)
	if _, err := io.WriteString(c, tag+command+"\r\n"); err != nil {
		return nil, "", err
	}
	for {
		line, err := c.line()
		if err != nil {
			return nil, "", err
		}
		if answer, ok := strings.CutPrefix(line, tag); ok {
			if strings.HasPrefix(answer, "BAD") {
				err = fmt.Errorf("%s: %s", command, answer)
			}
			return untagged, answer, err
		}
		if m := reExists.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[1])
			if n < len(c.has) {
				return nil, "", fmt.Errorf("%s after %d messages", line, len(c.has))
			}
			c.has = append(c.has, make([]held, n-len(c.has))...)
		}
		if m := reExpunge.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[1])
			if n < 1 || n > len(c.has) {
				return nil, "", fmt.Errorf("%s of %d messages", line, len(c.has))
			}
			c.has = slices.Delete(c.has, n-1, n)
		}
		untagged = append(untagged, line)
	}
}

// uids are the messages that have one, as far as she knows.
func (c *imapClient) uids() (uids []uint32) {
	for _, h := range c.has {
		if h.uid != 0 {
			uids = append(uids, h.uid)
		}
	}
	return uids
}

var (
	reFetchUID = regexp.MustCompile(`(?s)^\* (\d+) FETCH \(.*UID (\d+)`)
	reStatus   = regexp.MustCompile(`MESSAGES (\d+) UIDNEXT (\d+) UNSEEN (\d+)`)
)

// look is what is there at the end of NOOP: FETCH with sequence numbers tells of
// no end of a message, and what is under a number does not change.
func (c *imapClient) look() (output, error) {
	if _, _, err := c.do("NOOP"); err != nil {
		return output{}, err
	}
	n := len(c.has)
	first := slices.IndexFunc(c.has, func(h held) bool { return h.uid == 0 }) + 1
	if first > 0 {
		for _, what := range []string{"(UID)", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])"} {
			lines, _, err := c.do(fmt.Sprintf("FETCH %d:%d %s", first, n, what))
			if err != nil {
				return output{}, err
			}
			for _, line := range lines {
				if m := reFetchUID.FindStringSubmatch(line); m != nil {
					seq, _ := strconv.Atoi(m[1])
					uid, _ := strconv.Atoi(m[2])
					if h := &c.has[seq-1]; h.uid != 0 && h.uid != uint32(uid) {
						return output{}, fmt.Errorf("number %d is UID %d, was %d", seq, uid, h.uid)
					}
					c.has[seq-1].uid = uint32(uid)
					if id := subjectOf(line); id != "" {
						c.has[seq-1].id = id
					}
				}
			}
		}
	}
	return output{list: slices.Clone(c.has[:n])}, nil
}

func (c *imapClient) status() (out output, err error) {
	lines, _, err := c.do("STATUS INBOX (MESSAGES UIDNEXT UNSEEN)")
	for _, line := range lines {
		if m := reStatus.FindStringSubmatch(line); m != nil {
			for i, v := range []*uint32{&out.messages, &out.next, &out.unseen} {
				n, _ := strconv.Atoi(m[i+1])
				*v = uint32(n)
			}
			return out, err
		}
	}
	return out, errors.Join(err, fmt.Errorf("no status in %q", lines))
}

var reAppendUID = regexp.MustCompile(`\[APPENDUID \d+ (\d+)\]`)

func (c *imapClient) append(message string) (output, error) {
	_, answer, err := c.do(fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(message), message))
	m := reAppendUID.FindStringSubmatch(answer)
	if err != nil || m == nil {
		return output{}, fmt.Errorf("%q %w", answer, err)
	}
	uid, err := strconv.Atoi(m[1])
	return output{uid: uint32(uid)}, err
}

func (c *imapClient) seen(uid uint32, on bool) error {
	sign := "-"
	if on {
		sign = "+"
	}
	_, _, err := c.do(fmt.Sprintf("UID STORE %d %sFLAGS.SILENT (\\Seen)", uid, sign))
	return err
}

func (c *imapClient) remove(uid uint32) error {
	if _, _, err := c.do(fmt.Sprintf("UID STORE %d +FLAGS.SILENT (\\Deleted)", uid)); err != nil {
		return err
	}
	_, answer, err := c.do(fmt.Sprintf("UID EXPUNGE %d", uid))
	if err == nil && !strings.HasPrefix(answer, "OK") {
		err = errors.New(answer)
	}
	return err
}

// read is what a message says, "" when it is no more.
func (c *imapClient) read(uid uint32) (id string, err error) {
	lines, _, err := c.do(fmt.Sprintf("UID FETCH %d (UID BODY.PEEK[])", uid))
	for _, line := range lines {
		m := reFetchUID.FindStringSubmatch(line)
		if m != nil && m[2] != strconv.Itoa(int(uid)) && strings.Contains(line, "BODY[]") {
			return "", fmt.Errorf("UID %d asked, %s got", uid, m[2])
		}
		if s := subjectOf(line); s != "" {
			id = s
		}
	}
	return id, err
}
