package mapping

import (
	"strconv"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
)

const (
	daySeconds = 24 * 60 * 60
	// firstDay and lastDay are 0001-01-01 and 9999-12-31, in days since 1970.
	firstDay = -719162
	lastDay  = 2932896

	outOfRange = "is a date outside the years 1 to 9999"
	noTime     = "is not a time of day"
)

// temporalEncoder returns the encoder of dates, times and durations in their own form, or nil
// for other arrays.
func temporalEncoder(arr arrow.Array, v validity) encoder {
	switch a := arr.(type) {
	case *array.Date32:
		return &dates[arrow.Date32]{v, a.Date32Values(), 1}
	case *array.Date64:
		return &dates[arrow.Date64]{v, a.Date64Values(), daySeconds * 1000}
	case *array.Timestamp:
		dt := a.DataType().(*arrow.TimestampType)
		zone, err := dt.GetZone()
		if err != nil {
			zone = time.UTC
		}
		return &timestamps{validity: v, values: a.TimestampValues(), unit: perSecond(dt.Unit), zone: zone}
	case *array.Time32:
		return &times[arrow.Time32]{v, a.Time32Values(), perSecond(a.DataType().(*arrow.Time32Type).Unit)}
	case *array.Time64:
		return &times[arrow.Time64]{v, a.Time64Values(), perSecond(a.DataType().(*arrow.Time64Type).Unit)}
	case *array.Duration:
		return &durations{v, a.DurationValues(), perSecond(a.DataType().(*arrow.DurationType).Unit)}
	case *array.MonthInterval:
		return &intervals{v, func(i int) (int64, int64, int64) { return int64(a.Value(i)), 0, 0 }}
	case *array.DayTimeInterval:
		return &intervals{v, func(i int) (int64, int64, int64) {
			x := a.Value(i)
			return 0, int64(x.Days), int64(x.Milliseconds) * int64(time.Millisecond)
		}}
	case *array.MonthDayNanoInterval:
		return &intervals{v, func(i int) (int64, int64, int64) {
			x := a.Value(i)
			return int64(x.Months), int64(x.Days), x.Nanoseconds
		}}
	}
	return nil
}

// perSecond is how many of a unit make a second.
func perSecond(u arrow.TimeUnit) int64 { return int64(time.Second / u.Multiplier()) }

// floorDiv is x/y and the remainder, which is never negative.
func floorDiv(x, y int64) (q, r int64) {
	q, r = x/y, x%y
	if r < 0 {
		q, r = q-1, r+y
	}
	return q, r
}

// dates writes days as yyyy-MM-dd.
type dates[T arrow.Date32 | arrow.Date64] struct {
	validity
	values []T
	perDay int64
}

func (e *dates[T]) append(dst []byte, i int) ([]byte, string) {
	day, _ := floorDiv(int64(e.values[i]), e.perDay)
	if day < firstDay || day > lastDay {
		return dst, outOfRange
	}
	return time.Unix(day*daySeconds, 0).UTC().AppendFormat(dst, `"2006-01-02"`), ""
}

// timestamps writes moments as yyyy-MM-dd HH:mm:ss ±HH:mm. Fractions of a second are cut off:
// Iterable's form has none.
type timestamps struct {
	validity
	values []arrow.Timestamp
	unit   int64
	zone   *time.Location
}

func (e *timestamps) append(dst []byte, i int) ([]byte, string) {
	secs, _ := floorDiv(int64(e.values[i]), e.unit)
	if secs < firstDay*daySeconds || secs >= (lastDay+1)*daySeconds {
		return dst, outOfRange
	}
	t := time.Unix(secs, 0).In(e.zone)
	if _, offset := t.Zone(); offset%60 != 0 {
		t = t.UTC() // local mean time, which ±HH:mm can't express
	}
	dst, ok := appendMoment(dst, t)
	if !ok {
		return dst, outOfRange
	}
	return dst, ""
}

// appendMoment appends a moment in quotes as the clock of its zone shows it; false where the
// year is out of range.
func appendMoment(dst []byte, t time.Time) ([]byte, bool) {
	if t.Year() < 1 || t.Year() > 9999 {
		return dst, false
	}
	return t.AppendFormat(dst, `"2006-01-02 15:04:05 -07:00"`), true
}

// appendClock appends a second of the day as HH:mm:ss.
func appendClock(dst []byte, sec int64) []byte {
	return time.Unix(sec, 0).UTC().AppendFormat(dst, time.TimeOnly)
}

// appendFraction appends the part of a second after the point, without zeros at
// its end, and nothing where it is zero. unit is how many make a second.
func appendFraction(dst []byte, rest, unit int64) []byte {
	if rest == 0 {
		return dst
	}
	dst = append(dst, '.')
	for ; rest != 0; rest %= unit {
		unit /= 10
		dst = append(dst, byte('0'+rest/unit))
	}
	return dst
}

// times writes times of day as HH:mm:ss, with a fraction where there is one.
type times[T arrow.Time32 | arrow.Time64] struct {
	validity
	values []T
	unit   int64
}

func (e *times[T]) append(dst []byte, i int) ([]byte, string) {
	sec, rest := floorDiv(int64(e.values[i]), e.unit)
	if sec < 0 || sec >= daySeconds {
		return dst, noTime
	}
	dst = appendFraction(appendClock(append(dst, '"'), sec), rest, e.unit)
	return append(dst, '"'), ""
}

// durations writes lengths of time in ISO 8601, in hours, minutes and seconds:
// PT36H, -PT0.5S.
type durations struct {
	validity
	values []arrow.Duration
	unit   int64
}

func (e *durations) append(dst []byte, i int) ([]byte, string) {
	return append(appendDuration(append(dst, '"'), int64(e.values[i]), e.unit), '"'), ""
}

func appendDuration(dst []byte, x, unit int64) []byte {
	// Unsigned, because the lowest number has no counterpart above zero.
	u, per := uint64(x), uint64(unit)
	if x < 0 {
		dst, u = append(dst, '-'), -u
	}
	secs, rest := u/per, int64(u%per)
	dst = append(dst, 'P', 'T')
	if h := secs / 3600; h > 0 {
		dst = append(strconv.AppendUint(dst, h, 10), 'H')
	}
	if m := secs / 60 % 60; m > 0 {
		dst = append(strconv.AppendUint(dst, m, 10), 'M')
	}
	if s := secs % 60; s > 0 || rest > 0 || u == 0 {
		dst = strconv.AppendUint(dst, s, 10)
		dst = append(appendFraction(dst, rest, unit), 'S')
	}
	return dst
}

// intervals writes calendar intervals in ISO 8601, each part with its own sign:
// P14M, P1M-2DT3.5S. Months, days and seconds are kept apart, as none has a fixed
// length in another.
type intervals struct {
	validity
	parts func(i int) (months, days, nanos int64)
}

func (e *intervals) append(dst []byte, i int) ([]byte, string) {
	months, days, nanos := e.parts(i)
	dst = append(dst, '"', 'P')
	if months != 0 {
		dst = append(strconv.AppendInt(dst, months, 10), 'M')
	}
	if days != 0 {
		dst = append(strconv.AppendInt(dst, days, 10), 'D')
	}
	if nanos != 0 || months == 0 && days == 0 {
		dst = append(dst, 'T')
		u := uint64(nanos)
		if nanos < 0 {
			dst, u = append(dst, '-'), -u
		}
		dst = strconv.AppendUint(dst, u/1e9, 10)
		dst = append(appendFraction(dst, int64(u%1e9), 1e9), 'S')
	}
	return append(dst, '"'), ""
}
