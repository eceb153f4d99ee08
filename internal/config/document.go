package config

import (
	"strconv"
	"strings"
)

// document is a YAML file as JSON values, with the places that they stand at.
type document struct {
	root any
	// values and keys are places by the path of the value, as pointer gives it.
	values, keys map[string]position
	// bad are the paths of values that something is known to be wrong with.
	bad map[string]bool
	// meant are the paths that a misspelt key was probably meant for.
	meant map[string]bool
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// pointer is the JSON pointer of a path, the key of document's maps.
func pointer(path []string) string {
	var b strings.Builder
	for _, p := range path {
		b.WriteByte('/')
		b.WriteString(pointerEscapes.Replace(p))
	}
	return b.String()
}

// at is the place of the value at a path, or of the nearest value around it.
func (d *document) at(path ...string) position {
	for ; ; path = path[:len(path)-1] {
		if p, ok := d.values[pointer(path)]; ok || len(path) == 0 {
			return p
		}
	}
}

// atKey is the place of the key at a path.
func (d *document) atKey(path ...string) position {
	if p, ok := d.keys[pointer(path)]; ok {
		return p
	}
	return d.at(path...)
}

// get is the value at a path, nil where there is none.
func (d *document) get(path ...string) any {
	v := d.root
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

// has tells whether something stands at a path, be it empty or misspelt.
func (d *document) has(path ...string) bool {
	_, ok := d.values[pointer(path)]
	return ok || d.meant[pointer(path)]
}

// sane tells whether something stands at a path with which nothing is wrong.
func (d *document) sane(path ...string) bool {
	return d.get(path...) != nil && !d.bad[pointer(path)]
}

// sound is a copy of the document's root without the values that something is
// wrong with, which can be decoded to look for further problems.
func (d *document) sound() any { return d.copySound(d.root, nil) }

func (d *document) copySound(v any, path []string) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			if at := child(path, key); !d.bad[pointer(at)] {
				out[key] = d.copySound(value, at)
			}
		}
		return out
	case []any:
		out := make([]any, len(v)) // items keep their numbers
		for i, value := range v {
			if at := child(path, strconv.Itoa(i)); !d.bad[pointer(at)] {
				out[i] = d.copySound(value, at)
			}
		}
		return out
	default:
		return v
	}
}

// child is the path of a value inside the one at path.
func child(path []string, name string) []string {
	return append(path[:len(path):len(path)], name)
}
