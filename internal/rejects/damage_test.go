package rejects

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"iterable-segment-export/schemas"
)

func TestDamagedFilesAreErrors(t *testing.T) {
	data := write(t, sample(1000))
	for _, n := range []int{0, 3, len(data) / 2, len(data) - 5} {
		if _, err := Open(inMemory{bytes.NewReader(data[:n])}); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

// drain reads a file that may be damaged.
func drain(data []byte) error {
	r, err := Open(inMemory{bytes.NewReader(data)})
	if err != nil {
		return err
	}
	defer r.Close()
	n := int64(0)
	for _, ok := r.Next(); ok; _, ok = r.Next() {
		n++
	}
	if r.Err() == nil && n != r.file.NumRows() {
		return errors.New("rows are missing, and there is no error")
	}
	return r.Err()
}

func TestFlippedBytesNeverPanicOrLoseRows(t *testing.T) {
	data := write(t, sample(200))
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		bad := bytes.Clone(data)
		bad[random.IntN(len(bad))] ^= byte(1 + random.IntN(255))
		if err := drain(bad); err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
	}
}

var errDisk = errors.New("no space left on device")

// fullDisk takes so many bytes.
type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) > d.room {
		n := d.room
		d.room = 0
		return n, errDisk
	}
	d.room -= len(p)
	return len(p), nil
}

// TestAFullDiskIsAlwaysAnError: Parquet's writer drops errors of some columns.
func TestAFullDiskIsAlwaysAnError(t *testing.T) {
	rows := sample(100)
	size := len(write(t, rows))
	for room := 0; room < size; room += 1 + size/50 {
		w := NewWriter(&fullDisk{room: room})
		for _, r := range rows {
			if err := w.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); !errors.Is(err, errDisk) {
			t.Fatalf("%d of %d bytes: %v", room, size, err)
		}
		if err := w.Close(); !errors.Is(err, errDisk) {
			t.Fatalf("the second Close says %v", err)
		}
		if err := w.Add(rows[0]); !errors.Is(err, errDisk) {
			t.Fatalf("Add says %v after an error", err)
		}
	}
}

func TestRowsAfterAnErrorAreRefused(t *testing.T) {
	w := NewWriter(&fullDisk{room: 100})
	rows := sample(groupRows)
	var err error
	for _, r := range rows {
		err = w.Add(r)
	}
	if !errors.Is(err, errDisk) {
		t.Fatalf("the group's last row: %v", err)
	}
	if err := w.Close(); !errors.Is(err, errDisk) {
		t.Fatalf("Close says %v", err)
	}
}

func TestRowsAfterCloseAreRefused(t *testing.T) {
	w := NewWriter(io.Discard)
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if err := w.Add(Reject{Reason: schemas.ReasonDots}); err == nil {
		t.Fatal("a row was taken")
	}
}

// brokenAt reads until it comes to a place.
type brokenAt struct {
	inMemory
	from int64
}

func (b brokenAt) ReadAt(p []byte, at int64) (int, error) {
	if at < b.from {
		return 0, errDisk
	}
	return b.inMemory.ReadAt(p, at)
}

func TestAnUnreachableFileIsNotADamagedOne(t *testing.T) {
	data := write(t, sample(1000))
	size := int64(len(data))
	if _, err := Open(brokenAt{inMemory{bytes.NewReader(data)}, size}); !errors.Is(err, errDisk) || errors.Is(err, ErrDamaged) {
		t.Errorf("Open: %v", err)
	}
	r, err := Open(brokenAt{inMemory{bytes.NewReader(data)}, size / 2})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, ok := r.Next(); ok; {
		_, ok = r.Next()
	}
	if err := r.Err(); !errors.Is(err, errDisk) || errors.Is(err, ErrDamaged) {
		t.Errorf("Next: %v", err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(write(f, sample(3)))
	f.Add(write(f, nil))
	rows := sample(40)
	for i, reason := range schemas.Reasons() {
		rows[i].Reason, rows[i].Value = reason, nil
	}
	f.Add(write(f, rows))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Open(inMemory{bytes.NewReader(data)})
		if err == nil {
			defer r.Close()
			for n := 0; n < 1e6; n++ {
				if _, ok := r.Next(); !ok {
					break
				}
			}
			err = r.Err()
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	rows := sample(1000)
	for i := range rows {
		rows[i].Reason = []schemas.Reason{schemas.ReasonDots, schemas.ReasonNoTLD, schemas.ReasonMissing}[i%3]
	}
	w := NewWriter(io.Discard)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := w.Add(rows[i%len(rows)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkNext(b *testing.B) {
	data := write(b, sample(200_000))
	var r *Reader
	b.ReportAllocs()
	for b.Loop() {
		if r != nil {
			if _, ok := r.Next(); ok {
				continue
			}
		}
		var err error
		if r, err = Open(inMemory{bytes.NewReader(data)}); err != nil {
			b.Fatal(err)
		}
	}
}
