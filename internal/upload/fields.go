package upload

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/schemas"
)

// columnAtFault turns an error that names fields into one that names their columns. It does
// not repeat a name that is not a mapped field: it could be anything.
func columnAtFault(err error, in schemas.UploadInput) error {
	var e *iterable.Error
	if !errors.As(err, &e) || len(e.Mismatches) == 0 {
		return err
	}
	var clashes []string
	for _, m := range e.Mismatches {
		if of := mapped(in.Fields, m.Field); of != nil {
			kind := ""
			if of.Type != "" && of.Field == m.Field {
				kind = " as " + of.Type
			}
			clashes = append(clashes, fmt.Sprintf("column %q is sent%s in field %q, which has another type in Iterable", of.Column, kind, of.Field))
		}
	}
	if len(clashes) == 0 {
		return err
	}
	return step.NeedOperator(schemas.ErrorFieldTypes, fmt.Sprintf(
		"connection %q: Iterable refuses the values of a field: %s; change the segment's column or the field in Iterable and retry, or abort, change the export's mapping and run it again",
		in.Connection.Name, strings.Join(clashes, "; ")))
}

// mapped returns the mapped field of a name, the one that contains it (rows name the
// fields of a map), or nil.
func mapped(fields []schemas.MappedField, name string) (of *schemas.MappedField) {
	for i, f := range fields {
		if (f.Field == name || strings.HasPrefix(name, f.Field+".")) && (of == nil || len(f.Field) > len(of.Field)) {
			of = &fields[i]
		}
	}
	return of
}

// namesOf returns the mapped fields of the names. Other names come from the rows, so they
// are not repeated.
func namesOf(fields []schemas.MappedField, names []string) (out []string) {
	for _, name := range names {
		known := "a field that the rows name"
		if f := mapped(fields, name); f != nil {
			if known = f.Field; known != name {
				known += ".*"
			}
		}
		if !slices.Contains(out, known) {
			out = append(out, known)
		}
	}
	return out
}
