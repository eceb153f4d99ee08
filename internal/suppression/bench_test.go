package suppression

import (
	"fmt"
	"slices"
	"testing"
)

// BenchmarkHas looks up hashes in a set of a million that has none of them, one by one and
// 256 together.
func BenchmarkHas(b *testing.B) {
	s := filled(b, 0, 1_000_000)
	var others []Hash
	for i := range 1 << 16 {
		others = append(others, Address(fmt.Appendf(nil, "other%d@example.com", i)))
	}
	b.Run("one", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			if s.Has(others[n%len(others)]) {
				b.Fatal("found")
			}
		}
	})
	b.Run("together", func(b *testing.B) {
		var found []bool
		for n := 0; b.Loop(); n++ {
			if k := n % len(others); k%256 == 0 {
				if found = s.Find(others[k:k+256], found); slices.Contains(found, true) {
					b.Fatal("found")
				}
			}
		}
	})
}
