package sandbox

import (
	"net/http"
	"slices"
)

// checkFields gives the types that the request's fields have in the project,
// kindNone for those that are new, or why the request as a whole is refused.
func (p *project) checkFields(b *batch, c *Config) ([]valueKind, *apiError) {
	kinds := make([]valueKind, len(b.names))
	for i, name := range b.names {
		kinds[i] = p.fields[name]
	}
	if c.MaxFields == 0 && !c.RefuseMismatches {
		return kinds, nil
	}
	first, fresh := slices.Clone(kinds), 0
	for i := range b.rows {
		row := &b.rows[i]
		for _, v := range b.values[row.from:row.to] {
			switch {
			case first[v.name] == kindNone:
				first[v.name] = v.kind
				fresh++
			case c.RefuseMismatches && !fits(v.kind, first[v.name]):
				return nil, mismatch(row, b.names[v.name], first[v.name], v.kind)
			}
		}
	}
	if c.MaxFields > 0 && fresh > 0 && len(p.fields)+fresh > c.MaxFields {
		return nil, &apiError{status: http.StatusBadRequest, Code: "UniqueFieldsLimitExceeded",
			Msg:    "The project would have too many user profile fields",
			Params: map[string]any{"limit": c.MaxFields}}
	}
	return kinds, nil
}

// mismatch names the person, as Iterable's messages may: what reads them must
// not pass them on.
func mismatch(row *subscriber, field string, want, got valueKind) *apiError {
	who := string(row.email)
	if row.email == nil {
		who = string(row.userID)
	}
	return &apiError{status: http.StatusBadRequest, Code: "RequestFieldsTypesMismatched",
		Msg: "Field " + field + " of " + who + " is of another type than in the project",
		Params: map[string]any{"field": field, "user": who,
			"expected": want.String(), "received": got.String()}}
}

// fits says whether all of a row's values are of their fields' types.
func (b *batch) fits(row *subscriber, kinds []valueKind) bool {
	for _, v := range b.values[row.from:row.to] {
		if !fits(v.kind, kinds[v.name]) {
			return false
		}
	}
	return true
}

// createFields gives the row's new fields the types of their values.
func (p *project) createFields(b *batch, row *subscriber, kinds []valueKind, result *updateResult) {
	for _, v := range b.values[row.from:row.to] {
		if kinds[v.name] == kindNone {
			name := b.names[v.name]
			kinds[v.name], p.fields[name] = v.kind, v.kind
			result.CreatedFields = append(result.CreatedFields, name)
		}
	}
}

// fits says whether a value of one kind can stand in a field of another; any
// value can in a field that is new.
func fits(value, field valueKind) bool {
	return value == field || field == kindNone || value == kindLong && field == kindDouble || value == kindDate && field == kindString
}

// getFields answers GET /api/users/getFields.
func (p *project) getFields() answer {
	p.mu.RLock()
	defer p.mu.RUnlock()
	fields := make(map[string]string, len(p.fields))
	for name, kind := range p.fields {
		fields[name] = kind.String()
	}
	return jsonAnswer(http.StatusOK, map[string]any{"fields": fields})
}
