package account

import (
	"context"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/recovery"
	"toastmaster/mailstore/volume"
)

// BenchmarkReserveRedeem is what a quota costs a delivery.
func BenchmarkReserveRedeem(b *testing.B) {
	root := b.TempDir()
	disk := vfs.OS{}
	vol := volume.New(volume.Options{Root: root, FS: disk, Clock: clock.System{}, Log: msglog.Discard(), Hostname: "host.test", Config: configs.Default().Store})
	ok := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	ok(disk.MkdirAll(root+"/"+volume.Private+"/spool", 0o700))
	ok(vol.Open(b.Context()))
	a := New(Options{
		Volume: vol, Records: recovery.New(vol).Account("alice"),
		Sum:    func(context.Context, []string) (Usage, error) { return Usage{}, nil },
		Retain: func(int) {},
	})
	ok(a.Ensure())
	a.Quota.Limit(Usage{Bytes: 1 << 60})
	for b.Loop() {
		r, err := a.Quota.Reserve(b.Context(), "", 4000, 1, Delivering)
		ok(err)
		a.Quota.Redeem(r, 4000, 1)
	}
	ok(vol.Close())
}
