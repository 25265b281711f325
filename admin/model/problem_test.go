package model

import "testing"

func TestProblems(t *testing.T) {
	t.Parallel()
	for k := Internal; k <= Unavailable; k++ {
		typeURI, status := k.Problem()
		if got := KindOfProblem(typeURI, 0); status < 400 || got != k {
			t.Errorf("kind %d: %s %d is kind %d", k, typeURI, status, got)
		}
	}
	// Another program answered: the status says what it can.
	for status, want := range map[int]Kind{404: NotFound, 401: Unauthenticated, 409: Internal, 503: Unavailable, 429: Blocked, 418: Internal} {
		if got := KindOfProblem("about:blank", status); got != want {
			t.Errorf("%d: kind %d, want %d", status, got, want)
		}
	}
}
