package storage

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const fileScheme = "file"

// location is a parsed source: a local path, with wildcards or without.
type location struct {
	// literal is the source as a path, in case its wildcards are no wildcards;
	// absolute and clean.
	literal string
	// base is the part before the first element with a wildcard, and pattern
	// the rest, with slashes; pattern is empty where there is no wildcard.
	base, pattern string
}

var schemePattern = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)://(.*)$`)

// splitScheme cuts "scheme://rest"; the scheme is empty for a plain path.
func splitScheme(s string) (scheme, rest string) {
	m := schemePattern.FindStringSubmatch(s)
	if m == nil {
		return "", s
	}
	return strings.ToLower(m[1]), m[2]
}

// wildcards are the characters that make an element of a path a pattern.
const wildcards = `*?[{`

// parseLocation understands plain paths, relative ones being relative to the
// working directory, and file:// URLs.
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
			return location{}, fmt.Errorf("a file URL has three slashes and an absolute path, as in file:///srv/segments; this one names the host %q", host)
		}
		var err error
		if literal, err = url.PathUnescape("/" + path); err != nil {
			return location{}, fmt.Errorf("the URL has a wrong percent-encoding: %w", err)
		}
		pattern = decodePattern("/" + path)
	default:
		return location{}, fmt.Errorf("%s:// is not a kind of place that this program reads from; local paths and file:// are", scheme)
	}
	if strings.ContainsRune(literal, 0) {
		return location{}, errors.New("the path has a NUL byte in it")
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
	return loc, loc.splitPattern(pattern)
}

// settle makes the base of a source that exists as it stands: its wildcards are
// none then.
func (l *location) settle() {
	if _, err := os.Lstat(l.literal); err == nil {
		l.base, l.pattern = l.literal, ""
	}
}

// splitPattern parts the fixed folders from the elements with wildcards. "..",
// which could lead anywhere once a wildcard has matched, is refused there.
func (l *location) splitPattern(pattern string) error {
	elements := strings.Split(pattern, "/")
	first := 0
	for !strings.ContainsAny(elements[first], wildcards) {
		first++
	}
	base := strings.Join(elements[:first], "/")
	switch {
	case first == 0:
		base = "."
	case base == "":
		base = "/"
	}
	var err error
	if l.base, err = filepath.Abs(unescapePattern(base)); err != nil {
		return err
	}
	var rest []string
	for _, e := range elements[first:] {
		if e != "" && e != "." {
			rest = append(rest, e)
		}
	}
	l.pattern = strings.Join(rest, "/")
	for _, e := range strings.FieldsFunc(l.pattern, func(c rune) bool { return strings.ContainsRune("/{},\\", c) }) {
		if e == ".." {
			return errors.New(`".." can't follow a wildcard`)
		}
	}
	return nil
}

// decodePattern undoes the percent-encoding of a URL; an encoded wildcard means
// the character itself.
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

// unescapePattern takes the backslashes out that decodePattern put in.
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

// fileURL is the URL of an absolute path.
func fileURL(path string) string {
	return (&url.URL{Scheme: fileScheme, Path: filepath.ToSlash(path)}).String()
}
