package suppression

import (
	"fmt"
	"testing"
)

// BenchmarkHas looks up hashes in a set of a million that has none of them.
func BenchmarkHas(b *testing.B) {
	s := filled(b, 0, 1_000_000)
	var others []Hash
	for i := range 1 << 16 {
		others = append(others, Address(fmt.Appendf(nil, "other%d@example.com", i)))
	}
	for n := 0; b.Loop(); n++ {
		if s.Has(others[n%len(others)]) {
			b.Fatal("found")
		}
	}
}
