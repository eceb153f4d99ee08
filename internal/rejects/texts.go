package rejects

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// mostValue is the size limit of a value in the file, in bytes.
const mostValue = 4 << 10

// ReadableName returns a name as valid UTF-8, as it is in the files of this package.
func ReadableName(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	out, _ := escape(nil, []byte(s), len(s)*len(`\xff`))
	return string(out)
}

// readable returns a value as valid UTF-8 of at most mostValue bytes. It does not change its
// own results, so that rows can be read and written again. The result may be in scratch.
func readable(scratch *[]byte, value []byte) []byte {
	if len(value) <= mostValue && utf8.Valid(value) {
		return value
	}
	out, whole := escape((*scratch)[:0], value, mostValue)
	if !whole {
		mark := "… (" + strconv.Itoa(len(value)) + " bytes)"
		out, _ = escape(out[:0], value, mostValue-len(mark))
		out = append(out, mark...)
	}
	*scratch = out
	return out
}

// escape appends text to out, up to most bytes in total, with \xNN for bytes that are not
// UTF-8. It reports whether it appended all of it.
func escape(out, text []byte, most int) ([]byte, bool) {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		size := n
		if r == utf8.RuneError && n == 1 {
			size = len(`\xff`)
		}
		if len(out)+size > most {
			return out, false
		}
		if size == n {
			out = append(out, text[:n]...)
		} else {
			out = fmt.Appendf(out, `\x%02x`, text[0])
		}
		text = text[n:]
	}
	return out, true
}
