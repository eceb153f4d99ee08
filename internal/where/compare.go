package where

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/big"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/mapping"
)

// comparer compares the value of a row that is not null with a literal. ok is false for NaN.
type comparer func(i int) (c int, ok bool)

// always is the comparer of a literal outside of the range of a type.
func always(c int) comparer { return func(int) (int, bool) { return c, true } }

// newComparer returns the comparer of an array, which is neither a dictionary nor
// run-end encoded.
func newComparer(arr arrow.Array, l literal) (comparer, error) {
	switch a := arr.(type) {
	case *array.Int8:
		return integers(a.Int8Values(), l), nil
	case *array.Int16:
		return integers(a.Int16Values(), l), nil
	case *array.Int32:
		return integers(a.Int32Values(), l), nil
	case *array.Int64:
		return integers(a.Int64Values(), l), nil
	case *array.Uint8:
		return integers(a.Uint8Values(), l), nil
	case *array.Uint16:
		return integers(a.Uint16Values(), l), nil
	case *array.Uint32:
		return integers(a.Uint32Values(), l), nil
	case *array.Uint64:
		return unsigned(a.Uint64Values(), l), nil
	case *array.Date32:
		return integers(a.Date32Values(), literal{number: days(l)}), nil
	case *array.Date64:
		return dates(a.Date64Values(), l), nil
	case *array.Timestamp:
		return integers(a.TimestampValues(), since(l, a.DataType().(*arrow.TimestampType).Unit)), nil
	case *array.Decimal128:
		return decimals(a.Values(), a.DataType(), l), nil
	case *array.Decimal256:
		return decimals(a.Values(), a.DataType(), l), nil
	case *array.Float16:
		return floats(func(i int) float64 { return float64(a.Value(i).Float32()) }, round32(l)), nil
	case *array.Float32:
		values := a.Float32Values()
		return floats(func(i int) float64 { return float64(values[i]) }, round32(l)), nil
	case *array.Float64:
		values := a.Float64Values()
		f, _ := l.number.Float64()
		return floats(func(i int) float64 { return values[i] }, f), nil
	}
	if columnar.KindOf(arr.DataType()) != columnar.KindText {
		return nil, fmt.Errorf("a column of type %s can't be compared", arr.DataType())
	}
	text, err := mapping.Text(arr)
	return func(i int) (int, bool) { return bytes.Compare(text(nil, i), l.text), true }, err
}

// floor returns the largest whole number up to the literal times ten to the power of scale.
// exact reports whether they are equal.
func floor(l literal, scale int32) (n *big.Int, exact bool) {
	r := new(big.Rat).Set(l.number)
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(scale, -scale))), nil)
	if scale >= 0 {
		r.Mul(r, new(big.Rat).SetInt(power))
	} else {
		r.Quo(r, new(big.Rat).SetInt(power))
	}
	// Euclid's division rounds down, since denominators are positive.
	n, rest := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int))
	return n, rest.Sign() == 0
}

// order compares a whole number that has compared with a literal's floor: equal ones are below
// the literal if it is not exact.
func order(c int, exact bool) int {
	if c == 0 && !exact {
		return -1
	}
	return c
}

// integers compares whole numbers that an int64 can hold.
func integers[T interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32
}](values []T, l literal) comparer {
	n, exact := floor(l, 0)
	if !n.IsInt64() {
		return always(-n.Sign())
	}
	to := n.Int64()
	return func(i int) (int, bool) { return order(cmp.Compare(int64(values[i]), to), exact), true }
}

func unsigned(values []uint64, l literal) comparer {
	n, exact := floor(l, 0)
	if !n.IsUint64() {
		return always(-n.Sign())
	}
	to := n.Uint64()
	return func(i int) (int, bool) { return order(cmp.Compare(values[i], to), exact), true }
}

const daySeconds = 24 * 60 * 60

func floorDiv(x, y int64) int64 {
	q := x / y
	if x%y < 0 {
		q--
	}
	return q
}

// days returns the date of a moment in UTC, in days since 1970.
func days(l literal) *big.Rat {
	return new(big.Rat).SetInt64(floorDiv(l.moment.Unix(), daySeconds))
}

// dates compares dates in milliseconds, which should be whole days.
func dates(values []arrow.Date64, l literal) comparer {
	to := floorDiv(l.moment.Unix(), daySeconds)
	return func(i int) (int, bool) { return cmp.Compare(floorDiv(int64(values[i]), daySeconds*1000), to), true }
}

// since returns a moment as a number of units since 1970.
func since(l literal, unit arrow.TimeUnit) literal {
	nanos := new(big.Int).Mul(big.NewInt(l.moment.Unix()), big.NewInt(1e9))
	nanos.Add(nanos, big.NewInt(int64(l.moment.Nanosecond())))
	return literal{number: new(big.Rat).SetFrac(nanos, big.NewInt(int64(unit.Multiplier())))}
}

func decimals[T interface{ BigInt() *big.Int }](values []T, dt arrow.DataType, l literal) comparer {
	n, exact := floor(l, dt.(arrow.DecimalType).GetScale())
	return func(i int) (int, bool) { return order(values[i].BigInt().Cmp(n), exact), true }
}

// round32 rounds as a float32 column did its values.
func round32(l literal) float64 {
	f, _ := l.number.Float32()
	return float64(f)
}

func floats(value func(i int) float64, to float64) comparer {
	return func(i int) (int, bool) {
		v := value(i)
		if math.IsNaN(v) {
			return 0, false
		}
		return cmp.Compare(v, to), true
	}
}
