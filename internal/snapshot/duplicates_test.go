package snapshot

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestDuplicatesOfRandomRows compares the rows that lose with those of a model, in memory that
// holds a few rows and in memory that holds all.
func TestDuplicatesOfRandomRows(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 3))
		type row struct {
			key  Key
			rank byte
		}
		rows := map[Place]row{}
		for i := range 300 {
			rows[Place{File: int32(r.IntN(3)), Row: int64(i)}] = row{Key{byte(r.IntN(120)), 1}, byte(r.IntN(4))}
		}
		order := slices.SortedFunc(maps.Keys(rows), func(a, b Place) int {
			if a.before(b) {
				return -1
			}
			return 1
		})
		best, count := map[Key]Place{}, map[Key]int{}
		for _, at := range order {
			one := rows[at]
			if before, ok := best[one.key]; !ok || one.rank > rows[before].rank {
				best[one.key] = at
			}
			count[one.key]++
		}
		for _, memory := range []int{1 << 10, 1 << 20} {
			for _, compare := range []func(a, b []byte) int{bytes.Compare, nil} {
				d := NewDuplicates(t.TempDir(), memory)
				for at, one := range rows { // in any order
					if err := d.Add(one.key, at, []byte{one.rank}); err != nil {
						t.Fatal(err)
					}
				}
				lost := map[Place]bool{}
				if err := d.Each(compare, func(at Place) error {
					if lost[at] {
						return fmt.Errorf("%v loses twice", at)
					}
					lost[at] = true
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				for at, one := range rows {
					want := count[one.key] > 1 && (compare == nil || best[one.key] != at)
					if lost[at] != want {
						t.Fatalf("seed %d, %d bytes: %v of %v loses: %t, want %t", seed, memory, at, one, lost[at], want)
					}
				}
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
