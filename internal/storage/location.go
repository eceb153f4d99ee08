package storage

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const fileScheme = "file"

// location is a parsed local path, with or without wildcards.
type location struct {
	// literal is the source as an absolute, clean path, with wildcards taken
	// literally.
	literal string
	// base is the part before the first element with a wildcard, and pattern
	// the rest, with slashes; pattern is empty if there is no wildcard.
	base, pattern string
}

var schemePattern = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)://(.*)$`)

// splitScheme splits "scheme://rest"; the scheme is empty for a plain path.
func splitScheme(s string) (scheme, rest string) {
	m := schemePattern.FindStringSubmatch(s)
	if m == nil {
		return "", s
	}
	return strings.ToLower(m[1]), m[2]
}

// wildcards are the characters that make a path element a pattern.
const wildcards = `*?[{`

// parseLocation parses a plain path or a file:// URL. Relative paths are relative to
// the working directory.
func parseLocation(source string) (location, error) {
	if source == "" {
		return location{}, errors.New("the path is empty")
	}
	scheme, rest := splitScheme(source)
	literal, pattern := rest, rest
	switch scheme {
	case "":
	case fileScheme:
		host, path, found := strings.Cut(rest, "/")
		if !found || host != "" && host != "localhost" {
			return location{}, fmt.Errorf("a file URL has three slashes and an absolute path, as in file:///srv/segments; this one has the host %q", host)
		}
		var err error
		if literal, err = url.PathUnescape("/" + path); err != nil {
			return location{}, fmt.Errorf("the URL's percent-encoding is invalid: %w", err)
		}
		pattern = decodePattern("/" + path)
	default:
		return location{}, fmt.Errorf("unknown scheme %s://; use a local path or file://", scheme)
	}
	if strings.ContainsRune(literal, 0) {
		return location{}, errors.New("the path contains a NUL byte")
	}
	var loc location
	var err error
	if loc.literal, err = filepath.Abs(literal); err != nil {
		return location{}, err
	}
	loc.base = loc.literal
	if !strings.ContainsAny(pattern, wildcards) {
		return loc, nil
	}
	return loc, loc.setPattern(pattern)
}

// settle takes the wildcards of a source literally if a file of that name exists.
func (l *location) settle() {
	if _, err := os.Lstat(l.literal); err == nil {
		l.base, l.pattern = l.literal, ""
	}
}

// setPattern sets base and pattern. It rejects ".." in the pattern, which could lead
// anywhere once a wildcard has matched.
func (l *location) setPattern(pattern string) error {
	base, rest := splitPattern(pattern)
	if base == "" && strings.HasPrefix(pattern, "/") {
		base = "/"
	}
	var err error
	if l.base, err = filepath.Abs(base); err != nil {
		return err
	}
	if slices.Contains(pathElements(rest), "..") {
		return errors.New(`".." can't follow a wildcard`)
	}
	elements := slices.DeleteFunc(strings.Split(rest, "/"), func(e string) bool { return e == "" || e == "." })
	l.pattern = strings.Join(elements, "/")
	return nil
}

// splitPattern splits a pattern before its first element with a wildcard. The base
// is unescaped.
func splitPattern(pattern string) (base, rest string) {
	elements := strings.Split(pattern, "/")
	first := slices.IndexFunc(elements, func(e string) bool { return strings.ContainsAny(e, wildcards) })
	if first < 0 {
		first = len(elements)
	}
	return unescapePattern(strings.Join(elements[:first], "/")), strings.Join(elements[first:], "/")
}

// pathElements returns the elements of a path or pattern, the alternatives in its
// braces included.
func pathElements(pattern string) []string {
	return strings.FieldsFunc(pattern, func(c rune) bool { return strings.ContainsRune(`/{},\`, c) })
}

// decodePattern undoes a URL's percent-encoding. It escapes encoded wildcards, which
// stand for the characters themselves.
func decodePattern(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if s, err := url.PathUnescape(path[i : i+3]); err == nil {
				if strings.ContainsAny(s, wildcards+`\]}`) {
					b.WriteByte('\\')
				}
				b.WriteString(s)
				i += 2
				continue
			}
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

// unescapePattern removes the backslashes that decodePattern added.
func unescapePattern(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// fileURL returns the URL of an absolute path.
func fileURL(path string) string {
	return (&url.URL{Scheme: fileScheme, Path: filepath.ToSlash(path)}).String()
}
