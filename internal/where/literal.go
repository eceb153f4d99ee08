package where

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"time"

	"iterable-segment-export/schemas"
)

// literal is a value that columns are compared with: one of a text, a number and a moment.
type literal struct {
	text   []byte
	number *big.Rat
	moment time.Time
}

// compare orders two literals of the same kind.
func (l literal) compare(o literal) int {
	switch {
	case l.number != nil:
		return l.number.Cmp(o.number)
	case l.text == nil: // the zero time is a moment too, that of 0001-01-01
		return l.moment.Compare(o.moment)
	}
	return bytes.Compare(l.text, o.text)
}

// mostDigits bounds the length of a number in a condition: 1e999999 would take as many digits.
const mostDigits = 100

func parseNumber(l schemas.Literal) (*big.Rat, error) {
	text := string(l)
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || len(text) > mostDigits || f == 0 && len(text) > 1 && text[0] != '0' && text[0] != '-' {
		return nil, errors.New("the number is too large or has too many digits")
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, errors.New("the number can't be read")
	}
	return r, nil
}

// relative matches moments that are relative to the start of a run.
var relative = regexp.MustCompile(`^now(?:([+-])([0-9]{1,6})([yMwdhm]))?$`)

var errMoment = errors.New("write a date (2026-03-01), a time with its zone (2026-03-01T09:00:00Z), or a moment such as now, now-30d or now-12h (y, M for months, w, d, h, m)")

// parseMoment reads a date, a time or a moment relative to now.
func parseMoment(text string, now time.Time) (time.Time, error) {
	if m := relative.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1] + m[2])
		t := shift(now.UTC(), n, m[3])
		if y := t.Year(); y < 1 || y > 9999 {
			return t, fmt.Errorf("the moment %q is not in the years 1 to 9999", text)
		}
		return t, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			if y := t.UTC().Year(); y < 1 || y > 9999 {
				break
			}
			return t.UTC(), nil
		}
	}
	return time.Time{}, errMoment
}

func shift(t time.Time, n int, unit string) time.Time {
	switch unit {
	case "y":
		return months(t, 12*n)
	case "M":
		return months(t, n)
	case "w":
		return t.AddDate(0, 0, 7*n)
	case "d":
		return t.AddDate(0, 0, n)
	case "h":
		return t.Add(time.Duration(n) * time.Hour)
	case "m":
		return t.Add(time.Duration(n) * time.Minute)
	}
	return t
}

// months adds months to a time. A day that the month does not have is its last: a month before
// March 31 is February 28.
func months(t time.Time, n int) time.Time {
	if out := t.AddDate(0, n, 0); out.Day() == t.Day() {
		return out
	}
	first := t.AddDate(0, 0, 1-t.Day()).AddDate(0, n, 0)
	return first.AddDate(0, 1, -1)
}
