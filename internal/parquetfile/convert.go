package parquetfile

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/bitutil"
	"github.com/apache/arrow/go/v15/arrow/compute"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"

	"iterable-segment-export/internal/columnar"
)

// converter converts the physical values of a leaf to its type. raw is an array of the
// physical type; its null values are undefined.
type converter func(dt arrow.DataType, raw arrow.ArrayData, mem *columnar.Budget) (arrow.ArrayData, error)

// withValues returns raw with other values.
func withValues(dt arrow.DataType, raw arrow.ArrayData, values []byte) arrow.ArrayData {
	return array.NewData(dt, raw.Len(), []*memory.Buffer{raw.Buffers()[0], memory.NewBufferBytes(values)}, nil, raw.NullN(), 0)
}

func values(raw arrow.ArrayData) []byte {
	if b := raw.Buffers()[1]; b != nil {
		return b.Bytes()
	}
	return nil
}

func allocate(mem *columnar.Budget, n int) []byte {
	mem.Take(n)
	return make([]byte, n)
}

// widening returns a converter that casts the results of convert, or the stored values if
// it is nil, to another type.
func widening(narrow arrow.DataType, convert converter) converter {
	if convert == nil {
		convert = asStored
	}
	return func(dt arrow.DataType, raw arrow.ArrayData, mem *columnar.Budget) (arrow.ArrayData, error) {
		data, err := convert(narrow, raw, mem)
		if err != nil {
			return nil, err
		}
		const widest = 16
		mem.Take(widest * raw.Len())
		wide, err := compute.CastArray(context.Background(), array.MakeFromData(data), compute.SafeCastOptions(dt))
		if err != nil { // its text could contain a value
			return nil, fmt.Errorf("some values of type %s do not fit into the table's type %s", narrow, dt)
		}
		return wide.Data(), nil
	}
}

// nulls converts a column of LogicalType UNKNOWN, whose values are all null.
func nulls(dt arrow.DataType, raw arrow.ArrayData, _ *columnar.Budget) (arrow.ArrayData, error) {
	if raw.NullN() < raw.Len() {
		return nil, errors.New("its logical type UNKNOWN says that all are null, and it has others")
	}
	return array.NewData(dt, raw.Len(), []*memory.Buffer{nil}, nil, raw.Len(), 0), nil
}

// booleans packs values of a byte each.
func booleans(dt arrow.DataType, raw arrow.ArrayData, mem *columnar.Budget) (arrow.ArrayData, error) {
	out := allocate(mem, int(bitutil.BytesForBits(int64(raw.Len()))))
	for i, v := range values(raw)[:raw.Len()] {
		if v != 0 {
			bitutil.SetBit(out, i)
		}
	}
	return withValues(dt, raw, out), nil
}

// gregorianStart is the first day of the Gregorian calendar, 1582-10-15, in days since
// 1970.
const gregorianStart = -141427

// gregorian returns the day whose date in the Gregorian calendar equals the date of the
// given day in the Julian calendar, since the writer stored that date. The arithmetic is
// that of Richards in the Explanatory Supplement to the Astronomical Almanac, 3rd edition,
// section 15.11.
func gregorian(day int64) int64 {
	if day >= gregorianStart {
		return day
	}
	// The date in the Julian calendar, from a day number that counts from
	// -4712-01-01; 1,461 days are four of its years.
	const epoch = 2440588 // 1970-01-01
	f := day + epoch + 1401
	e := 4*f + 3
	h := 5*((e-floorDiv(e, 1461)*1461)/4) + 2
	d := h%153/5 + 1
	m := (h/153+2)%12 + 1
	y := floorDiv(e, 1461) - 4716 + (14-m)/12
	return civil(y, m, d)
}

// civil returns a date of the Gregorian calendar in days since 1970. It returns the day
// after for a leap day that this calendar lacks.
func civil(y, m, d int64) int64 {
	return floorDiv(time.Date(int(y), time.Month(m), int(d), 0, 0, 0, 0, time.UTC).Unix(), 24*60*60)
}

func floorDiv(x, y int64) int64 {
	q := x / y
	if x%y < 0 {
		q--
	}
	return q
}

func julianDays(dt arrow.DataType, raw arrow.ArrayData, mem *columnar.Budget) (arrow.ArrayData, error) {
	days := arrow.Int32Traits.CastFromBytes(values(raw))[:raw.Len()]
	for i, day := range days {
		days[i] = int32(max(gregorian(int64(day)), math.MinInt32))
	}
	return withValues(dt, raw, values(raw)), nil
}

func julianStamps(unit arrow.TimeUnit) converter {
	perDay := 24 * 60 * 60 * int64(1e9) / int64(unit.Multiplier())
	return func(dt arrow.DataType, raw arrow.ArrayData, mem *columnar.Budget) (arrow.ArrayData, error) {
		stamps := arrow.Int64Traits.CastFromBytes(values(raw))[:raw.Len()]
		for i, at := range stamps {
			if day := floorDiv(at, perDay); day < gregorianStart {
				stamps[i] += (gregorian(day) - day) * perDay
			}
		}
		return withValues(dt, raw, values(raw)), nil
	}
}

// int96s returns the converter of timestamps of Impala and old Spark: nanoseconds of a
// day, and the day. It returns microseconds, so that the years 1 and 9999 fit.
func int96s(julian bool) converter {
	return func(dt arrow.DataType, raw arrow.ArrayData, mem *columnar.Budget) (arrow.ArrayData, error) {
		const epoch, perDay = 2440588, 24 * 60 * 60 * 1_000_000
		const mostDays = math.MaxInt64/perDay - 110_000 // the nanoseconds can be any number
		out := allocate(mem, 8*raw.Len())
		stamps := arrow.Int64Traits.CastFromBytes(out)
		for i, v := range parquet.Int96Traits.CastFromBytes(values(raw))[:raw.Len()] {
			day := int64(int32(binary.LittleEndian.Uint32(v[8:]))) - epoch
			if julian {
				day = gregorian(day)
			}
			// A date out of range stays out of range.
			day = min(max(day, -mostDays), mostDays)
			stamps[i] = day*perDay + floorDiv(int64(binary.LittleEndian.Uint64(v[:8])), 1000)
		}
		return withValues(dt, raw, out), nil
	}
}

// decimals are the converters of decimals by their physical type.
var decimals = map[parquet.Type]converter{
	parquet.Types.Int32: numbers(4), parquet.Types.Int64: numbers(8), parquet.Types.ByteArray: bigEndian, parquet.Types.FixedLenByteArray: bigEndian,
}

// numbers returns the converter of decimals stored as integers of size bytes.
func numbers(size int) converter {
	return func(dt arrow.DataType, raw arrow.ArrayData, mem *columnar.Budget) (arrow.ArrayData, error) {
		width := dt.(arrow.FixedWidthDataType).Bytes()
		out := allocate(mem, width*raw.Len())
		in := values(raw)
		for i := range raw.Len() {
			to := out[i*width : (i+1)*width]
			copy(to, in[i*size:(i+1)*size])
			extend(to, size, to[size-1])
		}
		return withValues(dt, raw, out), nil
	}
}

// extend extends a number of have bytes to the length of to. most is its most significant
// byte, which has the sign.
func extend(to []byte, have int, most byte) {
	if most&0x80 != 0 {
		for k := have; k < len(to); k++ {
			to[k] = 0xff
		}
	}
}

// bigEndian converts decimals stored as big-endian bytes.
func bigEndian(dt arrow.DataType, raw arrow.ArrayData, mem *columnar.Budget) (arrow.ArrayData, error) {
	width := dt.(arrow.FixedWidthDataType).Bytes()
	out := allocate(mem, width*raw.Len())
	arr := array.MakeFromData(raw).(interface {
		arrow.Array
		Value(i int) []byte
	})
	for i := range arr.Len() {
		if arr.IsNull(i) {
			continue
		}
		v := arr.Value(i)
		for len(v) > width && (v[0] == 0 && v[1]&0x80 == 0 || v[0] == 0xff && v[1]&0x80 != 0) {
			v = v[1:] // redundant bytes of the sign
		}
		if len(v) == 0 || len(v) > width {
			return nil, fmt.Errorf("a decimal has %d bytes", len(v))
		}
		to := out[i*width : (i+1)*width]
		for k := range v {
			to[k] = v[len(v)-1-k]
		}
		extend(to, len(v), v[0])
	}
	return withValues(dt, raw, out), nil
}

// uuids converts UUIDs to text, in hexadecimal groups of 8-4-4-4-12 digits.
func uuids(dt arrow.DataType, raw arrow.ArrayData, mem *columnar.Budget) (arrow.ArrayData, error) {
	mem.Take((columnar.UUIDLen + 4) * raw.Len())
	offsets, texts := columnar.UUIDs(values(raw))
	buffers := []*memory.Buffer{raw.Buffers()[0], memory.NewBufferBytes(offsets), memory.NewBufferBytes(texts)}
	return array.NewData(dt, raw.Len(), buffers, nil, raw.NullN(), 0), nil
}

// asStored changes only the type.
func asStored(dt arrow.DataType, raw arrow.ArrayData, _ *columnar.Budget) (arrow.ArrayData, error) {
	return withValues(dt, raw, values(raw)), nil
}

// intervals converts months, days and milliseconds.
func intervals(dt arrow.DataType, raw arrow.ArrayData, mem *columnar.Budget) (arrow.ArrayData, error) {
	out := allocate(mem, arrow.MonthDayNanoIntervalSizeBytes*raw.Len())
	to := arrow.MonthDayNanoIntervalTraits.CastFromBytes(out)
	for i, in := 0, values(raw); i < raw.Len(); i++ {
		v := in[12*i:]
		to[i] = arrow.MonthDayNanoInterval{
			Months: int32(binary.LittleEndian.Uint32(v)), Days: int32(binary.LittleEndian.Uint32(v[4:])),
			Nanoseconds: int64(binary.LittleEndian.Uint32(v[8:])) * 1e6,
		}
	}
	return withValues(dt, raw, out), nil
}
