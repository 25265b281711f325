package password

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"time"

	"toastmaster/directory"
)

// MaxPassword is the longest password that is looked at, in octets. More is refused
// unseen: hashing it would only cost time. It is no parameter: it is above what any
// client sends, and hashing has auth.argon2_memory.
const MaxPassword = 1024

// rehashTimeout bounds the write that follows a log-in. It is no parameter: a hash
// that was not replaced is replaced at the next log-in.
const rehashTimeout = 2 * time.Second

type successKey [sha256.Size]byte

var errTooMany = errors.New("too many log-ins are waiting")

// decide is Authenticate without the log line. v is the attempt in the guard,
// for the caller to leave.
func (a *Authenticator) decide(ctx context.Context, t Attempt) (v *visit, box directory.Mailbox, reason string, err error) {
	acc, err := a.o.Directory.Account(ctx, t.Login)
	outcome := directory.OutcomeOf(err)
	v = a.guard.visit(t.Client, accountName(t.Login, acc, outcome))
	if outcome != directory.Found && outcome != directory.NotFound {
		box, reason, err = later(reasonUnavailable, err)
		return v, box, reason, err
	}
	if outcome == directory.Found {
		a.recall(ctx, v)
	}
	// A client waits before it learns anything, also whether the password is a
	// remembered one: many connections at once bring it no further.
	if err := v.enter(ctx); err != nil {
		box, reason, err = later(reasonRate, err)
		return v, box, reason, err
	}
	box, reason, err = a.check(ctx, t, acc, outcome, v)
	return v, box, reason, err
}

// accountName is what failures are counted under: the mailbox, by whatever name
// it was asked for, or else the name.
func accountName(login string, acc directory.Account, outcome directory.Outcome) string {
	if outcome == directory.Found {
		return acc.Mailbox.Address.String()
	}
	return strings.ToLower(login)
}

// check decides an attempt that the guard let through.
func (a *Authenticator) check(ctx context.Context, t Attempt, acc directory.Account, outcome directory.Outcome, v *visit) (directory.Mailbox, string, error) {
	if t.AuthzID != "" && !strings.EqualFold(t.AuthzID, t.Login) || len(t.Password) > MaxPassword {
		v.failed()
		return failed(reasonMismatch)
	}
	key := a.successKey(t, acc.PasswordHash)
	if outcome == directory.Found && acc.Mailbox.Enabled {
		if _, ok := a.successes.Get(key); ok {
			v.succeeded()
			return acc.Mailbox, reasonOK, nil
		}
	}
	ok, err := a.match(ctx, acc.PasswordHash, t.Password)
	switch {
	case errors.Is(err, errTooMany):
		return later(reasonRate, err)
	case err != nil:
		return later(reasonUnavailable, err)
	case outcome == directory.NotFound:
		return a.refuse(v, key, reasonUnknown)
	case !ok:
		return a.refuse(v, key, reasonMismatch)
	case !acc.Mailbox.Enabled:
		return a.refuse(v, key, reasonDisabled)
	}
	v.succeeded()
	a.remember(ctx, t, acc, key)
	return acc.Mailbox, reasonOK, nil
}

// refuse counts the failure, unless it is the same as before: a program that
// was not told of a new password guesses nothing.
func (a *Authenticator) refuse(v *visit, key successKey, reason string) (directory.Mailbox, string, error) {
	if _, again := a.failures.Get(key); !again {
		v.failed()
	}
	a.failures.Put(key, struct{}{}, a.o.Clock.Now().Add(a.o.Params.FailureMemory))
	return failed(reason)
}

// match compares a password with a stored hash. A failure costs the work of a
// hash of full strength, whatever is stored and whether anything is: the answer
// must not depend on it, and neither must the load that it makes.
func (a *Authenticator) match(ctx context.Context, hash, password string) (bool, error) {
	if hash != "" {
		ok, err := a.verify(ctx, hash, password)
		if ok || err != nil || !a.hasher.Weak(hash) {
			return ok, err
		}
	}
	_, err := a.verify(ctx, a.dummy, password)
	return false, err
}

// delay waits until a failed attempt that began then may be answered.
func (a *Authenticator) delay(ctx context.Context, began time.Time) {
	step := a.o.Params.FailureAnswer
	if step <= 0 {
		return
	}
	now := a.o.Clock.Now()
	took := max(now.Sub(began), 0)
	// The end of the context answers earlier; nobody hears it.
	_ = wait(ctx, a.o.Clock, a.pace.steps(int64(took/step)+1, now)*step-took)
}

// pace makes the answers of a busy minute alike: while some need more steps of
// auth.failure_answer than one, all take as many, or the slower kinds of hashes
// would be late more often.
type pace struct {
	mu    sync.Mutex
	most  int64
	until time.Time
}

const (
	paceMemory = time.Minute
	paceMost   = 10
)

// steps is how many an answer takes that needs at least n.
func (p *pace) steps(n int64, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.After(p.until) {
		p.most = 1
	}
	if n >= p.most && n > 1 {
		p.most, p.until = min(n, paceMost), now.Add(paceMemory)
	}
	return time.Duration(max(n, p.most))
}

// verify waits for one of the slots and computes the hash.
func (a *Authenticator) verify(ctx context.Context, hash, password string) (bool, error) {
	select {
	case a.waiting <- struct{}{}:
		defer func() { <-a.waiting }()
	default:
		return false, errTooMany
	}
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return a.compute(hash, password)
}

// remember keeps the success and replaces a weak hash. The replacement is made
// here, not in the background: it happens once in the life of a hash, and
// nobody would own the goroutine.
func (a *Authenticator) remember(ctx context.Context, t Attempt, acc directory.Account, key successKey) {
	if a.o.Params.Rehash && a.o.Rehash != nil && a.hasher.Weak(acc.PasswordHash) {
		ctx, cancel := context.WithTimeout(ctx, rehashTimeout)
		defer cancel()
		stronger := a.hasher.Hash(t.Password)
		if err := a.o.Rehash(ctx, acc.Mailbox, acc.PasswordHash, stronger); err != nil {
			a.o.Log.Warn("password hash not replaced", "session", t.Session, "mailbox", acc.Mailbox.Address.String(), "cause", err)
		} else {
			key = a.successKey(t, stronger)
		}
	}
	a.successes.Put(key, struct{}{}, a.o.Clock.Now().Add(a.o.Params.CacheTTL))
}

// successKey is a MAC under a key that only this process has, so that a dump
// of the cache is worth nothing without it.
func (a *Authenticator) successKey(t Attempt, hash string) successKey {
	m := hmac.New(sha256.New, a.macKey[:])
	for _, part := range []string{t.Login, t.Password, hash} {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		m.Write(size[:])
		m.Write([]byte(part))
	}
	var k successKey
	m.Sum(k[:0])
	return k
}
