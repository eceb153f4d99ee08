package snapshot

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/zeebo/xxh3"
)

func addressKey(i int) Key { return Key(xxh3.HashString128(fmt.Sprint("address", i)).Bytes()) }

// TestIdentitiesAgainstModel notes random addresses in random order, in memory
// and through files, and compares everybody's fate with two sets.
func TestIdentitiesAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		x := NewIdentities(t.TempDir(), 1+rnd.IntN(4000))
		rows, stay, gone := map[int]bool{}, map[int]bool{}, map[string]int{}
		addresses := 1 + rnd.IntN(200)
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		for n := range rnd.IntN(1000) {
			i := rnd.IntN(addresses)
			switch rnd.IntN(4) {
			case 0:
				rows[i] = true
				must(x.Row(addressKey(i)))
			case 1:
				stay[i] = true
				must(x.Stays(addressKey(i)))
			default:
				m := person(n, uint64(n))
				m.Email = fmt.Appendf(nil, "a%d@example.com", i)
				gone[tellMember(&m)] = i
				must(x.Vanished(addressKey(i), &m))
			}
		}
		must(x.Decide(context.Background(), func(m *Member, f Fate) error {
			i, ok := gone[tellMember(m)]
			want := Gone
			switch {
			case rows[i]:
				want = Superseded
			case stay[i]:
				want = Linked
			}
			if !ok || f != want {
				t.Errorf("seed %d: %s: fate %d, want %d (noted: %v)", seed, tellMember(m), f, want, ok)
			}
			delete(gone, tellMember(m))
			return nil
		}))
		must(x.Close())
		if len(gone) > 0 {
			t.Errorf("seed %d: %d were not decided", seed, len(gone))
		}
	}
}

func tellMember(m *Member) string {
	return fmt.Sprintf("%x %d %s %s", m.Key, m.Fields, m.Email, m.UserID)
}

// TestWhoStaysIsTold hands out the members that the segment names, those of
// batches with nobody else in them included.
func TestWhoStaysIsTold(t *testing.T) {
	var members []Member
	for i := range 50 {
		members = append(members, person(i, 1))
	}
	snap := mustOpen(t, publish(t, members, testHeader))
	stays, vanished := 0, 0
	d, err := NewDiffer(context.Background(), snap, Options{Stays: func(*Member) error { stays++; return nil }}, func(*Profile, Verdict) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		p := profile(i, 1)
		if err := d.Add(&p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Finish(context.Background(), func(*Member) error { vanished++; return nil }); err != nil || stays != 50 || vanished != 0 {
		t.Fatalf("%d stay, %d vanished, %v", stays, vanished, err)
	}
}
