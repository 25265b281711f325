package imapd

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// TestClient drives the server with go-imap's client, which parses answers
// more strictly than our own tests do.
func TestClient(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("alice", plain, mixed, eightBit)
	exists := make(chan uint32, 10)
	c := imapclient.New(h.Dial(0), &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				exists <- *d.NumMessages
			}
		},
	}})
	defer func() { _ = c.Close() }()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Login("alice@example.test", "secret word").Wait())
	_, err := c.ID(&imap.IDData{Name: "test"}).Wait()
	must(err)
	_, err = c.Namespace().Wait()
	must(err)
	must(c.Create("Übersicht/2026", nil).Wait())
	boxes, err := c.List("", "*", &imap.ListOptions{ReturnStatus: &imap.StatusOptions{NumMessages: true, NumUnseen: true}}).Collect()
	must(err)
	if len(boxes) < 3 || boxes[0].Mailbox != "INBOX" || *boxes[0].Status.NumMessages != 3 {
		t.Errorf("%d mailboxes, first %+v", len(boxes), boxes[0])
	}
	selected, err := c.Select("INBOX", nil).Wait()
	must(err)
	if selected.NumMessages != 3 {
		t.Errorf("%d messages", selected.NumMessages)
	}
	checkFetched(t, c)
	text := "Subject: appended\r\n\r\nbody\r\n"
	a := c.Append("Übersicht/2026", int64(len(text)), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen}, Time: time.Unix(1e9, 0)})
	_, err = io.WriteString(a, text)
	must(err)
	must(a.Close())
	appended, err := a.Wait()
	must(err)
	if appended.UID != 1 {
		t.Errorf("APPENDUID %d", appended.UID)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{Body: []string{"LINE TWO"}}, &imap.SearchOptions{ReturnAll: true}).Wait()
	must(err)
	if got := found.AllUIDs(); len(got) != 1 || got[0] != 1 {
		t.Errorf("found %v", got)
	}
	moved, err := c.Move(imap.UIDSetNum(2), "Übersicht/2026").Wait()
	must(err)
	if moved.DestUIDs.String() != "2" {
		t.Errorf("COPYUID %v", moved.DestUIDs)
	}
	idle, err := c.Idle()
	must(err)
	h.deliver("alice", plain)
	for n := range exists {
		if n == 3 {
			break
		}
	}
	must(idle.Close())
	must(idle.Wait())
	must(c.Logout().Wait())
}

func checkFetched(t *testing.T, c *imapclient.Client) {
	t.Helper()
	section := &imap.FetchItemBodySection{Peek: true}
	got, err := c.Fetch(imap.SeqSetNum(1, 2, 3), &imap.FetchOptions{
		Envelope: true, Flags: true, InternalDate: true, RFC822Size: true, UID: true,
		BodyStructure: &imap.FetchItemBodyStructure{Extended: true}, BodySection: []*imap.FetchItemBodySection{section},
	}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[1].Envelope.Subject != "Grüße" || got[1].Envelope.From[0].Name != "Jörg" {
		t.Errorf("fetched %d, second %+v", len(got), got[1].Envelope)
	}
	multi, ok := got[1].BodyStructure.(*imap.BodyStructureMultiPart)
	if !ok || len(multi.Children) != 3 {
		t.Errorf("structure %+v", got[1].BodyStructure)
	}
	for i, m := range []string{plain, mixed, eightBit} {
		if b := got[i].FindBodySection(section); string(b) != strings.ReplaceAll(onWire(m), "\x00", "\x80") || got[i].RFC822Size != int64(len(b)) {
			t.Errorf("message %d: %q, size %d", i+1, b, got[i].RFC822Size)
		}
	}
}
