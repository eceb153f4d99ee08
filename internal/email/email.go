// Package email validates addresses.
//
// An address is a dot-atom (RFC 5322), an @ and a domain name. White space around
// it is dropped; it is compared and sent in lower case, its domain in ASCII form.
// What RFC 5322 allows beyond that (quoted names, comments, IP addresses as
// domains) Iterable does not mail, and each is rejected with a reason of its own.
//
// Of several reasons it returns the first in this order: missing, control characters, the part
// before the @, not an address at all, the length, the domain. Lengths are those of the
// normalised form.
package email

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"iterable-segment-export/schemas"
)

// Options are the settings of Normalize.
type Options struct {
	// AllowUnknownTLD accepts top-level domains that are not in the ICANN part of
	// the public suffix list.
	AllowUnknownTLD bool
}

// Limits of an address, in bytes (RFC 5321, 4.5.3.1, with RFC 3696's erratum
// 1690; RFC 1035, 2.3.4 for the domain and its labels).
const (
	maxLocal   = 64
	maxAddress = 254
	maxLabel   = 63
)

// mostUnicodeDomain bounds the domain that is converted to ASCII, in bytes. Any
// that is longer is longer than an address can be in ASCII form, too.
const mostUnicodeDomain = 1024

// placeholderDomain is the domain of the addresses that Iterable generates for profiles
// without one.
const placeholderDomain = "placeholder.email"

// Normalize returns an address in the form in which it is compared and sent, or the reason why
// it can't be mailed. The address is a part of raw if nothing had to be changed, else it is in
// buf, which grows as needed; it is valid until raw or buf is changed. A plain ASCII address
// needs no allocation if buf has room for 254 bytes.
func Normalize(raw, buf []byte, o Options) ([]byte, schemas.Reason) {
	s := trim(raw)
	if len(s) == 0 {
		return nil, schemas.ReasonMissing
	}
	kinds := scan(s)
	at := bytes.LastIndexByte(s, '@')
	if kinds&hasControl != 0 || kinds&hasHigh != 0 && invisible(s, at) {
		return nil, schemas.ReasonControlCharacter
	}
	if at < 0 {
		return nil, schemas.ReasonSyntax
	}
	if reason := checkLocal(s[:at]); reason != "" {
		return nil, reason
	}
	domain := s[at+1:]
	switch {
	case len(domain) == 0:
		return nil, schemas.ReasonSyntax
	case domain[0] == '[' && domain[len(domain)-1] == ']':
		return nil, schemas.ReasonIPLiteral
	case kinds&hasHigh != 0 || hasACE(domain):
		return international(s[:at], domain, buf, o)
	case len(s) > maxAddress:
		return nil, schemas.ReasonTooLong
	}
	if kinds&hasUpper != 0 {
		s = lower(buf, s)
	}
	if reason := checkDomain(s[at+1:], len(s), o); reason != "" {
		return nil, reason
	}
	return s, ""
}

// trim drops the white space around a value, in Unicode's sense, and the byte
// order mark that some programs write before it.
func trim(s []byte) []byte {
	if n := len(s); n > 0 && s[0] > ' ' && s[0] < utf8.RuneSelf && s[n-1] > ' ' && s[n-1] < utf8.RuneSelf {
		return s
	}
	return bytes.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '\uFEFF' })
}

// What scan finds in a value.
const (
	hasUpper = 1 << iota
	hasHigh  // bytes beyond ASCII
	hasControl
)

// classes is what each byte adds to scan's result.
var classes = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= 'A' && c <= 'Z':
			t[c] = hasUpper
		case c >= utf8.RuneSelf:
			t[c] = hasHigh
		case c < ' ' || c == 0x7f:
			t[c] = hasControl
		}
	}
	return t
}()

func scan(s []byte) (kinds uint8) {
	for _, c := range s {
		kinds |= classes[c]
	}
	return kinds
}

// invisible reports whether a value has control or format characters beyond ASCII,
// such as a zero-width space. The two joiners are left to the rules of domains
// behind the @, since some languages' domains need them.
func invisible(s []byte, at int) bool {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRune(s[i:])
		if r >= utf8.RuneSelf && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && !(at >= 0 && i > at && isJoiner(r)) {
			return true
		}
		i += n
	}
	return false
}

// isJoiner reports whether a character is the zero-width non-joiner or joiner.
func isJoiner(r rune) bool { return r == '\u200c' || r == '\u200d' }

// Kinds of characters in the part before the @.
const (
	other = iota
	atext // RFC 5322, 3.2.3
	dot
	high
)

var localClasses = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9',
			bytes.IndexByte([]byte("!#$%&'*+-/=?^_`{|}~"), byte(c)) >= 0:
			t[c] = atext
		case c == '.':
			t[c] = dot
		case c >= utf8.RuneSelf:
			t[c] = high
		}
	}
	return t
}()

// checkLocal checks the part before the @.
func checkLocal(local []byte) schemas.Reason {
	n := len(local)
	if n == 0 {
		return schemas.ReasonSyntax
	}
	if local[0] == '"' && local[n-1] == '"' && n > 1 {
		return schemas.ReasonQuotedLocal
	}
	last := uint8(dot) // a dot at the start is one after a dot
	dots, beyondASCII := false, false
	for _, c := range local {
		k := localClasses[c]
		switch k {
		case other:
			return schemas.ReasonSyntax
		case high:
			beyondASCII = true
		case dot:
			dots = dots || last == dot
		}
		last = k
	}
	switch {
	case beyondASCII && !utf8.Valid(local):
		return schemas.ReasonSyntax
	case beyondASCII:
		return schemas.ReasonNonASCIILocal
	case dots || last == dot:
		return schemas.ReasonDots
	case n > maxLocal:
		return schemas.ReasonLocalTooLong
	}
	return ""
}

// lower writes s in lower case over buf.
func lower(buf, s []byte) []byte {
	buf = append(buf[:0], s...)
	for i, c := range buf {
		if c >= 'A' && c <= 'Z' {
			buf[i] = c + ('a' - 'A')
		}
	}
	return buf
}
