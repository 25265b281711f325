// Package lockorder is locks that know their place in an order: who holds one
// takes only those behind it.
//
// The order is a type for each place, with a number:
//
//	type boxLock struct{}
//
//	func (boxLock) Place() lockorder.Place { return lockorder.Place{Name: "box", At: 30} }
//
//	type Box struct {
//		mu lockorder.Mutex[boxLock]
//		...
//	}
//
// In a program built with the race detector (amd64, arm64), as the tests of CI are, each Lock
// looks at what the same goroutine holds already, and panics with both names when
// that is at the same place or behind. Otherwise a [Mutex] is a sync.Mutex and
// costs what that costs. So the order is asserted by every test that there is, and
// a place where two locks are taken the wrong way round is found without two
// goroutines that meet there.
//
// Two locks at one place are taken in the order of their keys (Mutex.Key); without
// keys never together.
//
// A lock that is no mutex, as flock(2), takes part with a [Mark].
//
// # What it does not do
//
// It does not know locks of other packages, and not what is taken by another
// goroutine on whose end the first one waits. A lock that is given back by another
// goroutine than took it is not for this package.
package lockorder
