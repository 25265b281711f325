package run

import (
	"slices"
	"testing"

	"toastmaster/configs"
)

// TestEveryServiceHasItsLimits: a row for each of the table of services, whose parameters there are, and no row for what is no
// service.
func TestEveryServiceHasItsLimits(t *testing.T) {
	t.Parallel()
	parameters := map[string]bool{}
	for _, p := range configs.Default().Bound() {
		parameters[p.Name] = true
	}
	var services []string
	for _, row := range serviceTable() {
		services = append(services, row.name)
	}
	var rows []string
	for _, row := range limitsTable() {
		rows = append(rows, row.service)
		for _, param := range append(row.limits[:], row.listen...) {
			if param != "" && !parameters[param] {
				t.Errorf("%s: there is no parameter %s", row.service, param)
			}
		}
	}
	slices.Sort(services)
	slices.Sort(rows)
	if !slices.Equal(services, rows) {
		t.Errorf("services %v, rows %v", services, rows)
	}
}

// TestTablesAreServices: what a configuration adds, with its own limits, and those of the others where it says nothing.
func TestTablesAreServices(t *testing.T) {
	t.Parallel()
	c, err := configs.Parse(t.TempDir()+"/t.toml", []byte(`
[smtpd]
max_connections = 321
[[listener]]
name = "filtered"
listen = ["127.0.0.1:10025"]
max_connections_per_client = 7
[[transport]]
name = "slow"
agent = "smtp"
domains = ["slow.example"]
process_limit = 3
[[spawn]]
name = "echo"
listen = ["127.0.0.1:10007"]
user = "54321:54321"
argv = ["/bin/cat"]
process_limit = 5
`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][3]string{
		"smtpd": {"321", "smtpd.max_connections", ":25"}, "smtpd/filtered": {"321", "", "127.0.0.1:10025"}, "slow": {"3", "transport.slow.process_limit", ""},
		"spawn/echo": {"5", "spawn.echo.process_limit", "127.0.0.1:10007"}, "imapd": {"20000", "imapd.max_connections", ":143"},
	}
	for _, s := range Services(c) {
		w, named := want[s.Service]
		if !named {
			continue
		}
		delete(want, s.Service)
		listen := ""
		if len(s.Listen) > 0 {
			listen = s.Listen[0]
		}
		if s.Process.Value != w[0] || w[1] != "" && s.Process.Param != w[1] || listen != w[2] || s.State != "" {
			t.Errorf("%+v, want %v", s, w)
		}
		if s.Service == "smtpd/filtered" && s.Client.Value != "7" {
			t.Errorf("%+v", s)
		}
	}
	if len(want) > 0 {
		t.Errorf("not there: %v", want)
	}
}
