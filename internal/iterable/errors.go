package iterable

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/schemas"
)

// Class is the meaning of a failure, and so what can be done about it.
type Class string

// Classes of Error.
const (
	// Transient: 408, 425, 5xx, no answer, or an invalid answer. The change may have been made
	// all the same. Try again after a pause.
	Transient Class = "transient"
	// Throttled: 429. Nothing was changed. Slow down and try again.
	Throttled Class = "throttled"
	// TooLarge: 413 or BatchTooLarge. Send less in one request.
	TooLarge Class = "tooLarge"
	// BadRequest: 400, 409 or 422. One row may be to blame.
	BadRequest Class = "badRequest"
	// FieldTypes: a field's value has another type than the field has in Iterable.
	FieldTypes Class = "fieldTypes"
	// FieldsLimit: the project can't have more fields.
	FieldsLimit Class = "fieldsLimit"
	// KeyRejected: 401, Iterable does not know the key.
	KeyRejected Class = "keyRejected"
	// Forbidden: 403, the key may not do this.
	Forbidden Class = "forbidden"
	// WrongRegion: the key belongs to the other data centre.
	WrongRegion Class = "wrongRegion"
	// NoKey: the key is missing or malformed.
	NoKey Class = "noKey"
	// NotFound: 404, the address of the API does not exist.
	NotFound Class = "notFound"
	// UnknownList: the list does not exist, or was created seconds ago.
	UnknownList Class = "unknownList"
	// ListInUse: 409 on deleting a list: a campaign or a journey uses it.
	ListInUse Class = "listInUse"
	// Untrusted: the host's certificate could not be verified.
	Untrusted Class = "untrusted"
	// Unexpected: an undocumented answer, such as a redirect, that a retry is not likely to
	// change.
	Unexpected Class = "unexpected"
)

// advice is what to do, by class.
var advice = map[Class]string{
	Transient:   "it is tried again",
	Throttled:   "it is tried again at a slower pace",
	TooLarge:    "send fewer profiles in one request",
	BadRequest:  "a profile or a setting in the request is at fault",
	FieldTypes:  "a mapped field has another type than the field of that name in Iterable: change the field in Iterable",
	FieldsLimit: "the project has as many fields as Iterable allows: remove some in Iterable",
	KeyRejected: "check the connection's API key and region",
	Forbidden:   "use a server-side API key that may write lists",
	WrongRegion: "the key belongs to the other data centre: change the connection's region",
	NoKey:       "set the connection's API key where the worker looks for it",
	NotFound:    "check the connection's address",
	UnknownList: "the list is gone in Iterable: retry creates it again, unless the segment names it by listId",
	ListInUse:   "a campaign or a journey in Iterable uses the list: take it out there",
	Untrusted:   "check the connection's address, the proxy and the certificates that this machine trusts",
	Unexpected:  "check the connection's address and the proxy",
}

// Error is a failed call. It has no personal data and no key, and may be shown, logged and
// stored.
type Error struct {
	Class Class
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// Code is Iterable's error code if it is a known one, "other" if it is not,
	// and empty if there was none.
	Code string
	// RetryAfter is the pause that Iterable requested, or 0.
	RetryAfter time.Duration
	// Endpoint is the call, such as "POST /api/lists/subscribe".
	Endpoint string
	// Mismatches are the fields that Iterable named with another type than the values'.
	Mismatches []Mismatch
	// Detail is the client's own description if there is no status, such as "the connection
	// was reset".
	Detail string

	// early reports whether Send asks again because the list is new.
	early bool
}

// Mismatch is a field with a value of another type than it has in Iterable.
type Mismatch struct{ Field, Expected, Incoming string }

// Error returns what failed and what to do about it.
func (e *Error) Error() string {
	if e.early {
		return fmt.Sprintf("Iterable, %s: Iterable does not know the new list yet; it is asked again by itself", e.Endpoint)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Iterable, %s: ", e.Endpoint)
	if e.Status != 0 {
		fmt.Fprintf(&b, "HTTP %d", e.Status)
		if text := http.StatusText(e.Status); text != "" {
			b.WriteString(" " + text)
		}
	}
	if e.Code != "" {
		fmt.Fprintf(&b, " (%s)", e.Code)
	}
	if e.Detail != "" {
		if e.Status != 0 {
			b.WriteString(", ")
		}
		b.WriteString(e.Detail)
	}
	if todo := advice[e.Class]; todo != "" {
		b.WriteString(": " + todo)
	}
	return b.String()
}

// retryable reports whether the same request may succeed later.
func (e *Error) retryable() bool { return e.Class == Transient || e.Class == Throttled }

// Type returns the name under which the error crosses an activity's boundary, empty
// for temporary errors.
func (e *Error) Type() schemas.ErrorType {
	switch e.Class {
	case Transient, Throttled:
		return ""
	case KeyRejected:
		return schemas.ErrorKeyRejected
	case Forbidden:
		return schemas.ErrorKeyForbidden
	case WrongRegion:
		return schemas.ErrorWrongRegion
	case NoKey:
		return schemas.ErrorNoKey
	case UnknownList, NotFound:
		return schemas.ErrorListGone
	default:
		return schemas.ErrorRequestRefused
	}
}

// ClassOf returns the class of the first *Error in err's chain, or "".
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return ""
}

// codes are the known error codes of Iterable. Other codes are not repeated: they could
// contain anything.
var codes = func() map[string]bool {
	known := map[string]bool{}
	for _, c := range api.Codes {
		known[c] = true
	}
	return known
}()

// otherCode replaces every code that is not in codes.
const otherCode = "other"

// classify returns the class of an answer by its status, and by its code for 400, 409 and
// 422.
func classify(status int, code string) Class {
	switch {
	case status == http.StatusTooManyRequests:
		return Throttled
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
		return Transient
	case status == http.StatusRequestEntityTooLarge:
		return TooLarge
	case status == http.StatusUnauthorized:
		return KeyRejected
	case status == http.StatusForbidden:
		return Forbidden
	case status == http.StatusNotFound:
		return NotFound
	case status == http.StatusBadRequest, status == http.StatusConflict, status == http.StatusUnprocessableEntity:
		switch code {
		case api.CodeBatchTooLarge:
			return TooLarge
		case api.CodeFieldTypes:
			return FieldTypes
		case api.CodeFieldsLimit:
			return FieldsLimit
		case api.CodeRateLimit:
			return Throttled
		case api.CodeBadAPIKey:
			return KeyRejected
		}
		return BadRequest
	default:
		return Unexpected
	}
}

// maxRetryAfter is the longest pause that an answer can request, so that a broken header can't
// stop a connection for days.
const maxRetryAfter = 10 * time.Minute

// retryAfter parses a Retry-After header: seconds, or a date. Anything else, or in the past,
// is no pause.
func retryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if header == "" {
		return 0
	}
	var d time.Duration
	if seconds, err := strconv.ParseFloat(header, 64); err == nil {
		if !(seconds > 0) { // NaN as well
			return 0
		}
		d = time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
	} else if at, err := http.ParseTime(header); err == nil {
		d = at.Sub(now)
	}
	return max(0, min(d, maxRetryAfter))
}
