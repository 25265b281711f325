//go:build race

package lmtpd

// mostPieces is more under the race detector, whose pools forget a part of what they are given.
const mostPieces = 115
