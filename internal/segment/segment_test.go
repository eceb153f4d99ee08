package segment

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/schemas"
)

// table is a record made from JSON.
func table(t testing.TB, fields []arrow.Field, json string) arrow.Record {
	t.Helper()
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, arrow.NewSchema(fields, nil), strings.NewReader(json))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func str(name string) arrow.Field {
	return arrow.Field{Name: name, Type: arrow.BinaryTypes.String, Nullable: true}
}

func typed(name string, dt arrow.DataType) arrow.Field {
	return arrow.Field{Name: name, Type: dt, Nullable: true}
}

func TestColumnsAreFound(t *testing.T) {
	fields := []arrow.Field{str("Email"), str("EMAIL"), str("City"), str("a.b"), typed("a", arrow.StructOf(str("b"), str("c"), typed("d.e", arrow.StructOf(str("f")))))}
	for asked, want := range map[string]string{
		"Email": "Email", "EMAIL": "EMAIL", "city": "City", "a.b": "a.b", "a.c": "a.c", "A.C": "a.c", "a": "a", "a.d.e.f": "a.d.e.f", "a.d.e": "a.d.e",
	} {
		path, err := resolve(fields, asked)
		if err != nil {
			t.Errorf("%q: %v", asked, err)
		} else if got, _ := columnar.At(fields, path); got != want {
			t.Errorf("%q is %q, not %q", asked, got, want)
		}
	}
	for asked, words := range map[string][]string{
		"email":  {"more than one", `"Email"`, `"EMAIL"`},
		"phone":  {"no such column", `"Email", "EMAIL", "City", "a.b", "a", "a.b"`, `"a.d.e.f"`},
		"City.x": {"no such column"},
		"a.":     {"no such column"},
		"":       {"no such column"},
	} {
		_, err := resolve(fields, asked)
		wantError(t, err, schemas.ErrorColumn, words...)
	}
}

func TestFilesOfASegmentMayDiffer(t *testing.T) {
	dir := t.TempDir()
	dict := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	writeParquet(t, filepath.Join(dir, "year=2026/a.parquet"), 10, []arrow.Record{table(t, []arrow.Field{str("email"), typed("id", arrow.PrimitiveTypes.Int64), str("note")}, `[{"email":"a@x.com","id":1,"note":"n"}]`)})
	writeIPCFile(t, filepath.Join(dir, "year=2026/b.arrow"), []arrow.Record{table(t, []arrow.Field{typed("note", arrow.FixedWidthTypes.Boolean), typed("id", arrow.PrimitiveTypes.Int32), typed("EMAIL", arrow.BinaryTypes.LargeString)}, `[{"EMAIL":"b@x.com","id":2}]`)})
	writeStream(t, filepath.Join(dir, "year=2027/c"), []arrow.Record{table(t, []arrow.Field{typed("Email", dict), typed("id", arrow.PrimitiveTypes.Uint8)}, `[{"Email":"c@x.com","id":3}]`)})
	writeIPCFile(t, filepath.Join(dir, "year=2027/d"), []arrow.Record{table(t, []arrow.Field{typed("email", arrow.BinaryTypes.Binary), typed("id", arrow.Null)}, `[{"email":"ZEB4LmNvbQ==","id":null}]`)})
	writeBytes(t, filepath.Join(dir, "_SUCCESS"), nil)
	s := inspect(t, dir, Columns{Email: "email", UserID: "id"})
	if got := strings.Join(s.Files(), " "); got != "year=2026/a.parquet year=2026/b.arrow year=2027/c year=2027/d" {
		t.Errorf("files %s", got)
	}
	if info := s.Info(); info.Files != 4 || info.Rows != -1 || info.RowGroups != 4 || info.Bytes == 0 || len(info.Fingerprint) != 64 {
		t.Errorf("info %+v", info)
	}
	var got []string
	for b, err := range s.Read(t.Context(), Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		email, err := NewStringColumn(b.Column(0))
		if err != nil {
			t.Fatal(err)
		}
		id, err := NewStringColumn(b.Column(1))
		if err != nil {
			t.Fatal(err)
		}
		e, _ := email.Bytes(0)
		i, ok := id.Bytes(0)
		if !ok {
			i = []byte("-")
		}
		got = append(got, s.Files()[b.File]+" "+string(e)+" "+string(i))
	}
	want := "year=2026/a.parquet a@x.com 1,year=2026/b.arrow b@x.com 2,year=2027/c c@x.com 3,year=2027/d d@x.com -"
	if strings.Join(got, ",") != want {
		t.Errorf("%v", got)
	}
}

func TestColumnsThatDoNotFit(t *testing.T) {
	first := []arrow.Field{str("email"), str("city"), typed("n", arrow.PrimitiveTypes.Int64)}
	for name, c := range map[string]struct {
		second []arrow.Field
		want   Columns
		words  []string
	}{
		"no e-mail column":    {[]arrow.Field{str("mail"), str("city")}, Columns{Email: "email"}, []string{"file b:", `"email"`, "no such column", `"mail", "city"`}},
		"a field is missing":  {[]arrow.Field{str("email")}, Columns{Email: "email", Fields: schemas.Fields{List: []schemas.Field{{Column: "city"}}}}, []string{"file b:", `"city"`}},
		"another kind":        {[]arrow.Field{str("email"), typed("city", arrow.PrimitiveTypes.Int64)}, Columns{Email: "email", Fields: schemas.Fields{List: []schemas.Field{{Column: "city"}}}}, []string{"file b:", `"city"`, "int64", "utf8", "file a"}},
		"a number as address": {[]arrow.Field{typed("email", arrow.PrimitiveTypes.Int64)}, Columns{Email: "email"}, []string{"file b:", "int64", "e-mail"}},
		"a float as user id":  {[]arrow.Field{str("email"), typed("n", arrow.PrimitiveTypes.Float64)}, Columns{UserID: "n"}, []string{"file b:", "float64", "user ID"}},
		"two of one name":     {[]arrow.Field{str("email"), str("x"), str("x")}, Columns{Email: "email", Fields: schemas.Fields{All: true}}, []string{"file b:", `"x"`, "more than one"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeIPCFile(t, filepath.Join(dir, "a"), []arrow.Record{table(t, first, `[{}]`)})
			writeIPCFile(t, filepath.Join(dir, "b"), []arrow.Record{table(t, c.second, `[]`)})
			_, err := Inspect(t.Context(), dir, c.want)
			wantError(t, err, schemas.ErrorColumn, c.words...)
		})
	}
	_, err := Inspect(t.Context(), t.TempDir(), Columns{Email: "email"})
	wantError(t, err, schemas.ErrorSegmentNotFound)
	_, err = Inspect(t.Context(), filepath.Join(t.TempDir(), "x"), Columns{Email: "email"})
	wantError(t, err, schemas.ErrorSegmentNotFound)
	path := filepath.Join(t.TempDir(), "a")
	writeIPCFile(t, path, []arrow.Record{table(t, first, `[{}]`)})
	_, err = Inspect(t.Context(), path, Columns{})
	wantError(t, err, schemas.ErrorBadExport)
}

func TestAllFields(t *testing.T) {
	dir := t.TempDir()
	writeIPCFile(t, filepath.Join(dir, "a"), []arrow.Record{table(t, []arrow.Field{str("x"), str("Email"), typed("n", arrow.PrimitiveTypes.Int64)}, `[{"x":"1","Email":"a","n":2}]`)})
	writeParquet(t, filepath.Join(dir, "b"), 9, []arrow.Record{table(t, []arrow.Field{str("y"), str("email"), str("x")}, `[{"x":"3","email":"b","y":"4"}]`)})
	got := rows(t, inspect(t, dir, Columns{Email: "email", Fields: schemas.Fields{All: true}}), Options{})
	want := "Email=a x=1 n=2 y=(null) |Email=b x=3 n=(null) y=4 "
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("%s", s)
	}
}

func TestEmptyFiles(t *testing.T) {
	dir := t.TempDir()
	writeParquet(t, filepath.Join(dir, "a"), 1, []arrow.Record{emails(t)})
	writeIPCFile(t, filepath.Join(dir, "b"), []arrow.Record{emails(t)})
	writeStream(t, filepath.Join(dir, "c"), []arrow.Record{emails(t)})
	writeParquet(t, filepath.Join(dir, "d"), 1, []arrow.Record{emails(t, "a@x.com")})
	if got := rows(t, inspect(t, dir, Columns{Email: "email"}), Options{}); len(got) != 1 {
		t.Errorf("%v", got)
	}
	s := inspect(t, filepath.Join(dir, "[ab]"), Columns{Email: "email"})
	if s.Info().Rows != 0 || len(rows(t, s, Options{})) != 0 {
		t.Errorf("%+v", s.Info())
	}
}

func TestChangedFiles(t *testing.T) {
	for name, write := range writers {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, profiles(t, 0, 3000))
			files, _ := filepath.Glob(filepath.Join(dir, "*"))
			before, err := os.Stat(files[0])
			if err != nil {
				t.Fatal(err)
			}
			want := Columns{Email: "EmailAddress", Fields: schemas.Fields{All: true}}
			s := inspect(t, dir, want)

			// Between the steps: even one with the same size and time.
			data, _ := os.ReadFile(files[0])
			for _, c := range []func(){
				func() { writeBytes(t, files[0], data[:len(data)-100]) },
				func() { write(t, dir, profiles(t, 1, 3000)) },
				func() { os.Remove(files[0]) },
			} {
				c()
				wantError(t, readErr(s.Read(t.Context(), Options{})), schemas.ErrorSegmentChanged, filepath.Base(files[0]))
			}
			write(t, dir, profiles(t, 1, 3000))
			if err := os.Chtimes(files[0], time.Time{}, before.ModTime().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			wantError(t, inspect(t, dir, want).CheckFingerprint(s.Info().Fingerprint), schemas.ErrorSegmentChanged)

			// In the middle of the reading.
			s = inspect(t, dir, want)
			if err := s.CheckFingerprint(s.Info().Fingerprint); err != nil {
				t.Fatal(err)
			}
			batches := 0
			for _, err = range s.Read(t.Context(), Options{BatchRows: 8, Ahead: 1}) {
				if batches++; batches == 1 && err == nil {
					if err := os.Chtimes(files[0], time.Time{}, before.ModTime().Add(2*time.Hour)); err != nil {
						t.Fatal(err)
					}
				}
			}
			wantError(t, err, schemas.ErrorSegmentChanged, filepath.Base(files[0]))
		})
	}
}

func TestReadingCanBeStopped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	writeParquet(t, path, 100, []arrow.Record{profiles(t, 0, 2000)})
	s := inspect(t, path, Columns{Email: "EmailAddress"})
	for _, err := range s.Read(t.Context(), Options{BatchRows: 8}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var err error
	for _, err = range s.Read(ctx, Options{BatchRows: 8}) {
		cancel()
	}
	var e *Error
	if !errors.Is(err, context.Canceled) || !errors.As(err, &e) || e.Type != "" {
		t.Errorf("%v", err)
	}
}

func TestStringColumn(t *testing.T) {
	dict := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint16, ValueType: arrow.BinaryTypes.String}
	for _, c := range []struct {
		dt         arrow.DataType
		json, want string
	}{
		{arrow.BinaryTypes.String, `[{"c":"x"},{"c":"a@x"},{"c":null},{"c":""}]`, "a@x,-,"},
		{arrow.BinaryTypes.LargeString, `[{"c":"x"},{"c":"a@x"},{"c":null},{"c":""}]`, "a@x,-,"},
		{arrow.BinaryTypes.Binary, `[{"c":"eA=="},{"c":"YUB4"},{"c":null},{"c":""}]`, "a@x,-,"},
		{&arrow.FixedSizeBinaryType{ByteWidth: 3}, `[{"c":"YUB4"},{"c":"YUB4"},{"c":null},{"c":"YUB5"}]`, "a@x,-,a@y"},
		{dict, `[{"c":"x"},{"c":"a@x"},{"c":null},{"c":"x"}]`, "a@x,-,x"},
		{arrow.PrimitiveTypes.Int64, `[{"c":1},{"c":-9223372036854775808},{"c":null},{"c":12}]`, "-9223372036854775808,-,12"},
		{arrow.PrimitiveTypes.Uint64, `[{"c":1},{"c":9223372036854775808},{"c":null},{"c":12}]`, "9223372036854775808,-,12"},
		{&arrow.Decimal128Type{Precision: 38}, `[{"c":"1"},{"c":"-12345678901234567890123456789012345678"},{"c":null},{"c":"12"}]`, "-12345678901234567890123456789012345678,-,12"},
		{arrow.Null, `[{"c":null},{"c":null},{"c":null},{"c":null}]`, "-,-,-"},
	} {
		rec := table(t, []arrow.Field{typed("c", c.dt)}, c.json).NewSlice(1, 4)
		col, err := NewStringColumn(rec.Column(0))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range col.Len() {
			if v, ok := col.Bytes(i); ok {
				got = append(got, string(v))
			} else {
				got = append(got, "-")
			}
		}
		if s := strings.Join(got, ","); s != c.want {
			t.Errorf("%s: %s", c.dt, s)
		}
		if n := testing.AllocsPerRun(100, func() { col.Bytes(0) }); n != 0 && c.dt.ID() != arrow.DECIMAL {
			t.Errorf("%s: %v allocations a value", c.dt, n)
		}
	}
	if _, err := NewStringColumn(table(t, []arrow.Field{typed("c", arrow.PrimitiveTypes.Float64)}, `[{"c":1}]`).Column(0)); err == nil {
		t.Error("a float is accepted as a string")
	}
}

func TestLargeValues(t *testing.T) {
	large := "\x00" + strings.Repeat("x", 20<<20)
	rec := emails(t, large, "a", large, large)
	for name, write := range map[string]func(path string){
		"parquet": func(path string) { writeParquet(t, path, 1<<20, []arrow.Record{rec}) },
		"arrow":   func(path string) { writeIPCFile(t, path, []arrow.Record{rec}) },
	} {
		path := filepath.Join(t.TempDir(), name)
		write(path)
		n, records := 0, 0
		for b, err := range inspect(t, path, Columns{Email: "email"}).Read(t.Context(), Options{}) {
			if err != nil {
				t.Fatal(err)
			}
			records++
			col, err := NewStringColumn(b.Column(0))
			if err != nil {
				t.Fatal(err)
			}
			for i := range col.Len() {
				v, _ := col.Bytes(i)
				n += len(v)
			}
		}
		if n != 3*len(large)+1 || name == "arrow" && records < 2 {
			t.Errorf("%s: %d bytes in %d records", name, n, records)
		}
	}
}
