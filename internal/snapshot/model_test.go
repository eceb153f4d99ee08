package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/zeebo/xxh3"
)

// testHeader is what the tests' runs expect.
var testHeader = Header{Export: "Spring", Segment: "High-value", Connection: "marketing", ListID: 7, Mapping: "m1"}

// person makes the i-th of many people; every third has no address, every fifth
// a user id too.
func person(i int, fields uint64) Member {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(i))
	m := Member{Key: Key(xxh3.Hash128(b[:]).Bytes()), Fields: fields}
	if i%3 != 0 {
		m.Email = fmt.Appendf(nil, "person%d@example.com", i)
	}
	if i%5 == 0 || i%3 == 0 {
		m.UserID = fmt.Appendf(nil, "u-%d", i)
	}
	return m
}

func profile(i int, fields uint64) Profile {
	p := Profile{Member: person(i, fields), File: int32(i % 7), Row: int64(i)}
	if i%2 == 0 {
		p.DataFields = fmt.Appendf(nil, `{"n":%d}`, fields)
	}
	return p
}

func mustOpen(t testing.TB, file []byte) *Snapshot {
	t.Helper()
	s, err := Open(bytes.NewReader(file), int64(len(file)), testHeader)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// outcome is all that a comparison gives, in order.
type outcome struct {
	emitted  []string
	vanished []string
	counts   Counts
}

func tell(p *Profile, v Verdict) string {
	return fmt.Sprintf("%x %d %s %s %s %v %d %d %d", p.Key, p.Fields, p.Email, p.UserID, p.DataFields, p.DataFields == nil, p.File, p.Row, v)
}

func compare(t testing.TB, snap *Snapshot, rows []Profile, o Options) outcome {
	t.Helper()
	var out outcome
	d, err := NewDiffer(context.Background(), snap, o, func(p *Profile, v Verdict) error {
		out.emitted = append(out.emitted, tell(p, v))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if err := d.Add(&rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	out.counts, err = d.Finish(context.Background(), func(m *Member) error {
		out.vanished = append(out.vanished, fmt.Sprintf("%x %s %s", m.Key, m.Email, m.UserID))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRunsAgainstModel takes a list through random versions of a segment, modes
// and refusals, in memory and through files, and compares what is recorded with
// a map.
func TestRunsAgainstModel(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runsAgainstModel(t, seed) })
	}
}

func runsAgainstModel(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	model := map[int]uint64{} // who is recorded, and with which fields
	var file []byte
	for range 8 {
		people := 1 + rnd.IntN(600)
		var rows []Profile
		first := map[int]uint64{}
		for range rnd.IntN(700) {
			i, fields := rnd.IntN(people), Reserved+rnd.Uint64N(3)
			rows = append(rows, profile(i, fields))
			if _, ok := first[i]; !ok {
				first[i] = fields
			}
		}
		var snap *Snapshot
		if file != nil {
			snap = mustOpen(t, file)
		}
		full := rnd.IntN(4) == 0
		o := Options{Rows: int64(len(rows)), ResendAll: full}
		want := compare(t, snap, rows, o)
		checkCounts(t, want.counts, model, first, len(rows), full)
		file, model = nextVersion(t, rnd, snap, model, first, full)
		checkRecorded(t, file, model)
	}
}

func checkCounts(t *testing.T, got Counts, before, now map[int]uint64, rows int, full bool) {
	t.Helper()
	var want Counts
	want.Duplicate = int64(rows - len(now))
	for i, fields := range now {
		old, ok := before[i]
		switch {
		case !ok, old == Unconfirmed:
			want.New++
		case old != fields || full:
			want.Changed++
		default:
			want.Unchanged++
		}
	}
	for i := range before {
		if _, ok := now[i]; !ok {
			want.Vanished++
		}
	}
	if got != want {
		t.Fatalf("counts %+v, the model says %+v", got, want)
	}
}

// nextVersion publishes what a run with random refusals leaves, and does the
// same to the model.
func nextVersion(t *testing.T, rnd *rand.Rand, old *Snapshot, before, now map[int]uint64, full bool) ([]byte, map[int]uint64) {
	t.Helper()
	u := NewUpdate(t.TempDir(), 1+rnd.IntN(20_000))
	defer u.Close()
	model := map[int]uint64{}
	for i, f := range before {
		model[i] = f
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	unknown := func(i int) { // as far as it was known at all
		if old, ok := before[i]; ok && old != Unconfirmed {
			model[i] = Unknown
		}
	}
	named := map[int]bool{}
	for i, fields := range now {
		old, ok := before[i]
		if ok && old == fields && !full {
			continue
		}
		named[i] = true
		m := person(i, fields)
		if rnd.IntN(8) == 0 { // the answer is missing
			must(u.Doubt(&m))
			if !ok {
				model[i] = Unconfirmed
			}
			unknown(i)
			continue
		}
		must(u.Put(&m))
		switch rnd.IntN(8) {
		case 0:
			must(u.Refuse(m.Key))
			unknown(i)
		case 1:
			must(u.Forget(m.Key))
			delete(model, i)
		default:
			model[i] = fields
		}
	}
	if rnd.IntN(3) > 0 { // mirror
		for i := range before {
			if _, ok := now[i]; ok || before[i] == Unconfirmed {
				continue
			}
			named[i] = true
			m := person(i, 0)
			switch rnd.IntN(8) {
			case 0:
				must(u.Remove(m.Key))
				must(u.Refuse(m.Key))
				unknown(i)
			case 1:
				must(u.Doubt(&m))
				unknown(i)
			default:
				must(u.Remove(m.Key))
				delete(model, i)
			}
		}
	}
	if full {
		u.Void()
		for i := range before {
			if !named[i] {
				unknown(i)
			}
		}
	}
	var out bytes.Buffer
	h, err := u.Publish(context.Background(), old, testHeader, &out)
	must(err)
	must(u.Close())
	members := 0
	for _, fields := range model {
		if fields != Unconfirmed {
			members++
		}
	}
	if h.Rows != int64(len(model)) || h.Members() != int64(members) {
		t.Fatalf("published %d entries, %d of them members, the model has %d and %d", h.Rows, h.Members(), len(model), members)
	}
	return out.Bytes(), model
}

func checkRecorded(t *testing.T, file []byte, model map[int]uint64) {
	t.Helper()
	want := map[Key]Member{}
	for i, fields := range model {
		m := person(i, fields)
		want[m.Key] = m
	}
	err := mustOpen(t, file).Each(context.Background(), func(m *Member) error {
		w, ok := want[m.Key]
		if !ok || m.Fields != w.Fields || !bytes.Equal(m.Email, w.Email) || !bytes.Equal(m.UserID, w.UserID) {
			return fmt.Errorf("recorded %v, want %v (%v)", *m, w, ok)
		}
		delete(want, m.Key)
		return nil
	})
	if err != nil || len(want) != 0 {
		t.Fatalf("%d members are missing: %v", len(want), err)
	}
}
