package api

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"
)

// healthPath is for whoever decides where clients go. It needs no token and no
// TLS, because it tells nothing.
const healthPath = "/healthz"

// health answers 200 while all services run, and 503 while one of them starts
// or stops, or after it failed: the store fails for good when its file system
// cannot be synced.
func (s *Server) health(c echo.Context) error {
	if s.draining.Load() {
		return c.String(http.StatusServiceUnavailable, "draining\n")
	}
	if s.h.o.Services != nil {
		for _, m := range s.h.o.Services() {
			if m.State != "running" {
				return c.String(http.StatusServiceUnavailable, fmt.Sprintf("%s: %s\n", m.Name, m.State))
			}
		}
	}
	return c.String(http.StatusOK, "ready\n")
}
