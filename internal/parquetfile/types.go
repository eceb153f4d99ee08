package parquetfile

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"

	"iterable-segment-export/internal/arrowfile"
)

// types decides what the leaves of one file become in Arrow.
type types struct {
	// julian reports whether dates before 1582-10-15 are in the Julian calendar,
	// as Hive and Spark before version 3 write them; julian96 is the same of INT96.
	julian, julian96 bool
	// durations are the top-level columns that hold lengths of time, for which
	// Parquet has no type of its own, by name.
	durations map[string]arrow.DataType
}

// newTypes reads the remarks that change what values mean.
func newTypes(f *footer) types {
	t := types{durations: map[string]arrow.DataType{}}
	version, bySpark := f.remarks[remarkSpark]
	_, legacy := f.remarks[remarkLegacy]
	_, legacy96 := f.remarks[remarkLegacy96]
	if bySpark {
		// Spark's DataSourceUtils.datetimeRebaseSpec and int96RebaseSpec.
		t.julian = legacy || before(version, 3, 0)
		t.julian96 = legacy96 || before(version, 3, 1)
	} else if _, old := f.remarks[remarkSparkTypes]; old {
		t.julian, t.julian96 = true, true // Spark has named its version since 2.4.6
	}
	if proleptic, ok := f.remarks[remarkHive]; ok && proleptic == "false" {
		t.julian, t.julian96 = true, true
	}
	t.arrowDurations(f.remarks[remarkArrow])
	t.sparkDurations(f.remarks[remarkSparkTypes])
	return t
}

// before reports whether a version is before major.minor.
func before(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, err := strconv.Atoi(parts[0])
	b, err2 := strconv.Atoi(parts[1])
	return err == nil && err2 == nil && (a < major || a == major && b < minor)
}

// arrowDurations finds durations in the Arrow schema that writers keep in the
// footer. A schema that can't be read is left alone: the columns are numbers then.
func (t *types) arrowDurations(remark string) {
	if remark == "" {
		return
	}
	data, err := base64.StdEncoding.DecodeString(remark)
	if err != nil {
		if data, err = base64.RawStdEncoding.DecodeString(remark); err != nil {
			return
		}
	}
	if arrowfile.CheckSchema(data) != nil {
		return
	}
	r, err := ipc.NewReader(bytes.NewReader(data))
	if err != nil {
		return
	}
	defer r.Release()
	for _, f := range r.Schema().Fields() {
		if f.Type.ID() == arrow.DURATION {
			t.durations[f.Name] = f.Type
		}
	}
}

// sparkDurations finds Spark's intervals of days to seconds, which it writes as
// microseconds.
func (t *types) sparkDurations(remark string) {
	var s struct {
		Fields []struct {
			Name string
			Type json.RawMessage
		}
	}
	if remark == "" || json.Unmarshal([]byte(remark), &s) != nil {
		return
	}
	for _, f := range s.Fields {
		var name string
		if json.Unmarshal(f.Type, &name) != nil || !strings.HasPrefix(name, "interval ") {
			continue
		}
		if unit := strings.Fields(name)[1]; unit == "year" || unit == "month" {
			t.durations[f.Name] = arrow.FixedWidthTypes.MonthInterval
		} else {
			t.durations[f.Name] = arrow.FixedWidthTypes.Duration_us
		}
	}
}

// leaf returns what a leaf becomes: its type in Arrow, and how its physical
// values turn into that. A logical type that does not go with the physical one,
// or is not known, is left out of account.
func (t *types) leaf(e element, levels file.LevelInfo, path string) (dt arrow.DataType, c column, err error) {
	physical := parquet.Type(e.physical)
	if physical == parquet.Types.FixedLenByteArray {
		// Arrow v15 can't decode DELTA_BYTE_ARRAY into values of fixed length, and
		// reads those of any length.
		if c.fixed = int(e.length); c.fixed <= 0 {
			return nil, c, fmt.Errorf("its values have %d bytes", e.length)
		}
		physical = parquet.Types.ByteArray
	}
	if e.physical < 0 || e.physical > int32(parquet.Types.FixedLenByteArray) {
		return nil, c, fmt.Errorf("there is no physical type %d in Parquet", e.physical)
	}
	if c.descr, err = describe(physical, levels); err != nil {
		return nil, c, err
	}
	switch parquet.Type(e.physical) {
	case parquet.Types.Boolean:
		return arrow.FixedWidthTypes.Boolean, c.with(booleans), nil
	case parquet.Types.Int32:
		return t.int32s(e, path, c)
	case parquet.Types.Int64:
		return t.int64s(e, path, c)
	case parquet.Types.Int96:
		return arrow.FixedWidthTypes.Timestamp_us, c.with(int96s(t.julian96)), nil
	case parquet.Types.Float:
		return arrow.PrimitiveTypes.Float32, c, nil
	case parquet.Types.Double:
		return arrow.PrimitiveTypes.Float64, c, nil
	case parquet.Types.ByteArray:
		return byteArrays(e, c)
	}
	return fixedByteArrays(e, c)
}

func (c column) with(f converter) column { c.convert = f; return c }

func (t *types) int32s(e element, path string, c column) (arrow.DataType, column, error) {
	l := e.logical.member
	switch old := e.converted; {
	case l == logicalNull:
		return arrow.Null, c.with(nulls), nil
	case l == logicalDecimal || l == 0 && old == convertedDecimal:
		return decimal(e, c, decimalsOf[int32])
	case l == logicalDate || l == 0 && old == convertedDate:
		if t.julian {
			c.convert = julianDays
		}
		return arrow.FixedWidthTypes.Date32, c, nil
	case l == logicalTime && e.logical.unit == 1 || l == 0 && old == convertedTimeMS:
		return arrow.FixedWidthTypes.Time32ms, c, nil
	case l == logicalInteger && e.logical.signed == 0 || l == 0 && old >= convertedUint8 && old < convertedUint8+3:
		return arrow.PrimitiveTypes.Uint32, c, nil
	}
	if t.durations[path] == arrow.FixedWidthTypes.MonthInterval {
		return arrow.FixedWidthTypes.MonthInterval, c, nil
	}
	return arrow.PrimitiveTypes.Int32, c, nil
}

func (t *types) int64s(e element, path string, c column) (arrow.DataType, column, error) {
	l, unit := e.logical.member, e.logical.unit
	switch old := e.converted; {
	case l == logicalNull:
		return arrow.Null, c.with(nulls), nil
	case l == logicalDecimal || l == 0 && old == convertedDecimal:
		return decimal(e, c, decimalsOf[int64])
	case l == logicalTime && unit == 2 || l == 0 && old == convertedTimeUS:
		return arrow.FixedWidthTypes.Time64us, c, nil
	case l == logicalTime && unit == 3:
		return arrow.FixedWidthTypes.Time64ns, c, nil
	case l == logicalTimestamp && unit == 1 || l == 0 && old == convertedStampMS:
		return t.stamps(arrow.Millisecond, c)
	case l == logicalTimestamp && unit == 2 || l == 0 && old == convertedStampUS:
		return t.stamps(arrow.Microsecond, c)
	case l == logicalTimestamp && unit == 3:
		return t.stamps(arrow.Nanosecond, c)
	case l == logicalInteger && e.logical.signed == 0 || l == 0 && old == convertedUint8+3:
		return arrow.PrimitiveTypes.Uint64, c, nil
	}
	if dt, ok := t.durations[path]; ok && dt.ID() == arrow.DURATION {
		return dt, c, nil
	}
	return arrow.PrimitiveTypes.Int64, c, nil
}

// stamps are timestamps. One without a zone is taken for UTC, as everywhere.
func (t *types) stamps(unit arrow.TimeUnit, c column) (arrow.DataType, column, error) {
	dt := &arrow.TimestampType{Unit: unit, TimeZone: "UTC"}
	if t.julian {
		c.convert = julianStamps(dt.Unit)
	}
	return dt, c, nil
}

func byteArrays(e element, c column) (arrow.DataType, column, error) {
	l := e.logical.member
	switch old := e.converted; {
	case l == logicalNull:
		return arrow.Null, c.with(nulls), nil
	case l == logicalDecimal || l == 0 && old == convertedDecimal:
		return decimal(e, c, bigEndian)
	case l == logicalString, l == logicalEnum, l == logicalJSON,
		l == 0 && (old == convertedString || old == convertedEnum || old == convertedJSON):
		return arrow.BinaryTypes.String, c, nil
	}
	return arrow.BinaryTypes.Binary, c, nil
}

func fixedByteArrays(e element, c column) (arrow.DataType, column, error) {
	l := e.logical.member
	switch old := e.converted; {
	case l == logicalDecimal || l == 0 && old == convertedDecimal:
		return decimal(e, c, bigEndian)
	case l == logicalUUID && e.length == 16:
		return arrow.BinaryTypes.String, c.with(uuids), nil
	case l == logicalFloat16 && e.length == 2:
		return arrow.FixedWidthTypes.Float16, c.with(fixedWidth), nil
	case l == 0 && old == convertedInterval && e.length == 12:
		return arrow.FixedWidthTypes.MonthDayNanoInterval, c.with(intervals), nil
	}
	return arrow.BinaryTypes.Binary, c, nil
}

// decimal is a decimal of at most 76 digits, which is what Arrow has room for.
func decimal(e element, c column, convert converter) (arrow.DataType, column, error) {
	c.convert = convert
	const most128, most256 = 38, 76
	switch {
	case e.precision < 0 || e.scale < 0 || e.scale > most256 || e.precision > most256:
		return nil, c, fmt.Errorf("its decimals have %d digits, %d of them after the point", e.precision, e.scale)
	case e.precision > most128:
		return &arrow.Decimal256Type{Precision: e.precision, Scale: e.scale}, c, nil
	}
	return &arrow.Decimal128Type{Precision: e.precision, Scale: e.scale}, c, nil
}
