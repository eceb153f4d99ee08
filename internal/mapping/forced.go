package mapping

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
)

// forced returns the encoder of the form that the mapping forces. kindOf has checked that the
// type allows it.
func (b binder) forced(arr arrow.Array) (encoder, error) {
	if isText(arr.DataType()) && b.force != forceString {
		get, err := textOf(arr)
		if b.force == forceBase64 {
			return &binaries{validityOf(arr.Data()), get, &b.notes.room}, err
		}
		return &parsed{validityOf(arr.Data()), get, &b.notes.room, parsers[b.force]}, err
	}
	v := validityOf(arr.Data())
	switch b.force {
	case forceString:
		bare, err := b.bare(arr, v)
		return &quoted{bare, arrow.IsFloating(arr.DataType().ID())}, err
	case forceNumber:
		if d, ok := arr.(*array.Duration); ok {
			return &seconds{v, d.DurationValues(), perSecond(d.DataType().(*arrow.DurationType).Unit)}, nil
		}
		return b.bare(arr, v)
	case forceBoolean:
		if _, ok := arr.(*array.Boolean); !ok {
			number, err := b.bare(arr, v)
			return &zeroOrOne{number}, err
		}
	}
	return b.own(arr)
}

// bare returns the encoder of numbers without quotes, and of other types the own one.
func (b binder) bare(arr arrow.Array, v validity) (encoder, error) {
	if e := numberEncoder(arr, v, b.notes, true); e != nil {
		return e, nil
	}
	return b.own(arr)
}

// quoted puts what is not a string yet in quotes.
type quoted struct {
	encoder
	float bool
}

func (e *quoted) append(dst []byte, i int) ([]byte, string) {
	start := len(dst)
	dst, problem := e.encoder.append(append(dst, '"'), i)
	if problem != "" {
		return dst, problem
	}
	if dst[start+1] == '"' {
		return append(dst[:start], dst[start+1:]...), ""
	}
	if e.float {
		// A string needs no ".0" to be told from an integer.
		dst = bytes.TrimSuffix(dst, []byte(".0"))
	}
	return append(dst, '"'), ""
}

// zeroOrOne makes booleans of integers.
type zeroOrOne struct{ encoder }

func (e *zeroOrOne) append(dst []byte, i int) ([]byte, string) {
	start := len(dst)
	dst, _ = e.encoder.append(dst, i)
	switch string(dst[start:]) {
	case "0":
		return append(dst[:start], "false"...), ""
	case "1":
		return append(dst[:start], "true"...), ""
	}
	return dst, "is neither 0 nor 1, so it can't be sent as type: boolean"
}

// seconds writes lengths of time as a number of seconds.
type seconds struct {
	validity
	values []arrow.Duration
	unit   int64
}

func (e *seconds) append(dst []byte, i int) ([]byte, string) {
	x := int64(e.values[i])
	digits := appendMagnitude(make([]byte, 0, 20), x)
	scale := 0
	for unit := e.unit; unit > 1; unit /= 10 {
		scale++
	}
	return appendDecimal(dst, digits, x < 0, scale), ""
}

// parsed writes text in the form that a parser finds in it.
type parsed struct {
	validity
	getter
	*room
	parse func(dst, text []byte) ([]byte, bool)
}

func (e *parsed) append(dst []byte, i int) ([]byte, string) {
	s := e.At(i)
	if problem := e.roomFor(dst, len(s)); problem != "" {
		return dst, problem
	}
	if !utf8.Valid(s) {
		return dst, notUTF8
	}
	dst, ok := e.parse(dst, bytes.TrimSpace(s))
	if !ok {
		return dst, "is a text that can't be read as the type that the mapping asks for"
	}
	return dst, ""
}

var parsers = map[string]func(dst, text []byte) ([]byte, bool){
	forceNumber:  parseNumber,
	forceBoolean: parseBoolean,
	forceDate:    parseDate,
	forceObject:  func(dst, text []byte) ([]byte, bool) { return parseJSON(dst, text, '{') },
	forceArray:   func(dst, text []byte) ([]byte, bool) { return parseJSON(dst, text, '[') },
}

// parseNumber accepts a JSON number that a double can hold.
func parseNumber(dst, text []byte) ([]byte, bool) {
	if len(text) == 0 || text[0] != '-' && (text[0] < '0' || text[0] > '9') || !json.Valid(text) {
		return dst, false
	}
	x, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsInf(x, 0) {
		return dst, false
	}
	return append(dst, text...), true
}

func parseBoolean(dst, text []byte) ([]byte, bool) {
	switch {
	case bytes.EqualFold(text, []byte("true")), string(text) == "1":
		return append(dst, "true"...), true
	case bytes.EqualFold(text, []byte("false")), string(text) == "0":
		return append(dst, "false"...), true
	}
	return dst, false
}

// layouts are the forms of dates that parseDate reads. Those without an offset
// are UTC.
var layouts = []string{
	time.RFC3339,               // a fraction of a second is read as well
	"2006-01-02T15:04:05Z0700", // as Java and Spark write it
	"2006-01-02 15:04:05 -07:00",
	"2006-01-02 15:04:05 -0700",
	"2006-01-02 15:04:05-07:00",
	"2006-01-02 15:04:05Z",
	"2006-01-02 15:04:05",
	"2006-01-02T15:04:05",
}

func parseDate(dst, text []byte) ([]byte, bool) {
	s := string(text)
	if t, err := time.Parse(time.DateOnly, s); err == nil && t.Year() >= 1 {
		return fmt.Appendf(dst, `"%s"`, s), true
	}
	for _, layout := range layouts {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		return appendMoment(dst, t)
	}
	return dst, false
}

// parseJSON accepts JSON text that begins with open.
func parseJSON(dst, text []byte, open byte) ([]byte, bool) {
	if len(text) == 0 || text[0] != open || !json.Valid(text) {
		return dst, false
	}
	return append(dst, text...), true
}
