// Package fifo is a queue in memory, first in, first out, whose memory shrinks with
// it. It has no lock and no bound: both are its owner's.
package fifo
