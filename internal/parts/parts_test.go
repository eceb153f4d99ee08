package parts

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// memoryFile is a file in memory.
type memoryFile struct{ *bytes.Reader }

func (f memoryFile) Size() int64              { return f.Reader.Size() }
func (f memoryFile) Close() error             { return nil }
func (f memoryFile) Traffic() storage.Traffic { return storage.Traffic{} }
func (f memoryFile) Plan([]storage.Range)     {}

var types = []arrow.DataType{
	arrow.BinaryTypes.String, arrow.BinaryTypes.LargeBinary, arrow.FixedWidthTypes.Boolean, arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Float64,
	arrow.FixedWidthTypes.Date32, arrow.FixedWidthTypes.Timestamp_us, &arrow.Decimal128Type{Precision: 20, Scale: 2}, &arrow.FixedSizeBinaryType{ByteWidth: 3},
	arrow.ListOf(arrow.PrimitiveTypes.Int16), arrow.FixedSizeListOf(2, arrow.BinaryTypes.String), arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64),
	arrow.StructOf(arrow.Field{Name: "a", Type: arrow.BinaryTypes.String, Nullable: true}, arrow.Field{Name: "b", Type: arrow.ListOf(arrow.FixedWidthTypes.Boolean), Nullable: true}),
	&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, arrow.FixedWidthTypes.Float16, arrow.Null, arrow.FixedWidthTypes.MonthDayNanoInterval,
}

// made returns a column with some nulls, as JSON of each row.
func made(t *testing.T, r *rand.Rand, dt arrow.DataType, n int) arrow.Array {
	t.Helper()
	of := map[arrow.Type]string{
		arrow.STRING: `"text%d"`, arrow.LARGE_BINARY: `"dGV4dA=="`, arrow.BOOL: `true`, arrow.INT8: `%d`, arrow.FLOAT64: `%d.5`, arrow.DATE32: `"2026-01-02"`,
		arrow.TIMESTAMP: `"2026-01-0%d"`, arrow.DECIMAL128: `"%d.25"`, arrow.FIXED_SIZE_BINARY: `"YWJj"`, arrow.LIST: `[%d,null]`, arrow.FIXED_SIZE_LIST: `["a%d",null]`,
		arrow.MAP: `[{"key":"k","value":%d}]`, arrow.STRUCT: `{"a":"x%d","b":[true]}`, arrow.DICTIONARY: `"d%d"`, arrow.FLOAT16: `%d`, arrow.NULL: `null`,
		arrow.INTERVAL_MONTH_DAY_NANO: `{"months":%d,"days":1,"nanoseconds":2}`,
	}[dt.ID()]
	var rows []string
	for range n {
		switch {
		case r.IntN(4) == 0:
			rows = append(rows, "null")
		case strings.Contains(of, "%d"):
			rows = append(rows, fmt.Sprintf(of, 1+r.IntN(8)))
		default:
			rows = append(rows, of)
		}
	}
	a, _, err := array.FromJSON(memory.DefaultAllocator, dt, strings.NewReader("["+strings.Join(rows, ",")+"]"))
	if err != nil {
		t.Fatal(dt, err)
	}
	return a
}

// cellsOf returns the rows of a column as text.
func cellsOf(a arrow.Array) (out []string) {
	for i := range a.Len() {
		if a.IsNull(i) {
			out = append(out, "null")
		} else {
			out = append(out, a.ValueStr(i))
		}
	}
	return out
}

// TestGather takes rows of columns of all types, whole and sliced.
func TestGather(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, dt := range types {
		whole := made(t, r, dt, 40)
		for _, a := range []arrow.Array{whole, array.NewSlice(whole, 3, 31)} {
			var rows []int32
			var want []string
			all := cellsOf(a)
			for i := range a.Len() {
				if r.IntN(3) > 0 {
					rows, want = append(rows, int32(i)), append(want, all[i])
				}
			}
			got, err := gather(t.Context(), a, rows)
			if err != nil {
				t.Errorf("%s: %v", dt, err)
				continue
			}
			if fmt.Sprint(cellsOf(got)) != fmt.Sprint(want) {
				t.Errorf("%s:\n got %s\nwant %s", dt, cellsOf(got), want)
			}
		}
	}
}

// TestPartsHaveTheRows divides batches among three lists, and reads each list's rows.
func TestPartsHaveTheRows(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	seg := segment.Stored{Files: []string{filepath.Join("a", "b.parquet")}}
	fields := []arrow.Field{{Name: "Mail", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "Id", Type: arrow.BinaryTypes.String, Nullable: true}}
	seg.Columns = []segment.Column{{Name: "Mail", Role: segment.Email, Type: fields[0].Type}, {Name: "Id", Role: segment.UserID, Type: fields[1].Type}}
	for i, dt := range types {
		name := fmt.Sprint("f", i)
		fields = append(fields, arrow.Field{Name: name, Type: dt, Nullable: true})
		seg.Columns = append(seg.Columns, segment.Column{Name: name, Role: segment.Field, Field: schemas.Field{Column: name, As: name}, Type: dt})
	}
	seg.Columns = append(seg.Columns, segment.Column{Name: "V", Role: segment.ForEach})
	fields = append(fields, arrow.Field{Name: "V", Type: arrow.BinaryTypes.String, Nullable: true})
	var file bytes.Buffer
	source := seg.Segment()
	w, err := NewWriter(&file, source)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{}
	at := int64(0)
	for range 5 {
		n := 1 + r.IntN(300)
		var columns []arrow.Array
		for _, f := range fields {
			columns = append(columns, made(t, r, f.Type, n))
		}
		b := segment.Batch{Record: array.NewRecord(arrow.NewSchema(fields, nil), columns, int64(n)), Offset: at}
		byList := map[string][]int32{}
		var cells [][]string
		for _, c := range columns[:len(columns)-1] {
			cells = append(cells, cellsOf(c))
		}
		for i := range n {
			line := fmt.Sprint(0, at+int64(i))
			for k, c := range cells {
				line += "|" + c[i]
				if k == 1 {
					want[identities] = append(want[identities], line)
				}
			}
			if list := []string{"A", "B", "C", ""}[r.IntN(4)]; list != "" {
				byList[list] = append(byList[list], int32(i))
				want[list] = append(want[list], line)
			}
		}
		at += int64(n)
		if err := w.AddIdentities(t.Context(), source, b); err != nil {
			t.Fatal(err)
		}
		for list, rows := range byList {
			if err := w.Add(t.Context(), source, list, b, rows); err != nil {
				t.Fatal(err)
			}
		}
	}
	index, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	var read Index
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	open := func(context.Context) (storage.File, error) { return memoryFile{bytes.NewReader(file.Bytes())}, nil }
	for _, list := range []string{"A", "B", "C", identities} {
		name := list
		if list == identities {
			name = "A"
		}
		part, ok, err := read.Segment(name, schemas.SegmentInfo{}, open)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		rows := part.Read(t.Context(), segment.Options{})
		if list == identities {
			rows = part.ReadIdentities(t.Context())
		}
		var got []string
		for b, err := range rows {
			if err != nil {
				t.Fatal(err)
			}
			var cells [][]string
			for _, c := range b.Columns() {
				cells = append(cells, cellsOf(c))
			}
			for i := range int(b.NumRows()) {
				file, row := b.At(i)
				line := fmt.Sprint(file, row)
				for _, c := range cells {
					line += "|" + c[i]
				}
				got = append(got, line)
			}
		}
		if strings.Join(got, "\n") != strings.Join(want[list], "\n") {
			t.Errorf("%q: %d rows, want %d", list, len(got), len(want[list]))
		}
		if list != identities && part.Info().Rows != int64(len(got)) {
			t.Errorf("%q says it has %d rows", list, part.Info().Rows)
		}
	}
	if _, ok, _ := read.Segment("D", schemas.SegmentInfo{}, open); ok {
		t.Error("a list without a part has one")
	}
}
