package segment

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
	"go.uber.org/goleak"

	"iterable-segment-export/schemas"
)

func TestMain(m *testing.M) {
	// OpenCensus, of a dependency of the emulators, starts one at its birth.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// writers makes a segment of the same rows in every form that is read.
var writers = map[string]func(t testing.TB, dir string, rec arrow.Record){
	"parquet snappy": func(t testing.TB, dir string, rec arrow.Record) {
		writeParquet(t, filepath.Join(dir, "a.parquet"), 300, []arrow.Record{rec})
	},
	"parquet one row group, zstd": func(t testing.TB, dir string, rec arrow.Record) {
		writeParquet(t, filepath.Join(dir, "a"), 1<<20, []arrow.Record{rec}, parquet.WithCompression(compress.Codecs.Zstd))
	},
	"parquet gzip, pages of version 2": func(t testing.TB, dir string, rec arrow.Record) {
		writeParquet(t, filepath.Join(dir, "a"), 1<<20, []arrow.Record{rec}, parquet.WithCompression(compress.Codecs.Gzip), parquet.WithDataPageVersion(parquet.DataPageV2))
	},
	"parquet plain, small pages": func(t testing.TB, dir string, rec arrow.Record) {
		writeParquet(t, filepath.Join(dir, "a"), 700, []arrow.Record{rec}, parquet.WithCompression(compress.Codecs.Uncompressed), parquet.WithDictionaryDefault(false), parquet.WithDataPageSize(512), parquet.WithBatchSize(64))
	},
	"arrow file": func(t testing.TB, dir string, rec arrow.Record) {
		writeIPCFile(t, filepath.Join(dir, "a.arrow"), []arrow.Record{rec})
	},
	"arrow file, small batches": func(t testing.TB, dir string, rec arrow.Record) {
		writeIPCFile(t, filepath.Join(dir, "a.arrow"), parts(rec, 111))
	},
	"arrow file lz4": func(t testing.TB, dir string, rec arrow.Record) {
		writeIPCFile(t, filepath.Join(dir, "a.feather"), parts(rec, 500), ipc.WithLZ4())
	},
	"arrow file zstd": func(t testing.TB, dir string, rec arrow.Record) {
		writeIPCFile(t, filepath.Join(dir, "a.feather"), []arrow.Record{rec}, ipc.WithZstd())
	},
	"arrow stream": func(t testing.TB, dir string, rec arrow.Record) {
		writeStream(t, filepath.Join(dir, "a.parquet"), parts(rec, 333))
	},
	"arrow stream zstd": func(t testing.TB, dir string, rec arrow.Record) {
		writeStream(t, filepath.Join(dir, "a"), []arrow.Record{rec}, ipc.WithZstd())
	},
}

func inspect(t testing.TB, dir string, want Columns) *Segment {
	t.Helper()
	s, err := Inspect(t.Context(), dir, want)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rows reads a segment and returns each row as text.
func rows(t testing.TB, s *Segment, opts Options) []string {
	t.Helper()
	var out []string
	next := map[int]int64{}
	for rec, err := range s.Read(t.Context(), opts) {
		if err != nil {
			t.Fatal(err)
		}
		if int(rec.NumCols()) != len(s.Columns) {
			t.Fatalf("a record has %d columns", rec.NumCols())
		}
		at := next[rec.File]
		if rec.Offset != at && s.Info().Table == nil || rec.Offset < at { // a table has deleted rows
			t.Fatalf("row offset %d, not %d", rec.Offset, at)
		}
		next[rec.File] = rec.Offset + rec.NumRows()
		for i := range int(rec.NumRows()) {
			var b strings.Builder
			for c, col := range rec.Columns() {
				fmt.Fprintf(&b, "%s=%s ", s.Columns[c].Name, text(t, col, i))
			}
			out = append(out, b.String())
		}
	}
	return out
}

func TestReadEveryFormat(t *testing.T) {
	const n = 1234
	rec := profiles(t, 0, n)
	want := Columns{Email: "EmailAddress", UserID: "id", Fields: schemas.Fields{All: true}}
	var expected []string
	for i := range n {
		var b strings.Builder
		for _, c := range []int{1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12} {
			fmt.Fprintf(&b, "%s=%s ", rec.ColumnName(c), text(t, rec.Column(c), i))
		}
		expected = append(expected, b.String())
	}
	for name, write := range writers {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, rec)
			for _, opts := range []Options{{}, {BatchRows: 1, Parallel: 1}, {BatchRows: 100, Parallel: 3}} {
				s := inspect(t, dir, want)
				if rows := s.Info().Rows; rows != n && (rows != -1 || !strings.Contains(name, "stream")) {
					t.Errorf("Info says %d rows", rows)
				}
				got := rows(t, s, opts)
				if len(got) != n {
					t.Fatalf("%d rows", len(got))
				}
				for i := range got {
					if got[i] != expected[i] {
						t.Fatalf("%+v, row %d:\n got %s\nwant %s", opts, i, got[i], expected[i])
					}
				}
			}
		})
	}
}

func TestReadPathsIntoStructs(t *testing.T) {
	const n = 500
	rec := profiles(t, 0, n)
	want := Columns{Email: "contact.email", Fields: schemas.Fields{List: []schemas.Field{{Column: "contact.inner.n"}, {Column: "a.b"}, {Column: "CONTACT.Inner", As: "whole"}}}}
	for name, write := range writers {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, rec)
			s := inspect(t, dir, want)
			for i, as := range []string{"", "n", "a.b", "whole"} {
				if s.Columns[i].Field.As != as {
					t.Errorf("column %d is sent as %q", i, s.Columns[i].Field.As)
				}
			}
			for i, got := range rows(t, s, Options{BatchRows: 64}) {
				email, num, inner := fmt.Sprintf("c%d@example.com", i), fmt.Sprint(i), fmt.Sprintf(`{"n":%d}`, i)
				if i%5 == 4 || i%3 == 2 {
					email = "null"
				}
				if i%5 == 4 {
					inner = `{"n":null}`
				}
				if i%5 == 4 || i%4 == 3 {
					num, inner = "null", "null"
				}
				if want := fmt.Sprintf("contact.email=%s contact.inner.n=%s a.b=x%d contact.inner=%s ", email, num, i, inner); got != want {
					t.Fatalf("row %d:\n got %s\nwant %s", i, got, want)
				}
			}
		})
	}
}

// TestRepeatedLargeTexts: texts of a dictionary take few bytes in the file, and 17 KB in
// each row. They begin in the second batch, which has to be read again in parts.
func TestRepeatedLargeTexts(t *testing.T) {
	const rows, small = 32_800, 16_384
	large := []string{strings.Repeat("a", 17<<10), strings.Repeat("b", 17<<10)}
	text := func(row int) string {
		if row < small {
			return "x"
		}
		return large[row/100%2]
	}
	fields := []arrow.Field{str("email"), str("text")}
	var file bytes.Buffer
	w, err := pqarrow.NewFileWriter(arrow.NewSchema(fields, nil), &file, parquet.NewWriterProperties(), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < rows; at += 100 {
		b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
		for i := at; i < at+100; i++ {
			b.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("p%d@x.com", i))
			b.Field(1).(*array.StringBuilder).Append(text(i))
		}
		if err := w.WriteBuffered(b.NewRecord()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.parquet")
	writeBytes(t, path, file.Bytes())
	s := inspect(t, path, Columns{Email: "email", Fields: schemas.Fields{All: true}})
	if s.Info().RowGroups != 1 {
		t.Fatalf("%d row groups", s.Info().RowGroups)
	}
	n := 0
	for b, err := range s.Read(t.Context(), Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		emails, err := NewStringColumn(b.Column(0))
		if err != nil {
			t.Fatal(err)
		}
		texts, err := NewStringColumn(b.Column(1))
		if err != nil {
			t.Fatal(err)
		}
		for i := range emails.Len() {
			address, _ := emails.Bytes(i)
			value, _ := texts.Bytes(i)
			if string(address) != fmt.Sprintf("p%d@x.com", n) || string(value) != text(n) || b.Offset+int64(i) != int64(n) {
				t.Fatalf("row %d has %s and %d bytes, at %d", n, address, len(value), b.Offset+int64(i))
			}
			n++
		}
	}
	if n != rows {
		t.Errorf("%d rows", n)
	}
}
