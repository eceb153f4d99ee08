package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/internal/columnar"
)

// content is what a snapshot yields, as text.
func content(file []byte) (string, error) {
	s, err := Open(bytes.NewReader(file), int64(len(file)), testHeader)
	if err != nil {
		return "", err
	}
	out := fmt.Sprintf("%+v\n", s.Header())
	err = s.Each(context.Background(), func(m *Member) error {
		out += fmt.Sprintf("%x %d %s %s\n", m.Key, m.Fields, m.Email, m.UserID)
		return nil
	})
	return out, err
}

// TestDamage changes every byte of a snapshot, and cuts it short everywhere:
// it reads as ErrCorrupt, or exactly as before.
func TestDamage(t *testing.T) {
	file := publish(t, people(0, 20), testHeader)
	want, err := content(file)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, damaged []byte) {
		t.Helper()
		got, err := content(damaged)
		switch {
		case err == nil && got != want:
			t.Fatalf("%s: it reads as something else", what)
		case err != nil && !errors.Is(err, ErrCorrupt):
			t.Fatalf("%s: %v is no ErrCorrupt", what, err)
		}
	}
	for i := range file {
		for _, bit := range []byte{1, 0x80} {
			file[i] ^= bit
			check(fmt.Sprintf("byte %d changed", i), file)
			file[i] ^= bit
		}
	}
	for n := range len(file) {
		if _, err := content(file[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(file), err)
		}
	}
	// A hole of zeros, as a disk that filled up or a crash leaves behind.
	for at := 0; at+64 < len(file); at += 32 {
		holed := bytes.Clone(file)
		clear(holed[at : at+64])
		check(fmt.Sprintf("zeros at %d", at), holed)
	}
}

// failingFile fails with an error of the storage's from some offset on.
type failingFile struct {
	io.ReaderAt
	calls, after int
}

var errStorage = errors.New("connection reset")

func (f *failingFile) ReadAt(p []byte, off int64) (int, error) {
	if f.calls++; f.calls > f.after {
		return 0, errStorage
	}
	return f.ReaderAt.ReadAt(p, off)
}

// TestStorageFault: what a retry can cure must not make a full run.
func TestStorageFault(t *testing.T) {
	file := publish(t, people(0, 20), testHeader)
	for after := range 6 {
		f := &failingFile{ReaderAt: bytes.NewReader(file), after: after}
		s, err := Open(f, int64(len(file)), testHeader)
		if err == nil {
			err = s.Each(context.Background(), func(*Member) error { return nil })
		}
		if f.calls <= after && err == nil {
			return // nothing left to fail
		}
		if !errors.Is(err, errStorage) || errors.Is(err, ErrCorrupt) {
			t.Errorf("after %d reads: %v", after, err)
		}
	}
	t.Error("the file was never read to its end")
}

// TestDamageBeforeRemovals: nobody is emitted or vanishes before the whole
// snapshot was found sound.
func TestDamageBeforeRemovals(t *testing.T) {
	file := publish(t, people(0, 3*batchRows), testHeader)
	s := mustOpen(t, file)
	b := s.blocks[2]
	file[b.offset+b.length/2] ^= 4
	if _, err := NewDiffer(context.Background(), mustOpen(t, file), Options{Rows: 10}, nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(publish(f, people(0, 20), testHeader))
	f.Add(publish(f, nil, testHeader))
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := Open(bytes.NewReader(file), int64(len(file)), testHeader)
		if err == nil {
			s.Verify(context.Background())
			err = s.Each(context.Background(), func(*Member) error { return nil })
		}
		for _, known := range []error{nil, ErrCorrupt, ErrForeign, ErrListReplaced} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Fatalf("unexpected error: %v", err)
	})
}

// smallMemory lets a batch take a few megabytes.
func smallMemory() memory.Allocator { return columnar.NewBudget(4 << 20) }

// TestForged gives Arrow damaged bytes whose checksum was made right, as somebody
// could who writes to the data root: it must not panic, hang or take any amount
// of memory.
func TestForged(t *testing.T) {
	whole := publish(t, people(0, 20), testHeader)
	blk := whole[:mustOpen(t, whole).blocks[0].length]
	failed := 0
	for i := range blk {
		for _, bit := range []byte{1, 4, 0x80} {
			blk[i] ^= bit
			if _, err := decode(blk, true, 20, smallMemory()); err != nil {
				failed++
			}
			blk[i] ^= bit
		}
	}
	if failed == 0 {
		t.Error("no damage was noticed")
	}
}

func FuzzDecode(f *testing.F) {
	whole := publish(f, people(0, 20), testHeader)
	f.Add(whole[:mustOpen(f, whole).blocks[0].length])
	f.Fuzz(func(t *testing.T, blk []byte) {
		c, err := decode(blk, true, 20, smallMemory())
		for i := 0; err == nil && i < 20; i++ {
			c.email.At(i)
			c.userID.At(i)
		}
	})
}
