package segment

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"

	"iterable-segment-export/internal/columnar"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
)

// Rank orders the values of a column: numbers, dates or timestamps. The zero Rank is that of
// null and of NaN, before all others.
type Rank struct {
	known bool
	// high and low are a number's floor, or seconds since 1970, in 128 bits: decimals of 38
	// digits fit. Larger numbers share one rank.
	high int64
	low  uint64
	part uint32 // of one: a number's in units of 2^-32, or nanoseconds
}

// The ranks of numbers that do not fit.
var (
	largest  = Rank{known: true, high: math.MaxInt64, low: math.MaxUint64, part: math.MaxUint32}
	smallest = Rank{known: true, high: math.MinInt64}
)

// ofWhole returns the rank of a whole number and a part of one.
func ofWhole(v int64, part uint32) Rank {
	return Rank{known: true, high: v >> 63, low: uint64(v), part: part}
}

// Compare orders two ranks.
func (r Rank) Compare(o Rank) int {
	if r.known != o.known {
		if r.known {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(r.high, o.high), cmp.Compare(r.low, o.low), cmp.Compare(r.part, o.part))
}

// rankSize is the size of an encoded rank, in bytes.
const rankSize = 21

// Append appends the rank in rankSize bytes.
func (r Rank) Append(dst []byte) []byte {
	known := byte(0)
	if r.known {
		known = 1
	}
	dst = binary.LittleEndian.AppendUint64(append(dst, known), uint64(r.high))
	dst = binary.LittleEndian.AppendUint64(dst, r.low)
	return binary.LittleEndian.AppendUint32(dst, r.part)
}

// DecodeRank reads what Append has written.
func DecodeRank(b []byte) Rank {
	return Rank{
		known: b[0] == 1, high: int64(binary.LittleEndian.Uint64(b[1:])), low: binary.LittleEndian.Uint64(b[9:]),
		part: binary.LittleEndian.Uint32(b[17:]),
	}
}

// ordered reports whether a column of the type has ranks.
func ordered(dt arrow.DataType) bool {
	switch columnar.KindOf(dt) {
	case columnar.KindNull, columnar.KindNumber, columnar.KindDate, columnar.KindTimestamp:
		return true
	}
	return false
}

// Ranks returns the function that returns the rank of a row.
func Ranks(arr arrow.Array) (func(i int) Rank, error) {
	rank, err := ranksOf(arr)
	return func(i int) Rank {
		if arr.IsNull(i) {
			return Rank{}
		}
		return rank(i)
	}, err
}

// ranksOf returns the ranks of rows that are not null.
func ranksOf(arr arrow.Array) (func(i int) Rank, error) {
	switch a := arr.(type) {
	case *array.Null:
		return func(int) Rank { return Rank{} }, nil
	case *array.Dictionary:
		values, err := Ranks(a.Dictionary())
		return func(i int) Rank { return values(a.GetValueIndex(i)) }, err
	case *array.Int8:
		return wholes(a.Int8Values(), 1), nil
	case *array.Int16:
		return wholes(a.Int16Values(), 1), nil
	case *array.Int32:
		return wholes(a.Int32Values(), 1), nil
	case *array.Int64:
		return wholes(a.Int64Values(), 1), nil
	case *array.Uint8:
		return wholes(a.Uint8Values(), 1), nil
	case *array.Uint16:
		return wholes(a.Uint16Values(), 1), nil
	case *array.Uint32:
		return wholes(a.Uint32Values(), 1), nil
	case *array.Uint64:
		return func(i int) Rank { return Rank{known: true, low: a.Value(i)} }, nil
	case *array.Float16:
		return func(i int) Rank { return ofFloat(float64(a.Value(i).Float32())) }, nil
	case *array.Float32:
		return func(i int) Rank { return ofFloat(float64(a.Value(i))) }, nil
	case *array.Float64:
		return func(i int) Rank { return ofFloat(a.Value(i)) }, nil
	case *array.Decimal128:
		scale := scaling(a.DataType().(*arrow.Decimal128Type).Scale)
		return func(i int) Rank { return rankOf(new(big.Rat).Mul(new(big.Rat).SetInt(a.Value(i).BigInt()), scale)) }, nil
	case *array.Decimal256:
		scale := scaling(a.DataType().(*arrow.Decimal256Type).Scale)
		return func(i int) Rank { return rankOf(new(big.Rat).Mul(new(big.Rat).SetInt(a.Value(i).BigInt()), scale)) }, nil
	case *array.Date32:
		return wholes(a.Date32Values(), 24*60*60), nil
	case *array.Date64:
		return func(i int) Rank { return ofUnits(int64(a.Value(i)), 1000) }, nil
	case *array.Timestamp:
		unit := int64(1e9) / int64(a.DataType().(*arrow.TimestampType).Unit.Multiplier())
		return func(i int) Rank { return ofUnits(int64(a.Value(i)), unit) }, nil
	}
	return nil, fmt.Errorf("a column of type %s has no order", arr.DataType())
}

func wholes[T ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32](values []T, times int64) func(i int) Rank {
	return func(i int) Rank { return ofWhole(int64(values[i])*times, 0) }
}

// ofUnits is the rank of a time in units, of which a second has so many.
func ofUnits(v, perSecond int64) Rank {
	whole := v / perSecond
	rest := v % perSecond
	if rest < 0 {
		whole, rest = whole-1, rest+perSecond
	}
	return ofWhole(whole, uint32(rest*(1e9/perSecond)))
}

func ofFloat(v float64) Rank {
	switch {
	case math.IsNaN(v):
		return Rank{}
	case math.IsInf(v, 1):
		return largest
	case math.IsInf(v, -1):
		return smallest
	case math.Abs(v) >= 1<<63:
		return rankOf(new(big.Rat).SetFloat64(v))
	}
	floor := math.Floor(v)
	return ofWhole(int64(floor), uint32(min((v-floor)*(1<<32), math.MaxUint32)))
}

func scaling(scale int32) *big.Rat {
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(scale, -scale))), nil)
	if scale > 0 {
		return new(big.Rat).SetFrac(big.NewInt(1), power)
	}
	return new(big.Rat).SetInt(power)
}

func rankOf(r *big.Rat) Rank {
	floor, rest := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int))
	high := new(big.Int).Rsh(floor, 64)
	switch {
	case !high.IsInt64() && floor.Sign() > 0:
		return largest
	case !high.IsInt64():
		return smallest
	}
	low := floor.Sub(floor, new(big.Int).Lsh(high, 64))
	rest.Lsh(rest, 32)
	return Rank{known: true, high: high.Int64(), low: low.Uint64(), part: uint32(rest.Quo(rest, r.Denom()).Uint64())}
}
