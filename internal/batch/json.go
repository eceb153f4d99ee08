package batch

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// plain returns how many of the first bytes of s are unescaped in a JSON
// string: ASCII without control characters, quotes and backslashes. It looks at
// eight bytes at a time.
func plain(s []byte) int {
	const low, high = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := binary.LittleEndian.Uint64(s[i:])
		// The high bit is set for a byte that is beyond ASCII, below a space, a quote
		// or a backslash. A borrow can also set the bit of a byte above such a byte,
		// so only the lowest set bit counts.
		m := (w | (w - low*' ') | ((w ^ low*'"') - low) | ((w ^ low*'\\') - low)) & high
		if m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return i
		}
	}
	return i
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

// stringSize returns the number of bytes that AppendString appends.
func stringSize(s []byte) int {
	size := 2
	for {
		n := plain(s)
		size += n
		if s = s[n:]; len(s) == 0 {
			return size
		}
		n = 1
		switch c := s[0]; {
		case c == '"' || c == '\\':
			size += 2
		case c < ' ':
			if shortEscape(c) != 0 {
				size += 2
			} else {
				size += 6
			}
		default:
			var r rune
			if r, n = utf8.DecodeRune(s); (r == utf8.RuneError && n == 1) || r == '\u2028' || r == '\u2029' {
				size += 6
			} else {
				size += n
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
