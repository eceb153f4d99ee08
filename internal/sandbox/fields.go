package sandbox

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"iterable-segment-export/internal/iterable/api"
)

// The types that fields can have, as GET /api/users/getFields names them.
var kinds = map[string]bool{"boolean": true, "long": true, "double": true, "date": true, "string": true, "object": true, "array": true, "geo_location": true}

// date is what makes a string a date (iterable-go): a day, a day and a time with
// or without an offset, or the forms with T and milliseconds.
var date = regexp.MustCompile(`^"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d( [+-]\d\d:\d\d)?|T\d\d:\d\d:\d\d\.\d{3}([+-]\d\d:\d\d|Z))?"$`)

// kindOf returns the type that a value gives a new field; null has none.
func kindOf(field string, value []byte) string {
	switch value[0] {
	case '"':
		if date.Match(value) {
			return "date"
		}
		return "string"
	case '{':
		if strings.HasSuffix(field, "_geo_location") {
			return "geo_location"
		}
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "boolean"
	case 'n':
		return ""
	}
	if bytes.ContainsAny(value, ".eE") {
		return "double"
	}
	return "long"
}

// fit reports whether a value of one type can stand in a field of another; any
// value can in a field that is new.
func fit(value, field string) bool {
	return value == field || field == "" || value == "" || value == "long" && field == "double" || value == "date" && field == "string"
}

// readFields reads each row's dataFields, and refuses the request as a whole
// where the config does.
func (p *project) readFields(rows []row, c *Config) error {
	fresh := map[string]string{}
	for i := range rows {
		x := &rows[i]
		if len(x.data) == 0 || string(x.data) == "null" {
			continue
		}
		if x.data[0] != '{' {
			return badParams("dataFields: expected an object")
		}
		if err := json.Unmarshal(x.data, &x.values); err != nil {
			return badJSON(err.Error())
		}
		var tight bytes.Buffer
		if err := json.Compact(&tight, x.data); err != nil {
			return badJSON(err.Error())
		}
		x.data = tight.Bytes()
		if email := ""; p.kind != EmailProject && !x.hasEmail && json.Unmarshal(x.values["email"], &email) == nil {
			x.email, x.hasEmail, x.emailInData = strings.ToLower(email), true, true
			delete(x.values, "email")
		}
		if !c.RefuseMismatches && c.MaxFields == 0 {
			continue
		}
		for name, value := range x.values {
			kind, known := kindOf(name, value), p.fields[name]
			if known == "" {
				known = fresh[name]
			}
			if c.RefuseMismatches && !fit(kind, known) {
				return mismatch(name, known, kind, value)
			}
			if known == "" && kind != "" {
				fresh[name] = kind
			}
		}
	}
	if c.MaxFields > 0 && len(fresh) > 0 && !p.drops && len(p.fields)+len(fresh) > c.MaxFields {
		return failure(http.StatusBadRequest, api.CodeFieldsLimit, "The project would have too many user profile fields")
	}
	return nil
}

// mismatch names the field, and holds the value: who reads it must not pass that on.
func mismatch(field, want, got string, value json.RawMessage) answer {
	return jsonAnswer(http.StatusBadRequest, api.Status{
		Msg: "Request fields types mismatched: " + field, Code: api.CodeFieldTypes,
		Params: map[string]any{"validationErrors": map[string]any{field: map[string]any{
			"incomingTypes": []string{got}, "expectedType": want, "category": "user", "offendingValue": value,
		}}},
	})
}

// fits reports whether all of a row's values are of their fields' types.
func (p *project) fits(x row) bool {
	for name, value := range x.values {
		if !fit(kindOf(name, value), p.fields[name]) {
			return false
		}
	}
	return true
}

// createFields gives the row's new fields the types of their values, or drops
// them where the project does.
func (p *project) createFields(x row, out *result) {
	var fresh []string
	for name, value := range x.values {
		if p.fields[name] == "" && kindOf(name, value) != "" {
			fresh = append(fresh, name)
		}
	}
	slices.Sort(fresh)
	for _, name := range fresh {
		if !p.drops {
			p.fields[name] = kindOf(name, x.values[name])
			out.CreatedFields = append(out.CreatedFields, name)
		} else if !slices.Contains(out.FilteredOutFields, name) {
			out.FilteredOutFields = append(out.FilteredOutFields, name)
		}
	}
}

func (s *Server) getFields(p *project, _ *http.Request, _ []byte) answer {
	return jsonAnswer(http.StatusOK, api.FieldsAnswer{Fields: p.fields})
}
