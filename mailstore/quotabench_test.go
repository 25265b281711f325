package mailstore

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkDeliverQuota is BenchmarkDeliver where each account has a quota.
func BenchmarkDeliverQuota(b *testing.B) {
	s := openStore(b, b.TempDir())
	content := fourKiB()
	n := 0
	before := processorTime(b)
	for b.Loop() {
		n++
		d := Delivery{ID: fmt.Sprintf("ID%d", n), Date: time.Now(), Content: content, Prefix: []byte("Return-Path: <>\nDelivered-To: a@example.test\n")}
		acc := Account{Home: fmt.Sprintf("example.test/u%d", n%20), QuotaBytes: 1 << 40}
		if err := s.Deliver(b.Context(), acc, &d); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(n), "cpu-us/op")
	check(b, s.Close())
}
