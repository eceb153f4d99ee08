package rejects

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"iterable-segment-export/schemas"
)

func write(t testing.TB, rows []Reject) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	for _, r := range rows {
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if w.Rows() != int64(len(rows)) {
		t.Fatalf("Rows is %d after %d", w.Rows(), len(rows))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func read(t testing.TB, data []byte) []Reject {
	t.Helper()
	r, err := Open(inMemory{bytes.NewReader(data)})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []Reject
	for row, ok := r.Next(); ok; row, ok = r.Next() {
		out = append(out, row)
	}
	if r.Err() != nil || r.file.NumRows() != int64(len(out)) {
		t.Fatalf("%d of %d rows, %v", len(out), r.file.NumRows(), r.Err())
	}
	return out
}

func sample(n int) []Reject {
	rows := make([]Reject, n)
	for i := range rows {
		rows[i] = Reject{File: "part-0.parquet", Row: int64(i), Column: "email", Value: fmt.Appendf(nil, "a%d@b", i), Reason: schemas.ReasonNoTLD}
	}
	return rows
}

func TestRowsComeBackInOrder(t *testing.T) {
	for _, n := range []int{0, 1, groupRows, 2*groupRows + 3} {
		want := sample(n)
		if n > 0 {
			want[0].Value, want[0].Reason = nil, schemas.ReasonMissing
		}
		got := read(t, write(t, want))
		if len(got) != len(want) || n > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("%d rows: %d came back, or not the same", n, len(got))
		}
	}
}

func TestValuesBecomeReadable(t *testing.T) {
	long := strings.Repeat("ü", 3000)
	for value, want := range map[string]string{
		"plain":                      "plain",
		"":                           "",
		"a\xffb\xfe":                 `a\xffb\xfe`,
		long[:4096]:                  long[:4096],
		long:                         long[:4096-16] + "… (6000 bytes)",
		"x" + long:                   "x" + long[:4096-16-2] + "… (6001 bytes)",
		long + "\xff":                long[:4096-16] + "… (6001 bytes)",
		"with \x00 zero":             "with \x00 zero",
		strings.Repeat("\xff", 1024): strings.Repeat(`\xff`, 1024),
		strings.Repeat("\xff", 1025): strings.Repeat(`\xff`, 1020) + "… (1025 bytes)",
	} {
		got := read(t, write(t, []Reject{{File: "f", Value: []byte(value), Reason: schemas.ReasonSyntax}}))
		if string(got[0].Value) != want {
			t.Errorf("%.20q: got %.60q", value, got[0].Value)
		}
		if again := read(t, write(t, got)); !reflect.DeepEqual(again, got) {
			t.Errorf("%.20q: written again it is %.60q", value, again[0].Value)
		}
	}
}

func TestLargeValuesDoNotPileUp(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	value := bytes.Repeat([]byte("x"), mostValue)
	for range 2 * groupBytes / mostValue {
		if err := w.Add(Reject{Value: value}); err != nil {
			t.Fatal(err)
		}
		if w.pendingBytes > groupBytes {
			t.Fatalf("%d bytes are kept", w.pendingBytes)
		}
	}
}

func TestPlainParquetReadsIt(t *testing.T) {
	data := write(t, sample(3))
	table, err := pqarrow.ReadTable(context.Background(), bytes.NewReader(data), parquet.NewReaderProperties(nil),
		pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	if table.NumRows() != 3 || !sameColumns(table.Schema(), rejectSchema) {
		t.Fatalf("%d rows of %v", table.NumRows(), table.Schema())
	}
	f, err := file.NewParquetReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.MetaData().RowGroups[0].Columns[0].MetaData.Codec.String(); got != "SNAPPY" {
		t.Errorf("compressed by %s", got)
	}
}

func TestMergeKeepsTheOrderOfTheSource(t *testing.T) {
	at := func(file string, row int64) Reject { return Reject{File: file, Row: row, Reason: schemas.ReasonSyntax} }
	staged := write(t, []Reject{at("b", 1), at("b", 5), at("a", 0), at("a", 9)})
	r, err := Open(inMemory{bytes.NewReader(staged)})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := NewWriter(&out)
	err = Merge(w, []string{"b", "a"}, r, rowsOf([]Reject{at("b", 3), at("a", 2), at("a", 10)}), rowsOf(nil))
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range read(t, out.Bytes()) {
		got = append(got, fmt.Sprintf("%s%d", row.File, row.Row))
	}
	if want := "b1 b3 b5 a0 a2 a9 a10"; strings.Join(got, " ") != want {
		t.Fatalf("got %v, want %s", got, want)
	}
}

func TestMergeKnowsFilesByTheirReadableNames(t *testing.T) {
	at := func(file string, row int64) Reject { return Reject{File: file, Row: row, Reason: schemas.ReasonSyntax} }
	staged := write(t, []Reject{at("b\xff", 1), at("b\xff", 5), at("a", 0), at("unknown", 0)})
	r, err := Open(inMemory{bytes.NewReader(staged)})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := NewWriter(&out)
	err = Merge(w, []string{"b\xff", "a"}, rowsOf([]Reject{at("b\xff", 3), at("a", 1)}), r)
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range read(t, out.Bytes()) {
		got = append(got, fmt.Sprintf("%s%d", row.File, row.Row))
	}
	if want := `b\xff1 b\xff3 b\xff5 a0 a1 unknown0`; strings.Join(got, " ") != want {
		t.Fatalf("got %v, want %s", got, want)
	}
}

func TestForgottenPeopleAreNotWritten(t *testing.T) {
	data := write(t, []Reject{{File: "f", Column: "email", Value: []byte("ann@example.com"), Reason: schemas.ReasonIterableForgotten}})
	if got := read(t, data); got[0].Value != nil {
		t.Fatalf("the value is %q", got[0].Value)
	}
}

func TestManyFilesAndReasons(t *testing.T) {
	reasons := schemas.Reasons()
	want := make([]Reject, 3000)
	for i := range want {
		want[i] = Reject{File: fmt.Sprintf("part-%04d", i/2), Row: int64(i % 2), Column: fmt.Sprint("c", i%7), Reason: reasons[i%len(reasons)]}
	}
	if got := read(t, write(t, want)); !reflect.DeepEqual(got, want) {
		t.Fatal("the rows are not the same")
	}
}

func TestMessagesAreTheSentences(t *testing.T) {
	data := write(t, []Reject{{Reason: schemas.ReasonDots}, {Reason: schemas.ReasonNoTLD}, {Reason: schemas.ReasonDots}})
	table, err := pqarrow.ReadTable(context.Background(), bytes.NewReader(data), parquet.NewReaderProperties(nil),
		pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	column := table.Column(colMessage).Data().Chunk(0)
	for i, reason := range []schemas.Reason{schemas.ReasonDots, schemas.ReasonNoTLD, schemas.ReasonDots} {
		if got := column.ValueStr(i); got != reason.Sentence() {
			t.Errorf("row %d says %q", i, got)
		}
	}
}

// inMemory is a storage.File.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// rowsOf returns a Source of rows in memory.
func rowsOf(rows []Reject) Source { return &slice{rows} }

type slice struct{ rows []Reject }

func (s *slice) Next() (Reject, bool) {
	if len(s.rows) == 0 {
		return Reject{}, false
	}
	r := s.rows[0]
	s.rows = s.rows[1:]
	return r, true
}

func (s *slice) Err() error { return nil }
