package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// errNotAllowed is the error of a source outside the allowed paths.
var errNotAllowed = errors.New("not under a path that this connection's configuration allows")

// Within returns a source in the form for List if it is one of the allowed places or in
// one; otherwise it returns an error. Places are plain paths, file:// URLs or URLs
// of buckets. It resolves "..", symbolic links, percent-encoding and relative paths
// first. Of a pattern it checks the part before the first wildcard; the files that match
// can be symbolic links that lead elsewhere, so the caller checks each with
// WithinObject. An empty list allows nothing.
//
// The parameters of a bucket's URL (account, endpoint, region) come from the allowed
// place. A source with other parameters is not allowed, since they could direct the
// worker's credentials to another server.
func Within(source string, allowed []string) (string, error) {
	if isBucket(source) {
		return withinBucket(source, allowed)
	}
	loc, err := parseLocation(source)
	if err != nil {
		return "", fmt.Errorf("source %q: %w: %w", source, errNotAllowed, err)
	}
	loc.settle()
	if _, _, err := under(source, loc.base, allowed); err != nil {
		return "", err
	}
	return source, nil
}

func withinBucket(source string, allowed []string) (string, error) {
	where, err := parseBucketURL(source)
	if err != nil {
		return "", fmt.Errorf("source %q: %w: %w", source, errNotAllowed, err)
	}
	checked := where
	if strings.ContainsAny(where.pattern, wildcards) {
		checked.key, _ = splitPattern(where.pattern)
	}
	for _, a := range allowed {
		if !isBucket(a) {
			continue
		}
		place, err := parseBucketURL(a)
		if err != nil {
			return "", fmt.Errorf("allowed source %q: %w", a, err)
		}
		if place.holds(checked) {
			_, rest := splitScheme(source)
			rest, _, _ = strings.Cut(rest, "?")
			_, path, _ := strings.Cut(rest, "/")
			place.key, place.pattern = "", ""
			full := place.scheme + "://" + place.bucket + "/" + path
			if len(place.params) > 0 {
				full += "?" + place.params.Encode()
			}
			return full, nil
		}
	}
	return "", fmt.Errorf("source %q is %w", source, errNotAllowed)
}

// WithinObject is Within for a file that List found. OpenSource opens the returned object
// below the allowed place only, even if folders or links on its path change meanwhile.
func WithinObject(o Object, allowed []string) (Object, error) {
	if isBucket(o.URL) {
		_, err := withinBucket(o.URL, allowed)
		return o, err
	}
	loc, err := parseLocation(o.URL)
	if err != nil {
		return o, fmt.Errorf("%s: %w: %w", o.Name, errNotAllowed, err)
	}
	o.root, o.path, err = under(o.Name, loc.literal, allowed)
	return o, err
}

// under returns the allowed folder that a path is in and the rest of the path, both
// without symbolic links.
func under(name, path string, allowed []string) (root, rel string, err error) {
	path, err = resolve(path)
	if err != nil { // its text could reveal what exists elsewhere
		return "", "", fmt.Errorf("source %q is %w", name, errNotAllowed)
	}
	for _, a := range allowed {
		if isBucket(a) {
			continue
		}
		loc, err := parseLocation(a)
		if err != nil {
			return "", "", fmt.Errorf("allowed source %q: %w", a, err)
		}
		prefix, err := resolve(loc.literal)
		if err != nil {
			return "", "", fmt.Errorf("allowed source %q: %w", a, err)
		}
		rel, err := filepath.Rel(prefix, path)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		if rel == "." { // the allowed source is this file
			return filepath.Dir(path), filepath.Base(path), nil
		}
		return prefix, rel, nil
	}
	return "", "", fmt.Errorf("source %q is %w", name, errNotAllowed)
}

// resolve follows the symbolic links of a clean absolute path as far as it exists.
func resolve(path string) (string, error) {
	var missing []string
	for {
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			return filepath.Join(append([]string{real}, missing...)...), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		// The target of a dangling link could be created later, anywhere.
		if _, err := os.Lstat(path); err == nil {
			return "", fmt.Errorf("%s is a symbolic link to a missing file", path)
		}
		parent := filepath.Dir(path)
		if parent == path {
			return "", err
		}
		missing = append([]string{filepath.Base(path)}, missing...)
		path = parent
	}
}
