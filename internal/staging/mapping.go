package staging

import (
	"fmt"
	"slices"

	"iterable-segment-export/internal/mapping"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/schemas"
)

// CompileMapping compiles the mapping of the columns that are sent.
func CompileMapping(e schemas.Export, l schemas.Limits, seg *segment.Segment) (*mapping.Mapper, error) {
	var fields []mapping.Column
	for i, c := range seg.Columns {
		if c.Role == segment.Field {
			f := c.Field
			fields = append(fields, mapping.Column{Index: i, Name: c.Name, As: f.As, Type: c.Type, Forced: f.Type, Transform: f.Transform, Nulls: f.Nulls, Default: f.Default})
		}
	}
	for _, f := range e.Fields.List {
		if f.Value != "" {
			fields = append(fields, mapping.Column{As: f.As, Value: f.Value})
		}
	}
	mapper, err := mapping.Compile(fields, mapping.Options{Nulls: e.Nulls, OnInvalid: e.OnInvalid, MostBytes: l.WithDefaults().MaxBodyBytes})
	if err != nil {
		return nil, step.NeedOperator(schemas.ErrorBadExport, fmt.Sprintf("export %q: %v", e.Name, err))
	}
	return mapper, nil
}

// Fields returns the names of the data fields that an export makes of a segment, sorted.
func Fields(e schemas.Export, seg *segment.Segment) ([]string, error) {
	mapper, err := CompileMapping(e, schemas.Limits{}, seg)
	if err != nil {
		return nil, err
	}
	return FieldNames(mapper), nil
}

// FieldNames returns the names of a mapping's data fields, sorted.
func FieldNames(m *mapping.Mapper) []string {
	names := []string{}
	for _, f := range m.Fields() {
		names = append(names, f.Field)
	}
	slices.Sort(names)
	return names
}
