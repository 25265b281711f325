package password

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"toastmaster/directory"
)

// MaxPassword is the longest password that is looked at, in octets. More is
// refused unseen: hashing it would only cost time.
const MaxPassword = 1024

// rehashTimeout bounds the write that follows a log-in.
const rehashTimeout = 2 * time.Second

type successKey [sha256.Size]byte

var errTooMany = errors.New("too many log-ins are waiting")

// decide is Authenticate without the log line.
func (a *Authenticator) decide(ctx context.Context, t Attempt) (directory.Mailbox, string, error) {
	if t.AuthzID != "" && !strings.EqualFold(t.AuthzID, t.Login) {
		return a.refuse(t, reasonMismatch)
	}
	if len(t.Password) > MaxPassword {
		return a.refuse(t, reasonMismatch)
	}
	acc, err := a.o.Directory.Account(ctx, t.Login)
	outcome := directory.OutcomeOf(err)
	if outcome != directory.Found && outcome != directory.NotFound {
		return later(reasonUnavailable, err)
	}
	key := a.successKey(t, acc.PasswordHash)
	if outcome == directory.Found && acc.Mailbox.Enabled {
		if _, ok := a.successes.Get(key, a.o.Clock.Now()); ok {
			return acc.Mailbox, reasonOK, nil
		}
	}
	// A client with failures behind it waits before it learns anything, so
	// that many connections at once bring it no further.
	if err := wait(ctx, a.o.Clock, a.penalties.delay(t.Client, a.o.Clock.Now())); err != nil {
		return later(reasonRate, err)
	}
	hash := acc.PasswordHash
	if hash == "" {
		hash = a.dummy
	}
	ok, err := a.verify(ctx, hash, t.Password)
	switch {
	case errors.Is(err, errTooMany):
		return later(reasonRate, err)
	case err != nil:
		return later(reasonUnavailable, err)
	case outcome == directory.NotFound:
		return a.refuse(t, reasonUnknown)
	case !ok || acc.PasswordHash == "":
		return a.refuse(t, reasonMismatch)
	case !acc.Mailbox.Enabled:
		return a.refuse(t, reasonDisabled)
	}
	a.penalties.forgive(t.Client)
	a.remember(ctx, t, acc, key)
	return acc.Mailbox, reasonOK, nil
}

// refuse counts the failure.
func (a *Authenticator) refuse(t Attempt, reason string) (directory.Mailbox, string, error) {
	a.penalties.add(t.Client, a.o.Clock.Now())
	return failed(reason)
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
	return Verify(hash, password)
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
