package segment

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/metadata"
	"github.com/apache/arrow/go/v15/parquet/schema"

	"iterable-segment-export/schemas"
)

// TestOldCalendars reads the days of 1500-01-01 and 2024-02-29 as writers with the Julian calendar
// store them. The first is 1500-01-10 in today's calendar, which the others mean by it.
func TestOldCalendars(t *testing.T) {
	const (
		old, now = "1500-01-01", "1500-01-10"
		spark    = "org.apache.spark.version"
	)
	for name, c := range map[string]struct {
		metadata  []string // keys and values
		date, i96 string
	}{
		"a writer that does not say so":    {nil, now, now},
		"Spark 2.4":                        {[]string{spark, "2.4.8"}, old, old},
		"Spark before 2.4.6":               {[]string{"org.apache.spark.sql.parquet.row.metadata", "{}"}, old, old},
		"Spark 3.0":                        {[]string{spark, "3.0.3"}, now, old},
		"Spark 3.5":                        {[]string{spark, "3.5.1"}, now, now},
		"Spark 3.5 in legacy mode":         {[]string{spark, "3.5.1", "org.apache.spark.legacyDateTime", ""}, old, now},
		"Spark 3.5 in legacy mode, INT96":  {[]string{spark, "3.5.1", "org.apache.spark.legacyINT96", ""}, now, old},
		"Hive with the calendar of before": {[]string{"writer.date.proleptic", "false"}, old, old},
		"Hive with today's calendar":       {[]string{"writer.date.proleptic", "true"}, now, now},
	} {
		path := filepath.Join(t.TempDir(), "x.parquet")
		writeBytes(t, path, oldDates(t, c.metadata))
		got := strings.Join(rows(t, inspect(t, path, Columns{UserID: "id", Fields: schemas.Fields{All: true}}), Options{}), "|")
		want := "id=1 date=" + c.date + " at=" + c.date + " 12:00:00Z i96=" + c.i96 + " 12:00:00Z |id=2 date=2024-02-29 at=2024-02-29 12:00:00Z i96=2024-02-29 12:00:00Z "
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

// oldDates is a file with the same two days as DATE, TIMESTAMP and INT96.
func oldDates(t *testing.T, pairs []string) []byte {
	t.Helper()
	column := func(name string, l schema.LogicalType, p parquet.Type) schema.Node {
		n, err := schema.NewPrimitiveNodeLogical(name, parquet.Repetitions.Required, l, p, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	none := schema.NoLogicalType{}
	root, err := schema.NewGroupNode("schema", parquet.Repetitions.Required, schema.FieldList{
		column("id", none, parquet.Types.Int32), column("date", schema.DateLogicalType{}, parquet.Types.Int32),
		column("at", schema.NewTimestampLogicalType(true, schema.TimeUnitMicros), parquet.Types.Int64), column("i96", none, parquet.Types.Int96),
	}, -1)
	if err != nil {
		t.Fatal(err)
	}
	const epoch, halfDay = 2440588, 12 * time.Hour // the Julian day of 1970-01-01
	var days, ids []int32
	var moments []int64
	var int96s []parquet.Int96
	for i, date := range []time.Time{time.Date(1500, 1, 10, 12, 0, 0, 0, time.UTC), time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)} {
		day := (date.Unix() - int64(halfDay.Seconds())) / (24 * 60 * 60)
		ids, days, moments = append(ids, int32(i+1)), append(days, int32(day)), append(moments, date.UnixMicro())
		var v parquet.Int96
		binary.LittleEndian.PutUint64(v[:], uint64(halfDay))
		binary.LittleEndian.PutUint32(v[8:], uint32(day+epoch))
		int96s = append(int96s, v)
	}
	var b bytes.Buffer
	kv := metadata.NewKeyValueMetadata()
	for i := 0; i < len(pairs); i += 2 {
		if err := kv.Append(pairs[i], pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	w := file.NewParquetWriter(&b, root, file.WithWriteMetadata(kv))
	group := w.AppendRowGroup()
	for range 4 {
		c, err := group.NextColumn()
		if err != nil {
			t.Fatal(err)
		}
		switch c := c.(type) {
		case *file.Int32ColumnChunkWriter:
			values := ids
			if c.Descr().Name() == "date" {
				values = days
			}
			_, err = c.WriteBatch(values, nil, nil)
		case *file.Int64ColumnChunkWriter:
			_, err = c.WriteBatch(moments, nil, nil)
		case *file.Int96ColumnChunkWriter:
			_, err = c.WriteBatch(int96s, nil, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
