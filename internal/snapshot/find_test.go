package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
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

// TestFindInMany reports the time and the reads of a search in 20 snapshots of FIND members
// together.
func TestFindInMany(t *testing.T) {
	all, err := strconv.Atoi(os.Getenv("FIND"))
	if err != nil {
		t.Skip("set FIND to a number of members")
	}
	const exports = 20
	n := all / exports
	h := Header{Export: "e", Segment: "s", Connection: "c", ListID: 7}
	dir := t.TempDir()
	for e := range exports {
		f, err := os.Create(fmt.Sprintf("%s/%d", dir, e))
		if err != nil {
			t.Fatal(err)
		}
		writeNumbered(t, f, h, n)
		f.Close()
	}
	began, reads, read := time.Now(), int64(0), int64(0)
	for e := range exports {
		f, err := os.Open(fmt.Sprintf("%s/%d", dir, e))
		if err != nil {
			t.Fatal(err)
		}
		stat, _ := f.Stat()
		in := &countedReader{ReaderAt: f}
		s, err := Open(in, stat.Size(), h)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := s.Find(t.Context(), numbered(n/3+e, n)); err != nil || len(found) != 1 {
			t.Errorf("%+v, %v", found, err)
		}
		reads, read = reads+in.reads.Load(), read+in.bytes.Load()
		f.Close()
	}
	t.Logf("%d members in %d snapshots: %d reads, %.1f MB, %s", all, exports, reads, float64(read)/1e6, time.Since(began).Round(time.Millisecond))
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
