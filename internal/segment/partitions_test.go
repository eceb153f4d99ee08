package segment

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

func TestHivePartitions(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, fields ...arrow.Field) {
		json := `[{"email":"` + strings.ToLower(filepath.Base(name)) + `@x.com"}]`
		writeParquet(t, filepath.Join(dir, name), 10, []arrow.Record{table(t, append([]arrow.Field{str("email")}, fields...), json)})
	}
	write("country=NO/n=01/day=2026-11-25/share=0.5/a")
	write("country=S%2FE/n=10/day=2026-11-26/share=2/b", str("country")) // which is null in the file
	write("country=__HIVE_DEFAULT_PARTITION__/n=__HIVE_DEFAULT_PARTITION__/day=2026-11-27/share=3/c")
	write("_year=2026/country=DK/n=3/day=2026-11-27/share=4/d")
	for _, c := range []struct {
		want Columns
		rows string
	}{
		{Columns{Email: "email", Fields: schemas.Fields{All: true}}, "email=d@x.com _year=2026 country=DK n=3 day=2026-11-27 share=4 " +
			"|email=a@x.com _year=(null) country=NO n=1 day=2026-11-25 share=0.5 " +
			"|email=b@x.com _year=(null) country=S/E n=10 day=2026-11-26 share=2 " +
			"|email=c@x.com _year=(null) country=(null) n=(null) day=2026-11-27 share=3 "},
		{Columns{Email: "email", UserID: "n", Fields: schemas.Fields{List: []schemas.Field{{Column: "Country"}, {Column: "share", Type: "string"}}}},
			"email=d@x.com n=3 country=DK share=4 |email=a@x.com n=01 country=NO share=0.5 |email=b@x.com n=10 country=S/E share=2 |email=c@x.com n=(null) country=(null) share=3 "},
	} {
		s := inspect(t, dir, c.want)
		if got := strings.Join(rows(t, s, Options{}), "|"); got != c.rows {
			t.Errorf("\n got %s\nwant %s", got, c.rows)
		}
	}
	s := inspect(t, dir, Columns{Email: "email", Fields: schemas.Fields{All: true}})
	for _, c := range s.Columns {
		if want := map[string]columnar.Kind{"n": columnar.KindNumber, "day": columnar.KindDate, "share": columnar.KindNumber, "country": columnar.KindText, "_year": columnar.KindNumber, "email": columnar.KindText}[c.Name]; columnar.KindOf(c.Type) != want {
			t.Errorf("%s is %s", c.Name, c.Type)
		}
	}
	write("n=1/e")
	_, err := Inspect(t.Context(), dir, Columns{Email: "email", Fields: schemas.Fields{List: []schemas.Field{{Column: "country"}}}})
	wantError(t, err, schemas.ErrorColumn, "n=1/e", `"country"`)
}

// TestPartitionsBesideColumnsInOtherCase: neither replaces the other, and a warning says which is
// read.
func TestPartitionsBesideColumnsInOtherCase(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"id=7/a.parquet", "id=8/b.parquet"} {
		writeParquet(t, filepath.Join(dir, name), 10, []arrow.Record{table(t, []arrow.Field{str("email"), str("Id"), str("town")}, `[{"email":"a@x.com","Id":"x","town":"Oslo"}]`)})
	}
	for _, c := range []struct {
		want          Columns
		rows, warning string
	}{
		{Columns{Email: "email", UserID: "id", Fields: schemas.Fields{All: true}}, "email=a@x.com id=7 Id=x town=Oslo ", `the run reads both`},
		{Columns{Email: "email", Fields: schemas.Fields{List: []schemas.Field{{Column: "Id"}}}}, "email=a@x.com Id=x ", `the run reads "Id"`},
		{Columns{Email: "email", Fields: schemas.Fields{List: []schemas.Field{{Column: "id"}}}}, "email=a@x.com id=7 ", `the run reads "id"`},
		{Columns{Email: "email", Fields: schemas.Fields{List: []schemas.Field{{Column: "town"}}}}, "email=a@x.com town=Oslo ", ""},
	} {
		s := inspect(t, dir, c.want)
		if got := rows(t, s, Options{}); got[0] != c.rows {
			t.Errorf("%s, want %s", got[0], c.rows)
		}
		if w := s.Warnings(); c.warning == "" && len(w) > 0 || c.warning != "" && (len(w) != 1 || !strings.Contains(w[0], c.warning) || !strings.Contains(w[0], `"Id"`) || !strings.Contains(w[0], `"id"`)) {
			t.Errorf("%q, want %s", w, c.warning)
		}
	}
	_, err := Inspect(t.Context(), dir, Columns{Email: "email", UserID: "ID"})
	wantError(t, err, schemas.ErrorColumn, `"ID"`)
}

// TestPartitionTypes: all values of a column are kept, to their last digit.
func TestPartitionTypes(t *testing.T) {
	for _, c := range []struct{ values, want string }{
		{"5 2026-01-01", "5 2026-01-01"},
		{"2026-01-01 5", "2026-01-01 5"},
		{"12345678901234567890 7", "12345678901234567890 7"},
		{"7 -99999999999999999999999999999999999999", "7 -99999999999999999999999999999999999999"},
		{"123456789012345678901234567890123456789 07", "123456789012345678901234567890123456789 07"},
		{"0.5 12345678901234567890", "0.5 12345678901234567890"},
		{"12345678901234567890 0.5", "12345678901234567890 0.5"},
		{"0.12345678901234567 3", "0.12345678901234567 3"},
		{"9007199254740993 0.5", "9007199254740993 0.5"},
		{"03 __HIVE_DEFAULT_PARTITION__", "3 (null)"},
		{"1.50 -2", "1.5 -2"},
		{"+5 6", "+5 6"},
		{"1.5.5 2", "1.5.5 2"},
		{"2026-01-01_at_08:15:30 2026-01-01_at_00:00:00.5", "2026-01-01 08:15:30Z 2026-01-01 00:00:00.5Z"},
		{"2026-01-01_at_00:00:00.123456 2026-01-01_at_00:00:00,25", "2026-01-01 00:00:00.123456Z 2026-01-01 00:00:00.25Z"},
		{"2026-01-01_at_00:00:00.1234567 2026-01-01_at_00:00:00", "2026-01-01 00:00:00.1234567 2026-01-01 00:00:00"},
		{"2026-01-01_at_00:00:00.123456789", "2026-01-01 00:00:00.123456789"},
		{"2026-01-01 2026-01-01_at_00:00:00", "2026-01-01 2026-01-01 00:00:00"},
		{"2026-01-01 __HIVE_DEFAULT_PARTITION__ 2026-01-02", "2026-01-01 (null) 2026-01-02"},
	} {
		var objects []storage.Object
		for _, v := range strings.Fields(c.values) {
			objects = append(objects, storage.Object{Name: "p=" + strings.ReplaceAll(v, "_at_", " ") + "/a"})
		}
		var got []string
		for _, values := range partitions(objects, nil) {
			got = append(got, values[0].value.ValueStr(0))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s is %s, want %s", c.values, s, c.want)
		}
	}
}

// TestSourceThatIsAPartition has the columns that it has as a part of the whole.
func TestSourceThatIsAPartition(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"team=x/seg/year=2026/country=N%2FO/a.parquet", "team=x/seg/year=2026/country=N%2FO/month=03/b.parquet"} {
		writeParquet(t, filepath.Join(dir, name), 10, []arrow.Record{emails(t, filepath.Base(name)+"@x.com")})
	}
	for source, want := range map[string]string{
		"year=2026/country=N%2FO/month=03":           "email=b.parquet@x.com year=2026 country=N/O month=3 ",
		"year=2026/country=N%2FO/month=03/b.parquet": "email=b.parquet@x.com year=2026 country=N/O month=3 ",
		"year=2026/country=N%2FO/*.parquet":          "email=a.parquet@x.com year=2026 country=N/O ",
		"year=2026/c*/*.parquet":                     "email=a.parquet@x.com year=2026 country=N/O ",
		"year=*/c*/*.parquet":                        "email=a.parquet@x.com year=2026 country=N/O ",
	} {
		if got := allOf(t, filepath.Join(dir, "team=x/seg", source)); got != want {
			t.Errorf("%s: %s", source, got)
		}
	}
	// A number is one with zeros before it.
	s := inspect(t, filepath.Join(dir, "team=x/seg/year=2026/country=N%2FO/month=03"), Columns{Email: "email", Fields: schemas.Fields{List: []schemas.Field{{Column: "month", Type: "number"}}}})
	if got := rows(t, s, Options{}); columnar.KindOf(s.Columns[1].Type) != columnar.KindNumber || got[0] != "email=b.parquet@x.com month=3 " {
		t.Errorf("%s: %s", s.Columns[1].Type, got)
	}
}

func TestStrayFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"README.md", "a.parquet", "sub/.hidden", "sub/a.parquet.crc", "sub/notes.TXT", "_SUCCESS"} {
		if strings.HasSuffix(name, ".parquet") {
			writeParquet(t, filepath.Join(dir, name), 10, []arrow.Record{table(t, []arrow.Field{str("email"), typed("__index_level_0__", arrow.PrimitiveTypes.Int64)}, `[{"email":"a@x.com"}]`)})
		} else {
			writeBytes(t, filepath.Join(dir, name), []byte("x"))
		}
	}
	s := inspect(t, dir, Columns{Email: "email", Fields: schemas.Fields{All: true}})
	if got := rows(t, s, Options{}); len(got) != 1 || got[0] != "email=a@x.com " {
		t.Errorf("%q", got)
	}
	if w := strings.Join(s.Warnings(), "\n"); !strings.Contains(w, "README.md, sub/a.parquet.crc, sub/notes.TXT") || !strings.Contains(w, "__index_level_0__") {
		t.Errorf("warnings: %s", w)
	}
	if got := rows(t, inspect(t, dir, Columns{Email: "email", Fields: schemas.Fields{List: []schemas.Field{{Column: "__index_level_0__", As: "n"}}}}), Options{}); len(got) != 1 {
		t.Errorf("the index by its name: %q", got)
	}
	// What could be data is refused by name, as is an empty file.
	for name, data := range map[string]string{"z.csv": "a,b\n", "z.parquet": ""} {
		path := filepath.Join(dir, name)
		writeBytes(t, path, []byte(data))
		_, err := Inspect(t.Context(), dir, Columns{Email: "email"})
		wantError(t, err, schemas.ErrorSegmentUnreadable, name)
		writeParquet(t, path, 10, []arrow.Record{emails(t)})
	}
	only := filepath.Join(t.TempDir(), "README.md")
	writeBytes(t, only, []byte("x"))
	_, err := Inspect(t.Context(), filepath.Dir(only), Columns{Email: "email"})
	wantError(t, err, schemas.ErrorSegmentUnreadable, "README.md")
}
