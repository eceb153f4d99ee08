package iterable

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"iterable-segment-export/internal/iterable/api"
)

// maxAnswer is the maximum size of an answer in bytes. The largest plausible one lists every
// profile of a 4 MB request twice.
const maxAnswer = 16 << 20

// maxErrorAnswer is the maximum size of an error's answer in bytes: only its code is needed.
const maxErrorAnswer = 256 << 10

// errTooLarge is an answer beyond its limit.
var errTooLarge = errors.New("the answer is too large")

// Result is Iterable's answer to a subscribe or an unsubscribe.
type Result struct {
	// SuccessCount and FailCount count subscribers.
	SuccessCount, FailCount int
	// CreatedFields are the data fields that did not exist before.
	CreatedFields []string
	// FilteredOutFields are the data fields that Iterable ignored.
	FilteredOutFields []string
	Failed            Failed
}

// Failed are the refused profiles, by Iterable's reason. Addresses are in lower case, whatever
// was sent.
type Failed = api.FailedUpdates

// decodeResult reads the answer to a subscribe or an unsubscribe.
func decodeResult(data []byte) (Result, error) {
	var a api.UpdateAnswer
	if err := decodeJSON(data, &a); err != nil {
		return Result{}, err
	}
	if a.SuccessCount == nil || *a.SuccessCount < 0 || a.FailCount != nil && *a.FailCount < 0 {
		return Result{}, errors.New("the answer has no usable counts")
	}
	r := Result{SuccessCount: *a.SuccessCount, CreatedFields: a.CreatedFields, FilteredOutFields: a.FilteredOutFields, Failed: a.FailedUpdates}
	r.Failed.InvalidEmails = union(r.Failed.InvalidEmails, a.InvalidEmails, strings.ToLower)
	r.Failed.InvalidUserIDs = union(r.Failed.InvalidUserIDs, a.InvalidUserIDs, func(id string) string { return id })
	if a.FailCount != nil {
		r.FailCount = *a.FailCount
	}
	return r, nil
}

// union adds to a list the elements of its twin that it does not have. Elements are equal if
// fold makes them equal.
func union(list, twin []string, fold func(string) string) []string {
	if len(twin) == 0 {
		return list
	}
	have := make(map[string]bool, len(list)+len(twin))
	for _, v := range list {
		have[fold(v)] = true
	}
	for _, v := range twin {
		if k := fold(v); !have[k] {
			have[k] = true
			list = append(list, v)
		}
	}
	return list
}

// List is a list in Iterable.
type List struct {
	ID          int64
	Name        string
	Description string
	// Type is "Standard", "Dynamic", "Suppression" or "Internal".
	Type string
	// CreatedAt is zero if the answer does not have it.
	CreatedAt time.Time
}

// decodeForgotten reads the answer to GET /api/users/forgotten or forgottenUserIds.
func decodeForgotten(data []byte) ([]string, error) {
	var a api.ForgottenAnswer
	if err := decodeJSON(data, &a); err != nil {
		return nil, err
	}
	switch {
	case a.HashedEmails != nil:
		return *a.HashedEmails, nil
	case a.HashedUserIDs != nil:
		return *a.HashedUserIDs, nil
	}
	return nil, errors.New("the answer has no hashes")
}

// decodeLists reads the answer to GET /api/lists.
func decodeLists(data []byte) ([]List, error) {
	var a struct {
		Lists *[]struct {
			ID          *int64          `json:"id"`
			Name        string          `json:"name"`
			Description string          `json:"description"`
			ListType    string          `json:"listType"`
			CreatedAt   json.RawMessage `json:"createdAt"`
		} `json:"lists"`
	}
	if err := decodeJSON(data, &a); err != nil {
		return nil, err
	}
	if a.Lists == nil {
		return nil, errors.New("the answer has no lists")
	}
	lists := make([]List, len(*a.Lists))
	for i, l := range *a.Lists {
		if l.ID == nil {
			return nil, errors.New("the answer has a list without an id")
		}
		lists[i] = List{ID: *l.ID, Name: l.Name, Description: l.Description, Type: l.ListType}
		if ms, err := strconv.ParseInt(string(l.CreatedAt), 10, 64); err == nil {
			lists[i].CreatedAt = time.UnixMilli(ms).UTC()
		}
	}
	return lists, nil
}

// decodeCreated reads the answer to POST /api/lists.
func decodeCreated(data []byte) (int64, error) {
	var a api.CreateListAnswer
	if err := decodeJSON(data, &a); err != nil {
		return 0, err
	}
	if a.ListID == nil {
		return 0, errors.New("the answer has no list id")
	}
	return *a.ListID, nil
}

// decodeFields reads the answer to GET /api/users/getFields.
func decodeFields(data []byte) (map[string]string, error) {
	var a struct {
		Fields *map[string]string `json:"fields"`
	}
	if err := decodeJSON(data, &a); err != nil {
		return nil, err
	}
	if a.Fields == nil {
		return nil, errors.New("the answer has no fields")
	}
	return *a.Fields, nil
}

// decodeSize reads the answer to GET /api/lists/{id}/size, a number as text.
func decodeSize(data []byte) (int64, error) {
	n, err := strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New("the answer is not a number")
	}
	return n, nil
}

// decodeJSON reads one JSON object. Its errors do not contain the content.
func decodeJSON(data []byte, v any) error {
	data = bytes.TrimSpace(data)
	if len(data) == 0 || data[0] != '{' {
		return errors.New("the answer is not JSON")
	}
	if err := json.Unmarshal(data, v); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return errors.New("the answer is cut off or not JSON")
		}
		return errors.New("the answer has values of unexpected types")
	}
	return nil
}

// decodeError reads the answer of an error: the code (one of codes, "other", or "" if it has
// none), whether the list is unknown, and the fields with a mismatched type.
func decodeError(data []byte) (code string, unknownList bool, mismatches []Mismatch) {
	var a struct {
		Code   json.RawMessage `json:"code"`
		Msg    json.RawMessage `json:"msg"`
		Params struct {
			ValidationErrors map[string]api.TypeMismatch `json:"validationErrors"`
		} `json:"params"`
	}
	// A part of another shape is ignored, and so is its error.
	if err := decodeJSON(data, &a); err != nil && len(a.Code) == 0 && len(a.Msg) == 0 {
		return "", false, nil
	}
	if len(a.Code) > 0 && string(a.Code) != "null" {
		if json.Unmarshal(a.Code, &code) != nil || !codes[code] {
			code = otherCode
		}
	}
	for field, m := range a.Params.ValidationErrors {
		mismatches = append(mismatches, Mismatch{Field: field, Expected: m.ExpectedType, Incoming: strings.Join(m.IncomingTypes, ", ")})
	}
	slices.SortFunc(mismatches, func(a, b Mismatch) int { return strings.Compare(a.Field, b.Field) })
	return code, bytes.Contains(a.Msg, []byte(api.InvalidListIDMarker)), mismatches
}

// readBounded reads at most limit bytes, and fails beyond them.
func readBounded(r io.Reader, limit int64) ([]byte, error) {
	var buf bytes.Buffer
	n, err := buf.ReadFrom(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if n > limit {
		return nil, errTooLarge
	}
	return buf.Bytes(), nil
}
