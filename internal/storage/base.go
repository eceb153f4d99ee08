package storage

import (
	"fmt"
	"slices"
	"strings"
)

// Base returns the place that holds all files of a source, in a form that Within allows: the
// source itself, or what comes before its first element with a wildcard. pattern reports whether
// it has one.
func Base(source string) (base string, pattern bool, err error) {
	if !isBucket(source) {
		loc, err := parseLocation(source)
		if err != nil {
			return "", false, fmt.Errorf("source %q: %w", source, err)
		}
		loc.settle()
		return loc.base, loc.pattern != "", nil
	}
	if _, err := parseBucketURL(source); err != nil {
		return "", false, fmt.Errorf("source %q: %w", source, err)
	}
	address, query, hasQuery := strings.Cut(source, "?")
	elements := strings.Split(address, "/")
	first := slices.IndexFunc(elements, func(e string) bool { return strings.ContainsAny(e, wildcards) })
	if first < 0 {
		return source, false, nil
	}
	if base = strings.Join(elements[:first], "/"); hasQuery {
		base += "?" + query
	}
	return base, true, nil
}
