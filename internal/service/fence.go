package service

import (
	"fmt"
	"runtime/debug"
	"slices"

	"toastmaster/internal/lockorder"
	"toastmaster/internal/msglog"
)

// Fenced runs f and returns its error. A panic of f is an error like any
// other, so that it is the trouble of the one message or session that f works
// on, and whoever owns that decides what becomes of it; an unknown error is
// temporary (internal/dsn). The panic is one line in the log: the keys, which
// say whose it is ("service", name, "id", ...), its cause and the stack.
//
// A lock that is taken out of order, which is found in tests only, ends the process.
//
// f must give back its locks by defer. Goroutines that f starts are not inside
// the fence.
func Fenced(log *msglog.Log, f func() error, keys ...any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if v, ok := p.(lockorder.Violation); ok {
				hopeless(v)
			}
			log.Error("panic", append(slices.Clip(keys), "cause", fmt.Sprint(p), "stack", string(debug.Stack()))...)
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

// hopeless ends the process with v. It panics where nobody recovers: net/http, for one, makes
// an aborted request of a panic in a handler, and the test would go on.
func hopeless(v lockorder.Violation) {
	go panic(v)
	select {}
}
