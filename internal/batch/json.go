package batch

import "unicode/utf8"

const hexDigits = "0123456789abcdef"

// plain returns how many of the first bytes of s are unescaped in a JSON
// string: ASCII without control characters, quotes and backslashes.
func plain(s []byte) int {
	for i, c := range s {
		if c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return i
		}
	}
	return len(s)
}

// AppendString appends s as a JSON string. It escapes the characters that JSON requires, and
// U+2028 and U+2029 as encoding/json does. A byte that is not valid UTF-8 becomes U+FFFD.
func AppendString(dst, s []byte) []byte {
	dst, _ = AppendText(dst, s)
	return dst
}

// AppendText is AppendString, and reports whether s is valid UTF-8.
func AppendText(dst, s []byte) (_ []byte, valid bool) {
	dst, valid = append(dst, '"'), true
	for {
		n := plain(s)
		dst = append(dst, s[:n]...)
		if s = s[n:]; len(s) == 0 {
			return append(dst, '"'), valid
		}
		n = 1
		switch c := s[0]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			if short := shortEscape(c); short != 0 {
				dst = append(dst, '\\', short)
			} else {
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
			}
		default:
			var r rune
			r, n = utf8.DecodeRune(s)
			switch {
			case r == utf8.RuneError && n == 1:
				dst, valid = append(dst, `\ufffd`...), false
			case r == '\u2028' || r == '\u2029':
				dst = append(dst, `\u202`...)
				dst = append(dst, hexDigits[r&0xf])
			default:
				dst = append(dst, s[:n]...)
			}
		}
		s = s[n:]
	}
}

// shortEscape returns the letter of a control character's two-character escape, or 0.
func shortEscape(c byte) byte {
	switch c {
	case '\n':
		return 'n'
	case '\r':
		return 'r'
	case '\t':
		return 't'
	case '\b':
		return 'b'
	case '\f':
		return 'f'
	}
	return 0
}
