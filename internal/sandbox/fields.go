package sandbox

import (
	"cmp"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"iterable-segment-export/internal/iterable/api"
)

// date matches strings that are dates (iterable-go): a day, a day and a time with or without
// an offset, or the forms with T and milliseconds.
var date = regexp.MustCompile(`^\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d( [+-]\d\d:\d\d)?|T\d\d:\d\d:\d\d\.\d{3}([+-]\d\d:\d\d|Z))?$`)

// typeOf returns the type of a new field with that value, as in users/getFields; for null it
// returns "".
func typeOf(field string, value any) string {
	switch v := value.(type) {
	case string:
		if date.MatchString(v) {
			return "date"
		}
		return "string"
	case map[string]any:
		if strings.HasSuffix(field, "_geo_location") {
			return "geo_location"
		}
		return "object"
	case []any:
		return "array"
	case bool:
		return "boolean"
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "double"
		}
		return "long"
	}
	return ""
}

// fit reports whether a value of one type fits a field of another type. Every value fits a new
// field.
func fit(value, field string) bool {
	return value == field || field == "" || value == "" || value == "long" && field == "double" || value == "date" && field == "string"
}

// fits reports whether all values of a row fit their fields.
func (s *Server) fits(x row) bool {
	for name, value := range x.values {
		if !fit(typeOf(name, value), s.fields[name]) {
			return false
		}
	}
	return true
}

// checkFields refuses a request with a value of another type than its field, if the config has
// RefuseMismatches.
func (s *Server) checkFields(rows []row) {
	fresh := map[string]string{}
	for _, x := range rows {
		for name, value := range x.values {
			kind, known := typeOf(name, value), cmp.Or(s.fields[name], fresh[name])
			if s.config.RefuseMismatches && !fit(kind, known) {
				panic(mismatch(name, known, kind, value))
			}
			fresh[name] = cmp.Or(known, kind)
		}
	}
}

// mismatch returns an answer with the field and its value. Clients must not repeat the value.
func mismatch(field, want, got string, value any) answer {
	return jsonAnswer(http.StatusBadRequest, api.Status{
		Msg: "Request fields types mismatched: " + field, Code: api.CodeFieldTypes,
		Params: map[string]any{"validationErrors": map[string]any{field: map[string]any{
			"incomingTypes": []string{got}, "expectedType": want, "category": "user", "offendingValue": value,
		}}},
	})
}

// newFields creates the row's new fields with the types of their values, or drops them.
func (s *Server) newFields(x row, create bool, out *result) {
	for name, value := range x.values {
		switch kind := typeOf(name, value); {
		case s.fields[name] != "":
		case kind == "":
			delete(x.values, name)
		case create:
			s.fields[name] = kind
			out.Created = append(out.Created, name)
		default:
			delete(x.values, name)
			if !slices.Contains(out.Filtered, name) {
				out.Filtered = append(out.Filtered, name)
			}
		}
	}
	slices.Sort(out.Created)
	slices.Sort(out.Filtered)
}

func (s *Server) getFields(*http.Request, []byte) answer {
	return jsonAnswer(http.StatusOK, api.FieldsAnswer{Fields: s.fields})
}
