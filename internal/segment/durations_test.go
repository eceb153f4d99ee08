package segment

import (
	"bytes"
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"iterable-segment-export/schemas"
)

// TestDurations reads lengths of time at every place of a Parquet file, which has
// them as numbers, and an Arrow schema or Spark's types in its footer. Arrow for Rust
// writes times in seconds, and UUIDs, so too.
func TestDurations(t *testing.T) {
	at := func(d, m, seconds, millis, clock arrow.DataType) []arrow.Field {
		id := typed("id", &arrow.FixedSizeBinaryType{ByteWidth: 16})
		id.Metadata = arrow.NewMetadata([]string{"ARROW:extension:name"}, []string{"arrow.uuid"})
		return []arrow.Field{
			str("email"), typed("at", seconds), typed("on", millis), typed("clock", clock), id, typed("ats", arrow.ListOf(seconds)), typed("d", d), typed("m", m), typed("n", arrow.PrimitiveTypes.Int64),
			typed("s", arrow.StructOf(typed("in", arrow.StructOf(typed("d", d))), typed("n", arrow.PrimitiveTypes.Int64))),
			typed("l", arrow.ListOf(d)), typed("ls", arrow.ListOf(arrow.StructOf(typed("d", d)))), typed("kv", arrow.MapOf(arrow.BinaryTypes.String, d)),
		}
	}
	const row = `[{"email":"a@x.com","at":1709211600,"on":1709164800000,"clock":46800,"id":"AAECAwQFBgcICQoLDA0ODw==","ats":[1709211600,null],"d":1,"m":14,"n":2,"s":{"in":{"d":3},"n":4},"l":[5,null],"ls":[{"d":6}],"kv":[{"key":"k","value":7}]}]`
	p := arrow.PrimitiveTypes
	rec := table(t, at(p.Int64, p.Int32, p.Int64, p.Int64, p.Int32), row)
	var stream bytes.Buffer
	if err := ipc.NewWriter(&stream, ipc.WithSchema(arrow.NewSchema(at(arrow.FixedWidthTypes.Duration_us, p.Int32, &arrow.TimestampType{Unit: arrow.Second, TimeZone: "Europe/Oslo"}, p.Date64, arrow.FixedWidthTypes.Time32s), nil))).Close(); err != nil {
		t.Fatal(err)
	}
	const second = `"interval day to second"`
	spark := `{"type":"struct","fields":[{"name":"email","type":"string"},{"name":"d","type":` + second + `},{"name":"m","type":"interval year to month"},{"name":"n","type":"long"},
		{"name":"s","type":{"type":"struct","fields":[{"name":"in","type":{"type":"struct","fields":[{"name":"d","type":` + second + `}]}},{"name":"n","type":"long"}]}},
		{"name":"l","type":{"type":"array","elementType":` + second + `}},{"name":"ls","type":{"type":"array","elementType":{"type":"struct","fields":[{"name":"d","type":` + second + `}]}}},
		{"name":"kv","type":{"type":"map","keyType":"string","valueType":` + second + `}}]}`
	for remark, c := range map[string]struct {
		value  string
		months arrow.Type
	}{
		"ARROW:schema": {base64.StdEncoding.EncodeToString(stream.Bytes()), arrow.INT32},
		"org.apache.spark.sql.parquet.row.metadata": {spark, arrow.INTERVAL_MONTHS},
		"another": {"x", arrow.INT32},
	} {
		var b bytes.Buffer
		w, err := pqarrow.NewFileWriter(rec.Schema(), &b, parquet.NewWriterProperties(), pqarrow.DefaultWriterProps())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
		if err := w.AppendKeyValueMetadata(remark, c.value); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "x")
		writeBytes(t, path, b.Bytes())
		s := inspect(t, path, Columns{Email: "email", Fields: schemas.Fields{All: true}})
		got := strings.Join(rows(t, s, Options{}), "|")
		const bare, base64 = "at=1709211600 on=1709164800000 clock=46800 ", "AAECAwQFBgcICQoLDA0ODw=="
		first := "email=a@x.com " + bare + "id=" + base64 + " ats=[1709211600,null] "
		if remark == "ARROW:schema" {
			first = `email=a@x.com at=2024-02-29 14:00:00+0100 on=2024-02-29 clock=13:00:00 id=00010203-0405-0607-0809-0a0b0c0d0e0f ats=["2024-02-29 13:00:00",null] `
		}
		want := first + `d=1us m=14 n=2 s={"in":{"d":"3us"},"n":4} l=["5us",null] ls=[{"d":"6us"}] kv=[{"key":"k","value":"7us"}] `
		if remark == "another" {
			want = first + `d=1 m=14 n=2 s={"in":{"d":3},"n":4} l=[5,null] ls=[{"d":6}] kv=[{"key":"k","value":7}] `
		}
		if id := s.Columns[7].Type.ID(); got != want || id != c.months {
			t.Errorf("%s: the months are %s,\n got %s\nwant %s", remark, id, got, want)
		}
	}
}
