package snapshot

import (
	"bytes"
	"context"
	"testing"
)

// TestWhoIsKeptHasNotVanished: somebody in a row that can't be sent stays, unless a
// row that can be sent says more; nobody joins by it.
func TestWhoIsKeptHasNotVanished(t *testing.T) {
	u := NewUpdate("", 0)
	for i := range 100 {
		m := person(i, Reserved)
		if err := u.Put(&m); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	if _, err := u.Publish(t.Context(), nil, testHeader, &file); err != nil {
		t.Fatal(err)
	}
	verdicts := map[int64]Verdict{}
	d, err := NewDiffer(t.Context(), mustOpen(t, file.Bytes()), Options{Rows: 60}, func(p *Profile, v Verdict) error {
		verdicts[p.Row] = v
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	add := func(i int) {
		if p := profile(i, Reserved); d.Add(&p) != nil {
			t.Fatal("it can't be added")
		}
	}
	keep := func(i int) { d.Keep(person(i, 0).Key) }
	keep(0)
	keep(500) // is no member
	keep(1)
	add(1)
	for i := 490; i < 510; i++ {
		add(i)
	}
	keep(2)
	add(3)
	keep(3)
	vanished := map[string]bool{}
	counts, err := d.Finish(context.Background(), func(m *Member) error { vanished[string(m.Key[:])] = true; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if want := (Counts{New: 20, Unchanged: 2, Vanished: 96}); counts != want {
		t.Errorf("%+v, want %+v", counts, want)
	}
	for i := range 100 {
		if k := person(i, 0).Key; vanished[string(k[:])] != (i > 3) {
			t.Errorf("person %d vanished: %v", i, i <= 3)
		}
	}
	if verdicts[500] != New || verdicts[1] != Unchanged || verdicts[3] != Unchanged {
		t.Errorf("verdicts %v", verdicts)
	}
}
