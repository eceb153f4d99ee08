package console

import (
	"strings"
	"unicode/utf8"
)

// Masked hides an address or a user id but for its first letter and the domain:
// ann@example.com becomes a•••@example.com. Of what is no address, the first
// letter is left.
func Masked(s string) string {
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
