package interop

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/mapping"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/schemas"
)

// file is a file that a writer has made of the first rows of the formulas below.
type file struct {
	Writer, File, Codec, Pages, Encoding string
	Columns                              []string // the first is email
}

// cell is the JSON that a column's value of row i is sent as, empty where it is
// null. npm/write.mjs and parquetgo_test.go have the same formulas.
func cell(column string, i int) string {
	if i%7 == 3 {
		return ""
	}
	n := int64(i)
	float := func(x float64, bits int) string {
		s := strconv.FormatFloat(x, 'f', -1, bits)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	switch column {
	case "s":
		return fmt.Sprintf(`"Café %d %s"`, i%11, strings.Repeat("x", i%40))
	case "i32":
		return fmt.Sprint(i - 100)
	case "i64":
		return fmt.Sprint(n*10_000_000_007 - 5)
	case "f32":
		return float(float64(i)*1.5, 32)
	case "f64":
		return float(float64(i)/3, 64)
	case "b":
		return fmt.Sprint(i%2 == 0)
	case "d":
		return time.Date(2020, 1, 1+i, 0, 0, 0, 0, time.UTC).Format(`"2006-01-02"`)
	case "ts":
		return time.Date(2024, 1, 1, 0, 0, 3601*i, 0, time.UTC).Format(`"2006-01-02 15:04:05 +00:00"`)
	case "dec", "wide":
		return fmt.Sprintf("%d.%02d", n*125/100, n*125%100)
	case "lst":
		return fmt.Sprintf("[%d,%d]", i, i+1)
	case "st":
		return fmt.Sprintf(`{"city":"C%d","zip":%d}`, i%5, i)
	case "id":
		return fmt.Sprintf(`"00000000-0000-0000-0000-%012d"`, i)
	case "iv":
		if i == 0 {
			return `"PT0S"`
		}
		return fmt.Sprintf(`"P%dD"`, i)
	case "bytes":
		return fmt.Sprintf(`"S%d"`, i)
	case "m":
		return fmt.Sprintf(`{"k":%d}`, i)
	case "t":
		return time.Unix(n%86400, 0).UTC().Format(`"15:04:05"`)
	case "u8":
		return fmt.Sprint(i % 200)
	}
	panic("no column " + column)
}

// check reads a file and compares each of its cells.
func check(t *testing.T, path string, f file, rows int) error {
	t.Helper()
	columns := segment.Columns{Email: f.Columns[0]}
	for _, c := range f.Columns[1:] {
		columns.Fields.List = append(columns.Fields.List, schemas.Field{Column: c})
	}
	s, err := segment.Inspect(t.Context(), path, columns)
	if err != nil {
		return err
	}
	var mapped []mapping.Column
	for i, c := range s.Columns[1:] {
		mapped = append(mapped, mapping.Column{Index: i + 1, Name: c.Name, As: c.Field.As, Type: c.Type})
	}
	m, err := mapping.Compile(mapped, mapping.Options{OnInvalid: schemas.InvalidReject})
	if err != nil {
		return err
	}
	row := 0
	for b, err := range s.Read(t.Context(), segment.Options{BatchRows: 1000}) {
		if err != nil {
			return err
		}
		if err := m.Bind(b.Record); err != nil {
			return err
		}
		emails, err := segment.NewStringColumn(b.Column(0))
		if err != nil {
			return err
		}
		for i := range int(b.NumRows()) {
			address, _ := emails.Bytes(i)
			fields, invalid := m.Append(nil, i)
			if invalid != nil {
				return fmt.Errorf("row %d: column %q: the value %s", row, invalid.Column, invalid.Problem)
			}
			if got, want := fmt.Sprintf("%s %s", address, fields), line(f.Columns, row); got != want {
				return fmt.Errorf("row %d:\n got %s\nwant %s", row, got, want)
			}
			row++
		}
	}
	if row != rows {
		return fmt.Errorf("%d rows", row)
	}
	return nil
}

// line is a row as it is to be sent.
func line(columns []string, row int) string {
	var cells []string
	for _, c := range columns[1:] {
		if v := cell(c, row); v != "" {
			cells = append(cells, fmt.Sprintf("%q:%s", c, v))
		}
	}
	return fmt.Sprintf("user%d@example.com {%s}", row, strings.Join(cells, ","))
}
