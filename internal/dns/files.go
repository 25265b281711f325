package dns

import (
	"bufio"
	"bytes"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	mdns "github.com/miekg/dns"

	"toastmaster/internal/clock"
)

// lookAgain is how old the knowledge may be that a file has not changed.
const lookAgain = 5 * time.Second

// maxFile is how much of a file is read: there are lists of thousands of hosts.
const maxFile = 16 << 20

// watched is a file that is read again when it has changed.
type watched struct {
	path  string
	clock clock.Clock

	mu      sync.Mutex
	looked  time.Time
	modTime time.Time
	size    int64
	read    bool
}

// changed calls load with the file's content when there is another, with nothing when there
// is no file. Who calls it holds mu.
func (w *watched) changed(load func([]byte)) {
	now := w.clock.Now()
	if w.read && now.Sub(w.looked) < lookAgain && !now.Before(w.looked) {
		return
	}
	w.looked = now
	info, err := os.Stat(w.path)
	switch {
	case err != nil || info.Size() > maxFile:
		w.modTime, w.size = time.Time{}, 0
		load(nil)
	case !w.read || !info.ModTime().Equal(w.modTime) || info.Size() != w.size:
		content, err := os.ReadFile(w.path)
		if err != nil {
			content = nil
		}
		w.modTime, w.size = info.ModTime(), info.Size()
		load(content)
	}
	w.read = true
}

// resolvConf is resolv.conf(5).
type resolvConf struct {
	watched
	list []string
}

// servers is never empty: without any it is this host, as for the C library.
func (c *resolvConf) servers() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed(func(content []byte) {
		c.list = nil
		if conf, err := mdns.ClientConfigFromReader(bytes.NewReader(content)); err == nil {
			for _, server := range conf.Servers {
				if a, err := netip.ParseAddr(server); err == nil {
					c.list = append(c.list, net.JoinHostPort(a.String(), conf.Port))
				}
			}
		}
		if len(c.list) == 0 {
			c.list = []string{net.JoinHostPort("127.0.0.1", "53")}
		}
	})
	return c.list
}

// hosts is hosts(5).
type hosts struct {
	watched
	byName map[string][]netip.Addr
	byAddr map[netip.Addr][]string
}

func (h *hosts) addresses(name string) []netip.Addr {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changed(h.load)
	return slices.Clone(h.byName[name])
}

func (h *hosts) names(a netip.Addr) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changed(h.load)
	return slices.Clone(h.byAddr[a])
}

func (h *hosts) load(content []byte) {
	h.byName, h.byAddr = map[string][]netip.Addr{}, map[netip.Addr][]string{}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		a, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		a = a.Unmap().WithZone("")
		for _, name := range fields[1:] {
			if name = canonical(name); isHost(name) {
				h.byName[name] = append(h.byName[name], a)
				h.byAddr[a] = append(h.byAddr[a], name)
			}
		}
	}
}
