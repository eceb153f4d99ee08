package segment

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/parquet"

	"iterable-segment-export/schemas"
)

var began = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)

func selecting(t testing.TB, condition string) Columns {
	t.Helper()
	want := Columns{Email: "email", Where: new(schemas.Condition), Now: began}
	if err := json.Unmarshal([]byte(condition), want.Where); err != nil {
		t.Fatal(err)
	}
	return want
}

// matching returns the addresses of the rows that match, and how many rows were read.
func matching(t testing.TB, s *Segment) (found string, read int64) {
	t.Helper()
	var out []string
	for b, err := range s.Read(t.Context(), Options{BatchRows: 3}) {
		if err != nil {
			t.Fatal(err)
		}
		read += b.NumRows()
		for i, match := range b.Match {
			if match {
				out = append(out, fmt.Sprintf("%s@%d", text(t, b.Column(0), i), b.Offset+int64(i)))
			}
		}
	}
	return strings.Join(out, " "), read
}

// sorted is 8 rows that lie in row groups of two, in ascending order of most columns.
func sorted(t testing.TB) arrow.Record {
	fields := []arrow.Field{
		str("email"), typed("n", arrow.PrimitiveTypes.Int64), typed("price", &arrow.Decimal128Type{Precision: 30, Scale: 2}), str("country"),
		typed("seen", arrow.FixedWidthTypes.Timestamp_us), typed("born", arrow.FixedWidthTypes.Date32), typed("ok", arrow.FixedWidthTypes.Boolean),
		typed("score", arrow.PrimitiveTypes.Float64), typed("u", arrow.PrimitiveTypes.Uint32), typed("in", arrow.StructOf(str("s"))),
	}
	var b strings.Builder
	for i := range 8 {
		country := fmt.Sprintf("%q", "ABCDEFGH"[i:i+1])
		if i > 5 {
			country = "null"
		}
		fmt.Fprintf(&b, `,{"email":"%d","n":%d,"price":"%d.50","country":%s,"seen":"2026-03-%02d 00:00:00","born":"2026-03-%02d","ok":%t,"score":%d.5,"u":%d,"in":{"s":%s}}`,
			i, i-4, i-4, country, 24+i, 24+i, i >= 4, i, 4294967288+i, country)
	}
	return table(t, fields, "["+b.String()[1:]+"]")
}

func TestRowGroupsThatCannotMatchAreNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.parquet")
	writeParquet(t, path, 2, []arrow.Record{sorted(t)})
	for _, c := range []struct {
		condition, found string
		read             int64
	}{
		{`{"column":"n","atLeast":3}`, "7@7", 2},
		{`{"column":"n","lessThan":-3}`, "0@0", 2},
		{`{"column":"n","equals":1}`, "5@5", 2},
		{`{"column":"n","in":[-4,3]}`, "0@0 7@7", 4},
		{`{"not":{"column":"n","lessThan":3}}`, "7@7", 2},
		{`{"column":"n","atLeast":100}`, "", 0},
		{`{"column":"price","atLeast":2.5}`, "6@6 7@7", 2},
		{`{"column":"country","equals":"C"}`, "2@2", 2},
		{`{"column":"country","notEquals":"C"}`, "0@0 1@1 3@3 4@4 5@5", 6},
		{`{"column":"country","isNull":true}`, "6@6 7@7", 2},
		{`{"column":"in.s","isNull":true}`, "6@6 7@7", 2},
		{`{"column":"in.s","equals":"A"}`, "0@0", 2},
		{`{"column":"seen","after":"now-2d"}`, "6@6 7@7", 2},
		{`{"column":"born","before":"2026-03-25"}`, "0@0", 2},
		{`{"column":"ok","is":true}`, "4@4 5@5 6@6 7@7", 4},
		{`{"column":"score","lessThan":1}`, "0@0", 2},
		{`{"column":"u","atLeast":4294967295}`, "7@7", 8}, // Arrow's bounds of unsigned numbers are not right
		{`{"column":"price","lessThan":-3.5}`, "0@0", 2},
		{`{"any":[{"column":"n","equals":-4},{"column":"country","equals":"F"}]}`, "0@0 5@5", 4},
		{`{"all":[{"column":"n","equals":-4},{"column":"country","equals":"F"}]}`, "", 0},
	} {
		for _, all := range []bool{false, true} {
			want := selecting(t, c.condition)
			want.Fields.All = all
			s := inspect(t, path, want)
			if s.Info().Rows != 8 {
				t.Errorf("%s: %d rows", c.condition, s.Info().Rows)
			}
			found, read := matching(t, s)
			if found != c.found || read != c.read || s.Skipped().Rows != 8-c.read {
				t.Errorf("%s: %q of %d rows, want %q of %d; not read: %+v", c.condition, found, read, c.found, c.read, s.Skipped())
			}
		}
	}
	want := selecting(t, `{"column":"n","atLeast":3}`)
	want.Everything = true
	if found, read := matching(t, inspect(t, path, want)); found != "7@7" || read != 8 {
		t.Errorf("of everything: %q of %d rows", found, read)
	}
	// Without statistics all rows are read, and the same ones match.
	writeParquet(t, path, 2, []arrow.Record{sorted(t)}, parquet.WithStats(false))
	if found, read := matching(t, inspect(t, path, selecting(t, `{"column":"n","atLeast":3}`))); found != "7@7" || read != 8 {
		t.Errorf("without statistics: %q of %d rows", found, read)
	}
}

func TestConditionsOnPartitions(t *testing.T) {
	dir := t.TempDir()
	writeParquet(t, filepath.Join(dir, "country=NO/a.parquet"), 2, []arrow.Record{emails(t, "a@x.com", "b@x.com", "c@x.com")})
	writeIPCFile(t, filepath.Join(dir, "country=SE/b.arrow"), []arrow.Record{emails(t, "d@x.com")})
	writeStream(t, filepath.Join(dir, "country=__HIVE_DEFAULT_PARTITION__/c"), []arrow.Record{emails(t, "e@x.com")})
	for condition, want := range map[string]string{
		`{"column":"country","equals":"NO"}`:              "a@x.com@0 b@x.com@1 c@x.com@2, 4 read, {Files:1 RowGroups:0 Rows:1}",
		`{"column":"country","in":["DK","SE"]}`:           "d@x.com@0, 2 read, {Files:1 RowGroups:0 Rows:3}",
		`{"column":"country","isNull":true}`:              "e@x.com@0, 1 read, {Files:2 RowGroups:0 Rows:4}",
		`{"column":"country","notEquals":"SE"}`:           "a@x.com@0 b@x.com@1 c@x.com@2, 4 read, {Files:1 RowGroups:0 Rows:1}",
		`{"column":"email","atLeast":"b","lessThan":"c"}`: "b@x.com@1, 4 read, {Files:0 RowGroups:1 Rows:1}",
		`{"column":"email","atLeast":"c"}`:                "c@x.com@2 d@x.com@0 e@x.com@0, 3 read, {Files:0 RowGroups:1 Rows:2}",
	} {
		s := inspect(t, dir, selecting(t, condition))
		found, read := matching(t, s)
		if got := fmt.Sprintf("%s, %d read, %+v", found, read, s.Skipped()); got != want {
			t.Errorf("%s: %s, want %s", condition, got, want)
		}
	}
	_, err := Inspect(t.Context(), dir, selecting(t, `{"column":"country","equals":47}`))
	wantError(t, err, schemas.ErrorColumn, "country", "put the number in quotes")
	_, err = Inspect(t.Context(), dir, selecting(t, `{"column":"county","equals":"NO"}`))
	wantError(t, err, schemas.ErrorColumn, "county", "no such column")
}

// TestFilesThatTheLogRulesOut has a table whose files can't all be opened: one that the
// statistics rule out is not there.
func TestFilesThatTheLogRulesOut(t *testing.T) {
	d := newDelta(t)
	columns := emailColumn + `,{"name":"n","type":"long","nullable":true,"metadata":{}},{"name":"seen","type":"timestamp","nullable":true,"metadata":{}},{"name":"country","type":"string","nullable":true,"metadata":{}}`
	fields := []arrow.Field{str("email"), typed("n", arrow.PrimitiveTypes.Int64), typed("seen", arrow.FixedWidthTypes.Timestamp_us)}
	file := func(name, country string, n int, stats obj) obj {
		add := d.write(name, obj{"country": country}, table(t, fields, fmt.Sprintf(`[{"email":"%s0","n":%d,"seen":"2026-03-%02d 10:00:00.000400"},{"email":"%s1","n":%d,"seen":"2026-03-%02d 10:00:00"}]`, name[:1], n, n, name[:1], n+1, n+1)))
		if stats == nil {
			stats = obj{"numRecords": 2, "minValues": obj{"n": n, "seen": fmt.Sprintf("2026-03-%02dT10:00:00.000Z", n)},
				"maxValues": obj{"n": n + 1, "seen": fmt.Sprintf("2026-03-%02dT10:00:00.000Z", n+1)}, "nullCount": obj{"n": 0, "seen": 0}}
		}
		text, err := json.Marshal(stats)
		if err != nil {
			t.Fatal(err)
		}
		add["stats"] = string(text)
		return add
	}
	none := obj{"numRecords": 2}
	broken := file("c.parquet", "SE", 20, nil)
	broken["size"] = 0 // not compared
	writeBytes(t, filepath.Join(d.dir, "c.parquet"), []byte("neither Parquet nor Arrow"))
	d.commit(append(createTable(columns, []string{"country"}, nil), obj{"add": file("a.parquet", "NO", 10, nil)}, obj{"add": file("b.parquet", "NO", 12, none)}, obj{"add": broken})...)
	for condition, want := range map[string]string{
		`{"column":"n","lessThan":12}`:                            "a0@0 a1@1, 2 read, {Files:2 RowGroups:0 Rows:4}", // b by its row group
		`{"column":"n","in":[10,13]}`:                             "a0@0 b1@1, 4 read, {Files:1 RowGroups:0 Rows:2}",
		`{"column":"country","equals":"NO"}`:                      "a0@0 a1@1 b0@0 b1@1, 4 read, {Files:1 RowGroups:0 Rows:2}",
		`{"column":"seen","before":"2026-03-10T10:00:00.0005Z"}`:  "a0@0, 2 read, {Files:2 RowGroups:0 Rows:4}",
		`{"column":"seen","after":"2026-03-12T10:00:00.000399Z"}`: "",
		`{"column":"n","atLeast":100}`:                            ", 0 read, {Files:3 RowGroups:0 Rows:6}",
	} {
		s, err := Inspect(t.Context(), d.dir, selecting(t, condition))
		if want == "" {
			wantError(t, err, schemas.ErrorSegmentUnreadable, "c.parquet")
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", condition, err)
		}
		found, read := matching(t, s)
		if got := fmt.Sprintf("%s, %d read, %+v", found, read, s.Skipped()); got != want || s.Info().Rows != 6 {
			t.Errorf("%s: %s, want %s; %d rows", condition, got, want, s.Info().Rows)
		}
	}
	everything := selecting(t, `{"column":"n","lessThan":12}`)
	everything.Everything = true
	_, err := Inspect(t.Context(), d.dir, everything)
	wantError(t, err, schemas.ErrorSegmentUnreadable, "c.parquet")
	_, err = Inspect(t.Context(), d.dir, selecting(t, `{"column":"n","equals":"10"}`))
	wantError(t, err, schemas.ErrorColumn, `"n"`, "without quotes")
}

// TestDeletedRowsThatAreNotRead counts rows of row groups, of which some are deleted.
func TestDeletedRowsThatAreNotRead(t *testing.T) {
	d := newDelta(t)
	columns := emailColumn + `,{"name":"n","type":"long","nullable":true,"metadata":{}}`
	path := filepath.Join(d.dir, "a.parquet")
	rec := sorted(t)
	writeParquet(t, path, 2, []arrow.Record{rec})
	add := obj{"path": "a.parquet", "partitionValues": obj{}, "dataChange": true, "stats": `{"numRecords":8,"minValues":{"n":-4},"maxValues":{"n":3}}`}
	add["deletionVector"] = inlineVector(t, 1, 2, 6)
	d.commit(append(createTable(columns, nil, nil, "deletionVectors"), obj{"add": add})...)
	s := inspect(t, d.dir, selecting(t, `{"column":"n","atLeast":2}`))
	found, read := matching(t, s)
	if found != "7@7" || read != 1 || s.Skipped() != (schemas.Skipped{RowGroups: 3, Rows: 4}) || s.Info().Rows != 5 {
		t.Errorf("%q of %d rows of %d, not read: %+v", found, read, s.Info().Rows, s.Skipped())
	}
	s = inspect(t, d.dir, selecting(t, `{"column":"n","atLeast":4}`))
	if found, read = matching(t, s); found != "" || read != 0 || s.Skipped() != (schemas.Skipped{Files: 1, Rows: 5}) {
		t.Errorf("%q of %d rows, not read: %+v", found, read, s.Skipped())
	}
}

// inlineVector is a deletion vector of rows that lies in the log.
func inlineVector(t testing.TB, deleted ...uint64) obj {
	t.Helper()
	bitmap, err := roaring64.BitmapOf(deleted...).ToBytes()
	if err != nil {
		t.Fatal(err)
	}
	data := append(binary.LittleEndian.AppendUint32(nil, 1681511377), bitmap...)
	padded := data
	for len(padded)%4 != 0 {
		padded = append(padded, 0)
	}
	return obj{"storageType": "i", "pathOrInlineDv": z85(padded), "sizeInBytes": len(data), "cardinality": len(deleted)}
}
