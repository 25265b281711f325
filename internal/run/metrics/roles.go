package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

const (
	roleUp     = "toastmaster_role_up"
	roleUpHelp = "1 while the role answers, else 0; only under master."
)

// describeRoles is the metric that RolesUp makes where there are roles.
func describeRoles() *prometheus.Desc {
	return prometheus.NewDesc(roleUp, roleUpHelp, []string{"role"}, nil)
}

// RolesUp says which roles answer.
func RolesUp(up map[string]bool) *dto.MetricFamily {
	name, help, label, gauge := roleUp, roleUpHelp, "role", dto.MetricType_GAUGE
	f := &dto.MetricFamily{Name: &name, Help: &help, Type: &gauge}
	for role, is := range up {
		value := 0.0
		if is {
			value = 1
		}
		f.Metric = append(f.Metric, &dto.Metric{Label: []*dto.LabelPair{{Name: &label, Value: &role}}, Gauge: &dto.Gauge{Value: &value}})
	}
	return f
}
