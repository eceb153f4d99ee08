package sandbox

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"runtime"
	"testing"

	"iterable-segment-export/internal/iterable/api"
)

// BenchmarkTenMillionMembers subscribes ten million addresses, 10,000 a request,
// and reports what a member costs in memory and time.
func BenchmarkTenMillionMembers(b *testing.B) {
	const members, each = 10_000_000, 10_000
	for b.Loop() {
		s := New(Config{Fast: true})
		s.AddList(api.List{Name: "l"})
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var body bytes.Buffer
		for i := range members {
			if i%each == 0 {
				body.Reset()
				body.WriteString(`{"listId":1,"subscribers":[`)
			}
			fmt.Fprintf(&body, `{"email":"firstname.lastname%d@example.com"},`, (i*7919)%members)
			if i%each == each-1 {
				body.Truncate(body.Len() - 1)
				body.WriteString("]}")
				r := httptest.NewRequest("POST", "/api/lists/subscribe", &body)
				r.Header.Set("Api-Key", DefaultKey)
				s.ServeHTTP(httptest.NewRecorder(), r)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/members, "B/member")
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/members, "ns/member")
		b.ReportMetric(float64(after.Sys)/1e6, "MB-system")
		if n := s.Stats(false).Lists[0].Size; n != members {
			b.Fatalf("%d members", n)
		}
	}
}
