package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"syscall"
	"time"
)

// exchange is one connection of oneLoop: a request, its answer, the next
// request.
type exchange struct {
	c *client
	// next makes request number i. What it returns is used until the next call.
	next func(i int) []byte
	// answered looks at all that was read since the request and says whether
	// that is the whole answer.
	answered func(read []byte) (bool, error)

	sent int
	read []byte
}

// oneLoop runs n exchanges on each connection and returns how many that is in
// a second. One thread serves all connections, as a load generator written in C
// would: with a thread for each, waking them took a third as much of the
// processors as the server it was to measure, and slowed the faster side more.
func oneLoop(ctx context.Context, all []*exchange, n int) (float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return 0, err
	}
	defer syscall.Close(ep)
	begin := time.Now()
	for i, x := range all {
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(i)}
		if err := syscall.EpollCtl(ep, syscall.EPOLL_CTL_ADD, x.c.fd, &event); err != nil {
			return 0, err
		}
		if err := x.send(); err != nil {
			return 0, err
		}
	}
	events := make([]syscall.EpollEvent, len(all))
	for left, answered := len(all), time.Now(); left > 0; {
		ready, err := syscall.EpollWait(ep, events, 1000)
		switch {
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case err != nil && !errors.Is(err, syscall.EINTR):
			return 0, err
		case ready > 0:
			answered = time.Now()
		case time.Since(answered) > answerTimeout:
			return 0, errors.New("no answer")
		}
		for _, event := range events[:max(ready, 0)] {
			over, err := all[event.Fd].advance(n)
			if err != nil {
				return 0, err
			}
			if over {
				left--
			}
		}
	}
	return float64(n*len(all)) / time.Since(begin).Seconds(), nil
}

func (x *exchange) send() error {
	x.sent++
	x.read = x.read[:0]
	return x.c.write(x.next(x.sent - 1))
}

// advance reads what has come and sends the next request when the answer is
// there. over says that the last answer is.
func (x *exchange) advance(n int) (over bool, err error) {
	if x.read == nil {
		x.read = make([]byte, 0, 8<<10)
	}
	if len(x.read) == cap(x.read) {
		return false, fmt.Errorf("the answer is too long: %.100q", x.read)
	}
	k, err := x.c.Read(x.read[len(x.read):cap(x.read)])
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return false, err
	}
	x.read = x.read[:len(x.read)+k]
	whole, err := x.answered(x.read)
	if err != nil || !whole {
		return false, err
	}
	if x.sent == n {
		return true, nil
	}
	return false, x.send()
}
