package httpapi

import (
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// BenchmarkBatch is one emit of many in batches of 1,000, over HTTP and on a real Redis.
func BenchmarkBatch(b *testing.B) {
	f := serve(b, testkit.StartRedis(b).Addr(), nil)
	const size = 1000
	body := strings.Repeat(`{"op":"emit","event":"price","args":["ACME",12.5,{"currency":"EUR"}],"rooms":["acme"]}`+"\n", size)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			for range size - 1 { // an iteration is an emit
				if !pb.Next() {
					return
				}
			}
			if a := f.post(b, "/v1/batch", body); strings.Count(a.Text, `"status":202`) != size {
				b.Errorf("%d %.300s", a.Code, a.Text)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "emits/s")
}

// BenchmarkEmit is one emit in a request of its own.
func BenchmarkEmit(b *testing.B) {
	f := serve(b, testkit.StartRedis(b).Addr(), nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if a := f.post(b, "/v1/emit", `{"event":"price","args":["ACME",12.5],"rooms":["acme"]}`); a.Code != 202 {
				b.Errorf("%d %s", a.Code, a.Text)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "emits/s")
}
