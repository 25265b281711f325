package run

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"toastmaster/internal/msglog"
	"toastmaster/internal/run/control"
	"toastmaster/internal/run/metrics"
)

// roleLabel is the label that a metric has under master, where each role has its own of every metric.
const roleLabel = "role"

// metricsPage is the page of this process. Under master the one of the administration is that of all roles, with the label
// role; ?role=NAME is one of them as it is.
func metricsPage(i *Instance) http.Handler {
	if i.role == "" {
		return msglog.Metrics(i.metrics)
	}
	own := msglog.Metrics(i.metrics)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.URL.Query().Get("role")
		switch asked {
		case "":
			gather := func() ([]*dto.MetricFamily, error) { return i.gatherRoles(r.Context()) }
			msglog.Metrics(prometheus.GathererFunc(gather)).ServeHTTP(w, r)
			return
		case string(i.role):
			own.ServeHTTP(w, r)
			return
		}
		for _, c := range i.others() {
			if c.Role != asked {
				continue
			}
			page, err := c.Metrics(r.Context())
			if err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			defer page.Close()
			w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
			_, _ = io.Copy(w, page)
			return
		}
		http.Error(w, fmt.Sprintf("there is no role %q", asked), http.StatusNotFound)
	})
}

// gatherRoles has the metrics of all roles. One that does not answer has none but that it is not up.
func (i *Instance) gatherRoles(ctx context.Context) ([]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeout(ctx, control.CallTimeout)
	defer cancel()
	others := i.others()
	found := make([]map[string]*dto.MetricFamily, len(others))
	var asking sync.WaitGroup
	for n, c := range others {
		asking.Go(func() {
			if page, err := metricsOf(ctx, c); err == nil {
				found[n] = page
			}
		})
	}
	own, err := i.metrics.Gather()
	asking.Wait()
	families := map[string]*dto.MetricFamily{}
	up := map[string]bool{string(i.role): true}
	for _, f := range own {
		addFamily(families, f, string(i.role))
	}
	for n, c := range others {
		up[c.Role] = found[n] != nil
		for _, f := range found[n] {
			addFamily(families, f, c.Role)
		}
	}
	addFamily(families, metrics.RolesUp(up), "")
	all := make([]*dto.MetricFamily, 0, len(families))
	for _, f := range families {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return all, err
}

// metricsOf reads the page of a role.
func metricsOf(ctx context.Context, c *control.Client) (map[string]*dto.MetricFamily, error) {
	page, err := c.Metrics(ctx)
	if err != nil {
		return nil, err
	}
	defer page.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(page)
}

// addFamily adds metrics under their role. One that an older process gives as another type is left out.
func addFamily(all map[string]*dto.MetricFamily, f *dto.MetricFamily, role string) {
	if role != "" {
		name := roleLabel
		for _, m := range f.Metric {
			m.Label = append(m.Label, &dto.LabelPair{Name: &name, Value: &role})
			slices.SortFunc(m.Label, func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
		}
	}
	known := all[f.GetName()]
	if known == nil {
		all[f.GetName()] = f
		return
	}
	if known.GetType() == f.GetType() {
		known.Metric = append(known.Metric, f.Metric...)
	}
}
