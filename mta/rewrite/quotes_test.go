package rewrite

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/addr"
)

// TestNobodyWritesHisOwnRoute: a table whose texts hold parts of an address decides no way of mail, neither at the start nor when
// its file has changed; texts for people may.
func TestNobodyWritesHisOwnRoute(t *testing.T) {
	t.Parallel()
	open := func(change func(*configs.Config)) error {
		set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
		defer set.Close()
		c := configs.Default()
		change(c)
		_, err := OpenTables(t.Context(), c, set)
		return err
	}
	const quoting = `regexp:{ {/^(.*)@x\.test$/ smtp:[$1]} }`
	for name, list := range map[string]func(*configs.Config) *[]string{
		"transport_maps":                          func(c *configs.Config) *[]string { return &c.Rewrite.TransportMaps },
		"sender_dependent_relayhost_maps":         func(c *configs.Config) *[]string { return &c.Rewrite.SenderRelayhostMaps },
		"sender_dependent_default_transport_maps": func(c *configs.Config) *[]string { return &c.Rewrite.SenderTransportMaps },
	} {
		for _, table := range []string{strings.ReplaceAll(quoting, "$/", "$$/"), "unionmap:{static:x, pcre:{ {/(.)/ ${1}} }}"} {
			if err := open(func(c *configs.Config) { *list(c) = []string{table} }); err == nil || !strings.Contains(err.Error(), "$1") {
				t.Errorf("%s %s: %v", name, table, err)
			}
		}
	}
	if err := open(func(c *configs.Config) { c.Rewrite.RelocatedMaps = []string{"pcre:{ {/(.*)@x/ $1@y.test} }"} }); err != nil {
		t.Error(err)
	}
	if err := open(func(c *configs.Config) { c.Rewrite.TransportMaps = []string{"pcre:{ {/@x/ smtp:[hub]} }"} }); err != nil {
		t.Error(err)
	}
	// What a file has become since.
	file := filepath.Join(t.TempDir(), "routes")
	if err := os.WriteFile(file, []byte("/(.*)@x/ smtp:[$1]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	defer set.Close()
	maps, _, err := set.OpenAll(context.Background(), []string{"pcre:" + file})
	if err != nil {
		t.Fatal(err)
	}
	r := New(Options{Directory: boxes(t), Hostname: "mail.example.test", Agents: map[string]string{"smtp": "smtp"}, Tables: Tables{Transport: maps}})
	a, err := addr.Parse("10.0.0.1@x.test")
	if err != nil {
		t.Fatal(err)
	}
	if route, err := r.Resolve(t.Context(), addr.Address{}, a); err == nil || !strings.Contains(err.Error(), "Temporary lookup failure") {
		t.Errorf("%+v %v", route, err)
	}
}
