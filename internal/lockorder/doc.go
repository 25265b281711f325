// Package lockorder is locks that have a rank in one order: who holds one
// takes only those of a higher rank.
//
// The order is a type for each rank, with a number:
//
//	type boxLock struct{}
//
//	func (boxLock) Rank() lockorder.Rank { return lockorder.Rank{Name: "box", At: 30} }
//
//	type Box struct {
//		mu lockorder.Mutex[boxLock]
//		...
//	}
//
// In a program built with the race detector (amd64, arm64), as the tests of CI are, each Lock
// looks at what the same goroutine holds already, and panics with both names when
// that is of the same rank or a higher one. Otherwise a [Mutex] is a sync.Mutex and
// costs what that costs. So the order is asserted by every test that there is, and
// a place where two locks are taken the wrong way round is found without two
// goroutines that meet there.
//
// Two locks of one rank are taken in the order of their keys (Mutex.Key); without
// keys never together.
//
// A lock that is no mutex, as flock(2), takes part with a [Foreign].
//
// # What it does not do
//
// It does not know locks of other packages, and not what is taken by another
// goroutine on whose end the first one waits. A lock that is given back by another
// goroutine than took it is not for this package.
package lockorder
