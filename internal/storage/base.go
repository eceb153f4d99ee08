package storage

import (
	"fmt"
	"path/filepath"
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
			return "", false, fmt.Errorf("source %q: %w", named(source), err)
		}
		loc.settle()
		return loc.base, loc.pattern != "", nil
	}
	if _, err := parseBucketURL(source); err != nil {
		return "", false, fmt.Errorf("source %q: %w", named(source), err)
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

// Covers reports whether a source reads a file or a folder, with symbolic links followed. With whole,
// everything counts in the folder before the source's first wildcard. Parameters of a bucket that
// only one of the two names count as the same. What can't be resolved is covered.
func Covers(source, place string, whole bool) bool {
	base, pattern, path, apart, err := related(source, place)
	if apart || err != nil {
		return !apart
	}
	rel, err := filepath.Rel(base, path)
	if err != nil || !filepath.IsLocal(rel) {
		return false
	}
	w := walk{pattern: pattern}
	return whole || w.matches(filepath.ToSlash(rel))
}

// related returns the folder and the pattern of a source, and the path of a place in the same
// bucket or on this machine. apart reports whether it is elsewhere.
func related(source, place string) (base, pattern, path string, apart bool, err error) {
	if isBucket(source) != isBucket(place) {
		return "", "", "", true, nil
	}
	if isBucket(source) {
		of, err := parseBucketURL(source)
		if err != nil {
			return "", "", "", false, err
		}
		where, err := parseBucketURL(place)
		if err != nil {
			return "", "", "", false, err
		}
		apart = of.scheme != where.scheme || of.bucket != where.bucket
		theirs := where.withoutDefaults()
		for name, mine := range of.withoutDefaults() {
			apart = apart || theirs.Has(name) && !slices.Equal(theirs[name], mine)
		}
		base, pattern = splitPattern(of.pattern)
		return "/" + base, pattern, "/" + where.key, apart, nil
	}
	of, err := parseLocation(source)
	if err != nil {
		return "", "", "", false, err
	}
	where, err := parseLocation(place)
	if err != nil {
		return "", "", "", false, err
	}
	of.settle()
	if base, err = resolve(of.base); err == nil {
		path, err = resolve(where.literal)
	}
	return base, of.pattern, path, false, err
}
