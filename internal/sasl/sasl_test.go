package sasl

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

var errWrong = errors.New("wrong password")

// verifier accepts one password and records what it was asked.
func verifier(asked *[]string) Verify {
	return func(_ context.Context, mechanism, authzid, authcid, password string) error {
		*asked = append(*asked, mechanism+"|"+authzid+"|"+authcid+"|"+password)
		if password != "secret" {
			return errWrong
		}
		return nil
	}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestExchange(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxValue+1)
	for _, c := range []struct {
		name, mechanism string
		initial         []byte
		lines           []string
		challenges      []string
		asked           string
		err             error
	}{
		{"plain with initial", "plain", []byte(b64("\x00alice\x00secret")), nil, nil, "PLAIN||alice|secret", nil},
		{"plain without", "PLAIN", nil, []string{b64("bob\x00alice\x00secret")}, []string{""}, "PLAIN|bob|alice|secret", nil},
		{"plain wrong", "PLAIN", []byte(b64("\x00alice\x00guess")), nil, nil, "PLAIN||alice|guess", errWrong},
		{"plain empty initial", "PLAIN", []byte("="), nil, nil, "", ErrSyntax},
		{"plain two parts", "PLAIN", []byte(b64("alice\x00secret")), nil, nil, "", ErrSyntax},
		{"plain four parts", "PLAIN", []byte(b64("\x00alice\x00secret\x00")), nil, nil, "", ErrSyntax},
		{"plain no name", "PLAIN", []byte(b64("\x00\x00secret")), nil, nil, "", ErrSyntax},
		{"plain no password", "PLAIN", []byte(b64("\x00alice\x00")), nil, nil, "", ErrSyntax},
		{"plain not utf-8", "PLAIN", []byte(b64("\x00al\xffce\x00secret")), nil, nil, "", ErrSyntax},
		{"plain long name", "PLAIN", []byte(b64("\x00" + long + "\x00secret")), nil, nil, "", ErrSyntax},
		{"plain long authzid", "PLAIN", []byte(b64(long + "\x00alice\x00secret")), nil, nil, "", ErrSyntax},
		{"cancelled", "PLAIN", nil, []string{"*"}, []string{""}, "", ErrCancelled},
		{"not base64", "PLAIN", nil, []string{"!!!"}, []string{""}, "", ErrSyntax},
		{"loose base64", "PLAIN", nil, []string{b64("\x00alice\x00secret") + "="}, []string{""}, "", ErrSyntax},
		{"too long", "PLAIN", nil, []string{strings.Repeat("A", MaxLine+4)}, []string{""}, "", ErrTooLong},
		{"connection lost", "PLAIN", nil, nil, []string{""}, "", io.EOF},
		{"login", "LOGIN", nil, []string{b64("alice"), b64("secret")}, []string{b64("Username:"), b64("Password:")}, "LOGIN||alice|secret", nil},
		{"login with initial", "LOGIN", []byte(b64("alice")), []string{b64("secret")}, []string{b64("Password:")}, "LOGIN||alice|secret", nil},
		{"login wrong", "LOGIN", []byte(b64("alice")), []string{b64("guess")}, []string{b64("Password:")}, "LOGIN||alice|guess", errWrong},
		{"login empty name", "LOGIN", nil, []string{""}, []string{b64("Username:")}, "", ErrSyntax},
		{"login empty password", "LOGIN", []byte(b64("alice")), []string{""}, []string{b64("Password:")}, "", ErrSyntax},
		{"login nul", "LOGIN", []byte(b64("al\x00ice")), nil, nil, "", ErrSyntax},
		{"login begins with nul", "LOGIN", []byte(b64("\x00alice")), nil, nil, "", ErrSyntax},
		{"longest name", "PLAIN", []byte(b64("\x00" + long[1:] + "\x00secret")), nil, nil, "PLAIN||" + long[1:] + "|secret", nil},
		{"longest line", "PLAIN", nil, []string{strings.Repeat("A", MaxLine)}, []string{""}, "", ErrSyntax},
		{"stars", "PLAIN", nil, []string{"**"}, []string{""}, "", ErrSyntax},
		{"cancelled in the middle", "LOGIN", []byte(b64("alice")), []string{"*"}, []string{b64("Password:")}, "", ErrCancelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var asked, challenges []string
			m, ok := New(t.Context(), c.mechanism, verifier(&asked))
			if !ok {
				t.Fatal("no such mechanism")
			}
			lines := c.lines
			err := Exchange(m, c.initial, func(challenge []byte) ([]byte, error) {
				challenges = append(challenges, string(challenge))
				if len(lines) == 0 {
					return nil, io.EOF
				}
				line := lines[0]
				lines = lines[1:]
				return []byte(line), nil
			})
			if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			if got := strings.Join(asked, ","); got != c.asked {
				t.Errorf("verified %q, want %q", got, c.asked)
			}
			if !slices.Equal(challenges, c.challenges) {
				t.Errorf("challenges %q, want %q", challenges, c.challenges)
			}
		})
	}
}

func TestErrorsHaveTheCodesOfRFC4954(t *testing.T) {
	t.Parallel()
	if ErrCancelled.Reply() != 501 || ErrSyntax.Reply() != 501 || ErrTooLong.Reply() != 500 || ErrTooLong.Status.String() != "5.5.6" {
		t.Error("codes differ")
	}
}

// scripted is a mechanism that notes what the client answered, and says what it is told.
type scripted struct {
	says     []string // the last one with the word that all is well
	answered []string
}

func (s *scripted) Next(response []byte) ([]byte, bool, error) {
	text := string(response)
	if response == nil {
		text = "nothing"
	}
	s.answered = append(s.answered, text)
	say := s.says[0]
	s.says = s.says[1:]
	return []byte(say), len(s.says) == 0, nil
}

// TestExchangeOfAnyMechanism: one whose last word is a proof of the server sends it,
// and the client's answer to that is no part of it; no initial response is another
// thing than an empty one.
func TestExchangeOfAnyMechanism(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                     string
		initial                  []byte
		says, lines, asked, took []string
		err                      error
	}{
		{"nothing first", nil, []string{"c1", ""}, []string{b64("r1")}, []string{"c1"}, []string{"nothing", "r1"}, nil},
		{"empty first", []byte("="), []string{""}, nil, nil, []string{""}, nil},
		{"proof", []byte(b64("r0")), []string{"c1", "proof"}, []string{b64("r1"), ""}, []string{"c1", "proof"}, []string{"r0", "r1"}, nil},
		{"proof that the client refuses", []byte(b64("r0")), []string{"proof"}, []string{"*"}, []string{"proof"}, []string{"r0"}, ErrCancelled},
		{"proof that nobody answers", []byte(b64("r0")), []string{"proof"}, nil, []string{"proof"}, []string{"r0"}, io.EOF},
		{"equals and more", []byte("=="), []string{""}, nil, nil, nil, ErrSyntax},
		{"one letter", []byte("A"), []string{""}, nil, nil, nil, ErrSyntax},
		{"cancelled at once", []byte("*"), []string{""}, nil, nil, nil, ErrCancelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m, lines, asked := &scripted{says: c.says}, c.lines, []string(nil)
			err := Exchange(m, c.initial, func(challenge []byte) ([]byte, error) {
				text, err := base64.StdEncoding.DecodeString(string(challenge))
				if err != nil {
					t.Errorf("a challenge that is no base64: %q", challenge)
				}
				asked = append(asked, string(text))
				if len(lines) == 0 {
					return nil, io.EOF
				}
				line := lines[0]
				lines = lines[1:]
				return []byte(line), nil
			})
			if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			if !slices.Equal(asked, c.asked) || !slices.Equal(m.answered, c.took) {
				t.Errorf("asked %q, answered %q", asked, m.answered)
			}
		})
	}
}

// TestAChallengeIsAskedOnce: a protocol that has no answer to give is not asked again.
func TestAChallengeIsAskedOnce(t *testing.T) {
	t.Parallel()
	for _, n := range Names() {
		m, _ := New(t.Context(), n, func(context.Context, string, string, string, string) error {
			t.Errorf("%s verifies nothing", n)
			return nil
		})
		if _, done, err := m.Next(nil); done || err != nil {
			t.Errorf("%s: at first %v %v", n, done, err)
		}
		if _, done, err := m.Next(nil); done || !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: then %v %v", n, done, err)
		}
	}
}

// TestNames: what is offered is there, in the order of the manual, whatever its case.
func TestNames(t *testing.T) {
	t.Parallel()
	if got := strings.Join(Names(), " "); got != "PLAIN LOGIN" {
		t.Errorf("offered are %q", got)
	}
	for _, n := range Names() {
		if _, ok := New(t.Context(), strings.ToLower(n), nil); !ok {
			t.Errorf("%s is offered and not there", n)
		}
	}
	if _, ok := New(t.Context(), "CRAM-MD5", nil); ok {
		t.Error("a mechanism that is not in the table")
	}
}

func FuzzExchange(f *testing.F) {
	f.Add("PLAIN", []byte(b64("\x00alice\x00secret")), []byte(""))
	f.Add("LOGIN", []byte("="), []byte(b64("alice")+"\n"+b64("secret")))
	f.Add("LOGIN", []byte("*"), []byte("*\n"))
	f.Fuzz(func(t *testing.T, mechanism string, initial, rest []byte) {
		var asked []string
		m, ok := New(t.Context(), mechanism, verifier(&asked))
		if !ok {
			return
		}
		lines := bytes.Split(rest, []byte{'\n'})
		err := Exchange(m, initial, func([]byte) ([]byte, error) {
			if len(lines) == 0 {
				return nil, io.EOF
			}
			line := lines[0]
			lines = lines[1:]
			return line, nil
		})
		if err == nil && (len(asked) != 1 || !strings.HasSuffix(asked[0], "|secret")) {
			t.Fatalf("in without the password: %q", asked)
		}
	})
}
