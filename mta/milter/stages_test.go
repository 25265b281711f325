package milter

import (
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/milter"
	"toastmaster/internal/testkit/miltertest"
)

// TestEveryWayToFailAtEveryStage: a filter that hangs, goes, breaks off in the middle of an answer, or answers garbage at any stage is its
// default action: the message is taken as it is, held, or refused by 451, 550 or 421, and nothing else.
func TestEveryWayToFailAtEveryStage(t *testing.T) {
	t.Parallel()
	ways := map[string]miltertest.Packet{
		"hangs": {Code: miltertest.Silence}, "goes": {Code: miltertest.Close}, "half": {Code: miltertest.Garbage, Data: []byte{0, 0, 0, 9, 'y', '5'}},
		"text": {Code: miltertest.Garbage, Data: []byte("HTTP/1.1 400 Bad Request\r\n\r\n")}, "unknown": {Code: 'z'}, "large": {Code: miltertest.Garbage, Data: []byte{0x7f, 0xff, 0xff, 0xff, 'c'}},
	}
	stages := []milter.Command{milter.Negotiate, milter.Connect, milter.Helo, milter.Mail, milter.Rcpt, milter.Data, milter.Header, milter.EndOfHeader, milter.Body, milter.EndOfBody}
	for way, packet := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			for _, stage := range stages {
				packets := []miltertest.Packet{packet}
				if way == "half" {
					packets = append(packets, miltertest.Packet{Code: miltertest.Close})
				}
				for action, code := range map[configs.MilterAction]int{configs.MilterAccept: 0, configs.MilterQuarantine: 0, configs.MilterTempfail: 451, configs.MilterReject: 550, configs.MilterShutdown: 421} {
					b := newBed(t, func(p *configs.Milter) {
						p.DefaultAction = action
						if way == "hangs" || way == "text" || way == "large" {
							// A machine that is slower than that fails earlier, with the same end.
							p.ConnectTimeout, p.CommandTimeout, p.ContentTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
						}
					}, miltertest.Script{On: map[milter.Command][]miltertest.Packet{stage: packets}})
					got, env, v, err := b.message(t.Context(), text)
					if v.Err != nil {
						err = v.Err
					}
					e := dsn.From(err)
					switch {
					case code == 0 && (e != nil || got != text || env.Hold != (action == configs.MilterQuarantine)):
						t.Errorf("%c %v: %v %q", stage, action, e, got)
					case code != 0 && (e == nil || e.Reply() != code):
						t.Errorf("%c %v: %v", stage, action, e)
					}
				}
			}
		})
	}
}
