package model

import "net/http"

// problem is how a kind goes over HTTP: the end of its type (RFC 9457) and its
// status.
type problem struct {
	name   string
	status int
}

// problems has one for each kind.
func problems() map[Kind]problem {
	return map[Kind]problem{
		Internal:        {"internal", http.StatusInternalServerError},
		Invalid:         {"invalid", http.StatusUnprocessableEntity},
		NotFound:        {"not-found", http.StatusNotFound},
		Exists:          {"exists", http.StatusConflict},
		InUse:           {"in-use", http.StatusConflict},
		OverLimit:       {"over-limit", http.StatusConflict},
		Unauthenticated: {"unauthenticated", http.StatusUnauthorized},
		Forbidden:       {"forbidden", http.StatusForbidden},
		Unavailable:     {"unavailable", http.StatusServiceUnavailable},
		Blocked:         {"blocked", http.StatusTooManyRequests},
	}
}

const problemType = "urn:toastmaster:"

// Problem is the problem type and HTTP status of the kind.
func (k Kind) Problem() (typeURI string, status int) {
	p := problems()[k]
	return problemType + p.name, p.status
}

// KindOfProblem finds the kind behind a problem's type or, where another
// program answered, its status.
func KindOfProblem(typeURI string, status int) Kind {
	byStatus := Internal
	for kind, p := range problems() {
		if typeURI == problemType+p.name {
			return kind
		}
		if status == p.status && status != http.StatusConflict {
			byStatus = kind
		}
	}
	return byStatus
}
