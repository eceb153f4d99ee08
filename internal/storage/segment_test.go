package storage_test

import (
	"os"
	"path/filepath"
	"testing"

	"iterable-segment-export/internal/emulators"
	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/storage"
)

// inBucket generates a Parquet file in an S3 server and inspects one column.
func inBucket(t testing.TB, rows int64) (*emulators.Cloud, *segment.Segment) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "segment")
	if _, err := generate.Segment(t.Context(), generate.Options{Rows: rows, Out: dir, Files: 1, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	c := emulators.S3(t)
	root, err := storage.OpenRoot(t.Context(), c.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := root.Write(t.Context(), "x.parquet", data); err != nil {
		t.Fatal(err)
	}
	s, err := segment.Inspect(t.Context(), c.At("x.parquet"), segment.Columns{Email: "EmailAddress"})
	if err != nil {
		t.Fatal(err)
	}
	c.Traffic()
	return c, s
}

func readAll(t testing.TB, s *segment.Segment) (rows int64, traffic storage.Traffic) {
	t.Helper()
	r := s.Read(t.Context(), segment.Options{})
	defer r.Close()
	for r.Next() {
		rows += r.Record().NumRows()
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	return rows, r.Traffic()
}

// TestOneColumnComesOverTheNetwork counts what is asked of a bucket for one
// column: that column once, in few requests, and little else.
func TestOneColumnComesOverTheNetwork(t *testing.T) {
	const rows = 300_000
	c, s := inBucket(t, rows)
	got, traffic := readAll(t, s)
	requests, bytes := c.Traffic()
	t.Logf("%d of %d bytes in %d requests for %d rows in %d row groups", bytes, s.Info().Bytes, requests, got, s.Info().RowGroups)
	if got != rows || traffic.Bytes != bytes || traffic.Requests != requests {
		t.Errorf("%d rows, counted %+v, were %d bytes in %d requests", got, traffic, bytes, requests)
	}
	if 3*bytes > s.Info().Bytes {
		t.Errorf("%d of %d bytes for one column", bytes, s.Info().Bytes)
	}
	// Head and footer, and each row group's column in blocks.
	if most := int64(4 + 2*s.Info().RowGroups); requests > most {
		t.Errorf("%d requests, want at most %d", requests, most)
	}
}

// BenchmarkBucket reads one column of two million rows from a bucket.
func BenchmarkBucket(b *testing.B) {
	const rows = 2_000_000
	c, s := inBucket(b, rows)
	for b.Loop() {
		readAll(b, s)
	}
	requests, bytes := c.Traffic()
	b.ReportMetric(float64(bytes)/float64(b.N), "bytes/op")
	b.ReportMetric(float64(s.Info().Bytes), "file-bytes")
	b.ReportMetric(float64(requests)/float64(b.N), "requests/op")
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
