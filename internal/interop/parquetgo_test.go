package interop

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding"
)

// row is a row of parquet-go. All optional values are null in the same rows.
type row struct {
	Email string   `parquet:"email"`
	S     *string  `parquet:"s"`
	I32   *int32   `parquet:"i32"`
	I64   *int64   `parquet:"i64"`
	F32   *float32 `parquet:"f32"`
	F64   *float64 `parquet:"f64"`
	B     *bool    `parquet:"b"`
	D     *int32   `parquet:"d"`
	TS    *int64   `parquet:"ts"`
}

// encodings are those of numbers, floats and texts.
var encodings = map[string][3]encoding.Encoding{
	"plain":                    {&parquet.Plain, &parquet.Plain, &parquet.Plain},
	"dictionary":               {&parquet.RLEDictionary, &parquet.RLEDictionary, &parquet.RLEDictionary},
	"delta, byte stream split": {&parquet.DeltaBinaryPacked, &parquet.ByteStreamSplit, &parquet.DeltaLengthByteArray},
	"delta of bytes":           {&parquet.ByteStreamSplit, &parquet.ByteStreamSplit, &parquet.DeltaByteArray},
}

func schemaOf(e [3]encoding.Encoding) *parquet.Schema {
	some := func(n parquet.Node, e encoding.Encoding) parquet.Node { return parquet.Optional(parquet.Encoded(n, e)) }
	return parquet.NewSchema("row", parquet.Group{
		"email": parquet.Encoded(parquet.String(), e[2]), "s": some(parquet.String(), e[2]),
		"i32": some(parquet.Int(32), e[0]), "i64": some(parquet.Int(64), e[0]),
		"f32": some(parquet.Leaf(parquet.FloatType), e[1]), "f64": some(parquet.Leaf(parquet.DoubleType), e[1]),
		"b": parquet.Optional(parquet.Leaf(parquet.BooleanType)), "d": some(parquet.Date(), e[0]), "ts": some(parquet.Timestamp(parquet.Microsecond), e[0]),
	})
}

// given are the values of a row, as the formulas of cell have them.
func given(i int) (r row) {
	r.Email = fmt.Sprintf("user%d@example.com", i)
	if i%7 == 3 {
		return r
	}
	s, i32, i64, f32, f64, b := fmt.Sprintf("Café %d %s", i%11, strings.Repeat("x", i%40)), int32(i-100), int64(i)*10_000_000_007-5, float32(i)*1.5, float64(i)/3, i%2 == 0
	d, ts := int32(time.Date(2020, 1, 1+i, 0, 0, 0, 0, time.UTC).Unix()/86400), time.Date(2024, 1, 1, 0, 0, 3601*i, 0, time.UTC).UnixMicro()
	return row{r.Email, &s, &i32, &i64, &f32, &f64, &b, &d, &ts}
}

// TestParquetGo reads what parquet-go writes, in small pages and three row groups.
func TestParquetGo(t *testing.T) {
	rows := rowsOf(t)
	for codec, c := range map[string]compress.Codec{
		"uncompressed": &parquet.Uncompressed, "snappy": &parquet.Snappy, "gzip": &parquet.Gzip, "brotli": &parquet.Brotli, "zstd": &parquet.Zstd, "lz4_raw": &parquet.Lz4Raw,
	} {
		for version := 1; version <= 2; version++ {
			for name, e := range encodings {
				path := filepath.Join(t.TempDir(), "x.parquet")
				f, err := os.Create(path)
				if err != nil {
					t.Fatal(err)
				}
				w := parquet.NewGenericWriter[row](f, schemaOf(e), parquet.Compression(c), parquet.DataPageVersion(version), parquet.PageBufferSize(4096), parquet.MaxRowsPerRowGroup(int64(rows)/3+1))
				for i := range rows {
					if _, err := w.Write([]row{given(i)}); err != nil {
						t.Fatal(err)
					}
				}
				if err := errors.Join(w.Close(), f.Close()); err != nil {
					t.Fatal(err)
				}
				columns := []string{"email", "s", "i32", "i64", "f32", "f64", "b", "d", "ts"}
				compare(t, path, file{Writer: "parquet-go", Codec: codec, Pages: fmt.Sprintf("V%d", version), Encoding: name, Columns: columns}, rows)
			}
		}
	}
}
