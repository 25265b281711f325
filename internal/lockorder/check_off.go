//go:build !race || !(amd64 || arm64)

package lockorder

// Asserted says that the order is looked at in this program.
const Asserted = false

func enter[P Ranked](any, string) {}

func leave(any) {}
