package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
)

// countedReader counts reads and bytes.
type countedReader struct {
	io.ReaderAt
	reads, bytes atomic.Int64
}

func (c *countedReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.reads.Add(1)
	c.bytes.Add(int64(n))
	return n, err
}

// numbered returns the key of member i, spread evenly and in ascending order.
func numbered(i, n int) (k Key) {
	binary.BigEndian.PutUint64(k[:], uint64(i)*(^uint64(0)/uint64(n)))
	return k
}

func writeNumbered(t *testing.T, w io.Writer, h Header, n int) {
	t.Helper()
	out, err := NewWriter(w, h)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		m := Member{Key: numbered(i, n), Fields: Reserved + uint64(i), Email: fmt.Appendf(nil, "p%d@example.com", i)}
		if err := out.Append(&m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFind(t *testing.T) {
	const n = 3*batchRows + 10
	var file bytes.Buffer
	h := Header{Export: "e", Segment: "s", Connection: "c", ListID: 7}
	writeNumbered(t, &file, h, n)
	in := &countedReader{ReaderAt: bytes.NewReader(file.Bytes())}
	s, err := Open(in, int64(file.Len()), h)
	if err != nil {
		t.Fatal(err)
	}
	opened := in.reads.Load()
	for _, i := range []int{0, 1, batchRows - 1, batchRows, 2*batchRows + 77, n - 1} {
		before := in.reads.Load()
		none := numbered(i, n)
		none[15]++
		found, err := s.Find(t.Context(), numbered(i, n), none)
		if err != nil || len(found) != 1 || string(found[0].Email) != fmt.Sprintf("p%d@example.com", i) || found[0].Fields != Reserved+uint64(i) {
			t.Errorf("member %d: %+v, %v", i, found, err)
		}
		if got := in.reads.Load() - before; got != 2 {
			t.Errorf("member %d took %d reads for two keys, after %d to open the file", i, got, opened)
		}
	}
	if found, err := s.Scan(t.Context(), []byte("p70000@example.com")); err != nil || len(found) != 1 || found[0].Key != numbered(70000, n) {
		t.Errorf("by the address: %+v, %v", found, err)
	}
	if _, err := s.Find(cancelled(t), numbered(0, n)); err == nil {
		t.Error("a search that was cancelled goes on")
	}
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
