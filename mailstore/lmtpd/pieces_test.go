//go:build !race

package lmtpd

// mostPieces is how many pieces of memory one delivery may take, in all of the program.
const mostPieces = 75
