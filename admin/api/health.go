package api

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"toastmaster/admin/model"
)

// healthPath is for whoever decides where clients go. It needs no token and no
// TLS, because it tells nothing.
const healthPath = "/healthz"

// health answers 200 while all services run, and 503 while one of them starts
// or stops, or after it failed: the store fails for good when its file system
// cannot be synced. A part without which mail goes on, the log, is named behind a
// 200: clients should still be sent here, and who watches should see it.
func (s *Server) health(c echo.Context) error {
	if s.draining.Load() {
		return c.String(http.StatusServiceUnavailable, "draining\n")
	}
	var degraded []string
	if s.h.o.Services != nil {
		for _, m := range s.h.o.Services() {
			switch m.State {
			case "running":
			case model.Degraded:
				degraded = append(degraded, m.Name)
			default:
				return c.String(http.StatusServiceUnavailable, fmt.Sprintf("%s: %s\n", m.Name, m.State))
			}
		}
	}
	if len(degraded) > 0 {
		return c.String(http.StatusOK, "degraded: "+strings.Join(degraded, " ")+"\n")
	}
	return c.String(http.StatusOK, "ready\n")
}
