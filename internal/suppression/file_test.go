package suppression

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// filled returns a sealed set of numbered addresses.
func filled(t testing.TB, from, to int) *Set {
	t.Helper()
	s := new(Set)
	for i := from; i < to; i++ {
		if err := s.Add(Address(fmt.Appendf(nil, "p%d@example.com", i))); err != nil {
			t.Fatal(err)
		}
	}
	s.Seal()
	return s
}

// TestKeptLists are what they were, and damage of any byte is noticed.
func TestKeptLists(t *testing.T) {
	for _, n := range []int{0, 1, 3, 100_000} {
		var file bytes.Buffer
		k := Kept{Of: "a source", Entries: int64(n) + 5, Unreadable: 2}
		if err := filled(t, 0, n).Write(&file, k); err != nil {
			t.Fatal(err)
		}
		k.Hashes = n
		data := file.Bytes()
		if s, _, err := Read(bytes.NewReader(data), int64(len(data)), "another source"); s != nil || err != nil {
			t.Errorf("of another source: %v, %v", s, err)
		}
		s, got, err := Read(bytes.NewReader(data), int64(len(data)), k.Of)
		if err != nil || s.Len() != n || got != k {
			t.Fatalf("%d of %d, %+v, %v", s.Len(), n, got, err)
		}
		for i := range n + 10 {
			if has := s.Has(Address(fmt.Appendf(nil, "p%d@example.com", i))); has != (i < n) {
				t.Fatalf("of %d, person %d: %v", n, i, has)
			}
		}
		if n > 3 {
			continue
		}
		for i := range data {
			damaged := bytes.Clone(data)
			damaged[i] ^= 1
			if s, _, err := Read(bytes.NewReader(damaged), int64(len(damaged)), k.Of); s != nil || err != nil && !errors.Is(err, ErrDamaged) {
				t.Errorf("byte %d of %d: %v, %v", i, len(data), s, err)
			}
			if s, _, err := Read(bytes.NewReader(data[:i]), int64(i), k.Of); s != nil || err == nil {
				t.Errorf("cut after %d bytes of %d", i, len(data))
			}
		}
	}
}

// TestMergedSets have what each had, once.
func TestMergedSets(t *testing.T) {
	all, more := filled(t, 0, 5000), filled(t, 3000, 9000)
	if err := all.Merge(more); err != nil {
		t.Fatal(err)
	}
	if all.Seal(); all.Len() != 9000 || more.Len() != 0 {
		t.Errorf("%d, %d left", all.Len(), more.Len())
	}
	for i := range 9001 {
		if has := all.Has(Address(fmt.Appendf(nil, "p%d@example.com", i))); has != (i < 9000) {
			t.Fatalf("person %d: %v", i, has)
		}
	}
	if err := all.Merge(&Set{n: maxPeople}); !errors.Is(err, ErrTooMany) {
		t.Errorf("too many: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	var file bytes.Buffer
	if err := filled(f, 0, 3).Write(&file, Kept{Of: "x"}); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Add([]byte("{}\n12345678"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, _, err := Read(bytes.NewReader(data), int64(len(data)), "x")
		if err == nil && s.Len()*16+8 > len(data) {
			t.Errorf("%d hashes of %d bytes", s.Len(), len(data))
		}
	})
}
