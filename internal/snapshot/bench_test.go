package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/zeebo/xxh3"
)

// benchKey is the i-th of many keys.
func benchKey(i int) Key {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(i))
	return Key(xxh3.Hash128(b[:]).Bytes())
}

// benchMembers calls f with people whose addresses have 24 bytes.
func benchMembers(from, to int, f func(*Member) error) error {
	var email [24]byte
	for i := from; i < to; i++ {
		m := Member{Key: benchKey(i), Fields: uint64(i), Email: fmt.Appendf(email[:0], "person%06x@example.com", i)}
		if err := f(&m); err != nil {
			return err
		}
	}
	return nil
}

func benchSnapshot(b *testing.B, n int) []byte {
	b.Helper()
	u := NewUpdate("", 0)
	defer u.Close()
	var out bytes.Buffer
	if err := benchMembers(0, n, u.Put); err != nil {
		b.Fatal(err)
	}
	if _, err := u.Publish(context.Background(), nil, testHeader, &out); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

func sizes(b *testing.B, f func(b *testing.B, n int)) {
	for _, n := range []int{1_000_000, 10_000_000} {
		b.Run(fmt.Sprintf("%dM", n/1_000_000), func(b *testing.B) {
			if n > 1_000_000 && testing.Short() {
				b.Skip("takes some GB")
			}
			f(b, n)
		})
	}
}

// held is how many bytes of the heap are in use.
func held() int64 {
	debug.FreeOSMemory()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

func BenchmarkLoad(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		file := benchSnapshot(b, n)
		b.ReportAllocs()
		b.SetBytes(int64(len(file)))
		for b.Loop() {
			s := mustOpen(b, file)
			d, err := NewDiffer(context.Background(), s, Options{Rows: int64(n)}, nil)
			if err != nil {
				b.Fatal(err)
			}
			if d.index.size() != int64(n) {
				b.Fatal("somebody is missing")
			}
		}
	})
}

// BenchmarkDiff compares a segment with a snapshot of as many people, of whom a
// share is the same. B/row is what the comparison holds in memory at its end,
// over both sets.
func BenchmarkDiff(b *testing.B) {
	for _, same := range []int{100, 99, 0} {
		b.Run(fmt.Sprintf("same=%d%%", same), func(b *testing.B) {
			sizes(b, func(b *testing.B, n int) { benchDiff(b, n, same) })
		})
	}
}

func benchDiff(b *testing.B, n, same int) {
	file := benchSnapshot(b, n)
	s := mustOpen(b, file)
	from := n / 100 * (100 - same)
	rows := make([]Profile, n)
	for i := range rows {
		rows[i].Key, rows[i].Fields = benchKey(from+i), uint64(from+i)
	}
	before := held()
	b.ReportAllocs()
	for b.Loop() {
		d, err := NewDiffer(context.Background(), s, Options{Rows: int64(n)}, func(*Profile, Verdict) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
		for i := range rows {
			if err := d.Add(&rows[i]); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		b.ReportMetric(float64(held()-before)/float64(2*n), "B/row")
		b.StartTimer()
		got, err := d.Finish(context.Background(), func(*Member) error { return nil })
		if err != nil || got.Vanished != int64(from) {
			b.Fatal(got, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/row")
}

// BenchmarkPublish makes the next snapshot of a million people: the first, and
// one in which 1% came and 1% went.
func BenchmarkPublish(b *testing.B) {
	const n = 1_000_000
	run := func(b *testing.B, old *Snapshot, from, to int, dir string, memory int) {
		b.ReportAllocs()
		for b.Loop() {
			u := NewUpdate(dir, memory)
			err := benchMembers(from, to, u.Put)
			for i := 0; old != nil && err == nil && i < n/100; i++ {
				err = u.Remove(benchKey(i))
			}
			if err == nil {
				_, err = u.Publish(context.Background(), old, testHeader, io.Discard)
			}
			if err != nil {
				b.Fatal(err)
			}
			u.Close()
		}
	}
	b.Run("first", func(b *testing.B) { run(b, nil, 0, n, "", 1<<30) })
	b.Run("first/files", func(b *testing.B) { run(b, nil, 0, n, b.TempDir(), 0) })
	file := benchSnapshot(b, n)
	b.Run("churn=1%", func(b *testing.B) { run(b, mustOpen(b, file), n, n+n/100, "", 0) })
}
