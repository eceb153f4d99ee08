package config

import (
	"strconv"
	"strings"
)

// document is a YAML file as JSON values, with their positions.
type document struct {
	root any
	// values and keys are the positions of values and of their keys, by pointer.
	values, keys map[string]position
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// pointer returns the JSON pointer of a path, the key of document's maps.
func pointer(path []string) string {
	var b strings.Builder
	for _, p := range path {
		b.WriteByte('/')
		b.WriteString(pointerEscapes.Replace(p))
	}
	return b.String()
}

// at returns the position of the value at a path, or of the nearest value around it.
func (d *document) at(path ...string) position {
	for ; ; path = path[:len(path)-1] {
		if p, ok := d.values[pointer(path)]; ok || len(path) == 0 {
			return p
		}
	}
}

// atKey returns the position of the key at a path.
func (d *document) atKey(path ...string) position {
	if p, ok := d.keys[pointer(path)]; ok {
		return p
	}
	return d.at(path...)
}

// has reports whether there is a value at a path.
func (d *document) has(path ...string) bool {
	_, ok := d.values[pointer(path)]
	return ok
}

// get returns the part of a JSON value at a path, nil if there is none.
func get(v any, path ...string) any {
	for _, step := range path {
		switch in := v.(type) {
		case map[string]any:
			v = in[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

// child returns the path of a value inside the one at path.
func child(path []string, names ...string) []string {
	return append(path[:len(path):len(path)], names...)
}
