package console

import (
	"strings"
	"unicode/utf8"
)

// masked returns an address with all but its first letter and its domain hidden:
// ann@example.com becomes a•••@example.com. Of other text it keeps the first letter.
func masked(s string) string {
	if s == "" {
		return ""
	}
	name, domain, isAddress := strings.Cut(s, "@")
	if !isAddress || strings.ContainsAny(domain, "@ ") || name == "" {
		name, domain = s, ""
	}
	_, size := utf8.DecodeRuneInString(name)
	masked := name[:size] + "•••"
	if domain != "" {
		masked += "@" + domain
	}
	return masked
}
