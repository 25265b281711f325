package proc

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports is a block of ports on 127.0.0.1: a base to which the well-known port
// of a service is added. Two blocks never share a port.
type Ports struct {
	// Base is what is added.
	Base int
	lock net.Listener
}

// wellKnown are the ports that are looked at before a block is given out.
// Blocks begin at 1000k + 3j, j <= 6; no two of these numbers differ, modulo
// 1000, by a multiple of 3 up to 18, and none by such a number from lockOffset.
// So blocks cannot overlap and only foreign programs have to be looked for.
var wellKnown = []int{24, 25, 80, 110, 143, 443, 465, 587, 628, 993, 995}

const (
	lockOffset = 500
	// Below the range from which the kernel takes ports of outgoing connections.
	firstThousand, lastThousand = 10, 30
)

// Reserve finds a free block. It is held, against every program that uses
// Reserve, until Release or the end of this process.
func Reserve() (*Ports, error) {
	for range 500 {
		base := 1000*(firstThousand+rand.IntN(lastThousand-firstThousand+1)) + 3*rand.IntN(7)
		lock, err := net.Listen("tcp", loopback(base+lockOffset))
		if err != nil {
			continue
		}
		if allFree(base) {
			return &Ports{Base: base, lock: lock}, nil
		}
		lock.Close()
	}
	return nil, errors.New("no free block of ports")
}

func allFree(base int) bool {
	for _, p := range wellKnown {
		l, err := net.Listen("tcp", loopback(base+p))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

// Addr is the address of the service whose well-known port is given.
func (p *Ports) Addr(wellKnown int) string { return loopback(p.Base + wellKnown) }

// Close gives the block back.
func (p *Ports) Close() { p.lock.Close() }

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
