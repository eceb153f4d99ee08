package reference

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"iterable-segment-export/schemas"
)

// Object is a JSON object.
type Object = map[string]any

// JSONSchema returns the JSON Schema of a Go type's JSON. It adds named structs to types,
// which at refers to, such as "#/$defs/".
func JSONSchema(t reflect.Type, types Object, at string) Object {
	of := func(t reflect.Type) Object { return JSONSchema(t, types, at) }
	switch t {
	case reflect.TypeFor[time.Time]():
		return Object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[schemas.Duration](), reflect.TypeFor[[]byte]():
		return Object{"type": "string"}
	case reflect.TypeFor[schemas.OneOrMore]():
		return Object{"anyOf": []Object{{"type": "string"}, {"type": []string{"array", "null"}, "items": Object{"type": "string"}}}}
	case reflect.TypeFor[schemas.Literal]():
		return Object{"type": []string{"string", "number", "boolean"}}
	case reflect.TypeFor[schemas.Schedule](), reflect.TypeFor[schemas.NotifyURL](), reflect.TypeFor[schemas.Fields]():
		return Object{"description": "as in the file of exports (exports.schema.json)"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return Object{"anyOf": []Object{of(t.Elem()), {"type": "null"}}}
	case reflect.Slice:
		return Object{"type": []string{"array", "null"}, "items": of(t.Elem())}
	case reflect.Map:
		return Object{"type": []string{"object", "null"}, "additionalProperties": of(t.Elem())}
	case reflect.String:
		return Object{"type": "string"}
	case reflect.Bool:
		return Object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return Object{"type": "integer"}
	case reflect.Float64:
		return Object{"type": "number"}
	case reflect.Interface:
		return Object{}
	case reflect.Struct:
		name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
		s, ok := types[name].(Object)
		if properties, built := s["properties"].(Object); built {
			again := Object{}
			fields(t, func(reflect.Type) Object { return nil }, again, new([]string))
			if !maps.EqualFunc(again, properties, func(any, any) bool { return true }) {
				panic(fmt.Sprintf("two types are called %s in the schema: rename %s", name, t))
			}
		}
		if !ok {
			s = Object{}
			types[name] = s // before its fields, which may lead back to it
			properties, required := Object{}, []string{}
			fields(t, of, properties, &required)
			s["type"], s["properties"], s["additionalProperties"] = "object", properties, false
			if len(required) > 0 {
				slices.Sort(required)
				s["required"] = required
			}
		}
		return Object{"$ref": at + name}
	}
	panic("no schema of " + t.String())
}

func fields(t reflect.Type, of func(reflect.Type) Object, properties Object, required *[]string) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			fields(f.Type, of, properties, required)
		case !f.IsExported() || name == "-":
		default:
			properties[name] = of(f.Type)
			if !strings.Contains(options, "omit") {
				*required = append(*required, name)
			}
		}
	}
}
