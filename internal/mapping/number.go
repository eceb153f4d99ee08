package mapping

import (
	"bytes"
	"math"
	"math/big"
	"strconv"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
	"github.com/apache/arrow/go/v15/arrow/decimal256"
	"github.com/apache/arrow/go/v15/arrow/float16"
)

const (
	// exactInteger is 2^53: all integers up to it are doubles, too.
	exactInteger = 1 << 53
	// doubleDigits is how many decimal digits every double keeps.
	doubleDigits = 15
)

// numberEncoder returns the encoder of numbers, or nil for other arrays. Those that a double
// would round are strings unless bare.
func numberEncoder(arr arrow.Array, v validity, n *notes, bare bool) encoder {
	switch a := arr.(type) {
	case *array.Int8:
		return &signed[int8]{v, a.Int8Values(), n, bare}
	case *array.Int16:
		return &signed[int16]{v, a.Int16Values(), n, bare}
	case *array.Int32:
		return &signed[int32]{v, a.Int32Values(), n, bare}
	case *array.Int64:
		return &signed[int64]{v, a.Int64Values(), n, bare}
	case *array.Uint8:
		return &unsigned[uint8]{v, a.Uint8Values(), n, bare}
	case *array.Uint16:
		return &unsigned[uint16]{v, a.Uint16Values(), n, bare}
	case *array.Uint32:
		return &unsigned[uint32]{v, a.Uint32Values(), n, bare}
	case *array.Uint64:
		return &unsigned[uint64]{v, a.Uint64Values(), n, bare}
	case *array.Float16:
		return &halves{v, a.Values()}
	case *array.Float32:
		return &floats[float32]{v, a.Float32Values(), 32}
	case *array.Float64:
		return &floats[float64]{v, a.Float64Values(), 64}
	case *array.Decimal128:
		return &decimals[decimal128.Num]{v, a.Values(), int(a.DataType().(arrow.DecimalType).GetScale()), n, bare}
	case *array.Decimal256:
		return &decimals[decimal256.Num]{v, a.Values(), int(a.DataType().(arrow.DecimalType).GetScale()), n, bare}
	}
	return nil
}

// signed writes integers, those that a double can't hold as strings unless bare.
type signed[T int8 | int16 | int32 | int64] struct {
	validity
	values []T
	notes  *notes
	bare   bool
}

func (e *signed[T]) append(dst []byte, i int) ([]byte, string) {
	x := int64(e.values[i])
	if (x > exactInteger || x < -exactInteger) && !e.bare {
		e.notes.integers++
		dst = strconv.AppendInt(append(dst, '"'), x, 10)
		return append(dst, '"'), ""
	}
	return strconv.AppendInt(dst, x, 10), ""
}

// unsigned is signed for the types without a sign.
type unsigned[T uint8 | uint16 | uint32 | uint64] struct {
	validity
	values []T
	notes  *notes
	bare   bool
}

func (e *unsigned[T]) append(dst []byte, i int) ([]byte, string) {
	x := uint64(e.values[i])
	if x > exactInteger && !e.bare {
		e.notes.integers++
		dst = strconv.AppendUint(append(dst, '"'), x, 10)
		return append(dst, '"'), ""
	}
	return strconv.AppendUint(dst, x, 10), ""
}

type floats[T float32 | float64] struct {
	validity
	values []T
	bits   int
}

func (e *floats[T]) append(dst []byte, i int) ([]byte, string) {
	return appendFloat(dst, float64(e.values[i]), e.bits)
}

type halves struct {
	validity
	values []float16.Num
}

func (e *halves) append(dst []byte, i int) ([]byte, string) {
	return appendFloat(dst, float64(e.values[i].Float32()), 32)
}

// appendFloat appends the shortest digits that give the number back, in the form
// of encoding/json, and always with a decimal point or an exponent: Iterable
// types a new field by its first value, and a 3 would make it a long that does not accept a
// 3.5 later.
func appendFloat(dst []byte, x float64, bits int) ([]byte, string) {
	if math.IsNaN(x) {
		return dst, "is NaN (not a number)"
	}
	if math.IsInf(x, 0) {
		return dst, "is infinite"
	}
	format := byte('f')
	if abs := math.Abs(x); abs != 0 {
		if bits == 64 && (abs < 1e-6 || abs >= 1e21) || bits == 32 && (float32(abs) < 1e-6 || float32(abs) >= 1e21) {
			format = 'e'
		}
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, x, format, -1, bits)
	if format == 'e' {
		// e-09 becomes e-9.
		if n := len(dst); n-start >= 4 && dst[n-4] == 'e' && dst[n-2] == '0' {
			dst[n-2] = dst[n-1]
			dst = dst[:n-1]
		}
		return dst, ""
	}
	if bytes.IndexByte(dst[start:], '.') < 0 {
		dst = append(dst, '.', '0')
	}
	return dst, ""
}

// decimals writes exact digits: as a number if a double keeps all of them, and as a string if
// it would round, unless bare.
type decimals[T interface{ BigInt() *big.Int }] struct {
	validity
	values []T
	scale  int
	notes  *notes
	bare   bool
}

func (e *decimals[T]) append(dst []byte, i int) ([]byte, string) {
	x := e.values[i].BigInt()
	negative := x.Sign() < 0
	digits := x.Abs(x).Append(nil, 10)
	exact := fitsDouble(digits, e.scale)
	if quote := !exact && !e.bare; quote {
		if e.scale > 0 {
			e.notes.decimals++
		} else {
			e.notes.integers++
		}
		return append(appendDecimal(append(dst, '"'), digits, negative, e.scale), '"'), ""
	}
	return appendDecimal(dst, digits, negative, e.scale), ""
}

func appendMagnitude(dst []byte, x int64) []byte {
	u := uint64(x)
	if x < 0 {
		u = -u
	}
	return strconv.AppendUint(dst, u, 10)
}

// fitsDouble reports whether a double keeps a number of these digits: an integer up
// to 2^53, a fraction of at most 15 digits that count.
func fitsDouble(digits []byte, scale int) bool {
	if scale > 0 {
		return len(bytes.TrimRight(digits, "0")) <= doubleDigits
	}
	if len(digits) == 1 && digits[0] == '0' {
		return true
	}
	const most = "9007199254740992"
	switch n := len(digits) - scale; {
	case n < len(most):
		return true
	case n > len(most):
		return false
	}
	full := append(append(make([]byte, 0, len(most)), digits...), "0000000000000000"[:-scale]...)
	return string(full) <= most
}

func appendDecimal(dst, digits []byte, negative bool, scale int) []byte {
	if negative {
		dst = append(dst, '-')
	}
	if scale <= 0 {
		dst = append(dst, digits...)
		if digits[0] == '0' {
			return dst
		}
		for range -scale {
			dst = append(dst, '0')
		}
		return dst
	}
	whole := len(digits) - scale
	if whole <= 0 {
		dst = append(dst, '0', '.')
		for range -whole {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	dst = append(dst, digits[:whole]...)
	dst = append(dst, '.')
	return append(dst, digits[whole:]...)
}
