package rejects

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// mostValue is the size limit of a value in the file, in bytes.
const mostValue = 4 << 10

// texts collects a column whose texts repeat.
type texts struct {
	known    map[string]int32
	last     string // the text added last, at lastAt
	lastAt   int32
	distinct *array.StringBuilder
	indices  *array.Int32Builder
}

func newTexts() texts {
	return texts{
		known: make(map[string]int32), lastAt: -1,
		distinct: array.NewStringBuilder(memory.DefaultAllocator), indices: array.NewInt32Builder(memory.DefaultAllocator),
	}
}

// add appends a row, and returns the size of its text if the text is new.
func (t *texts) add(s string) (bytes int) {
	if t.lastAt >= 0 && s == t.last {
		t.indices.Append(t.lastAt)
		return 0
	}
	at, ok := t.known[s]
	if !ok {
		at = int32(len(t.known))
		t.known[s] = at
		t.distinct.Append(ReadableName(s))
		bytes = len(s) + 1
	}
	t.last, t.lastAt = s, at
	t.indices.Append(at)
	return bytes
}

// column returns the collected column, and starts a new one.
func (t *texts) column() arrow.Array {
	t.forget()
	return array.NewDictionaryArray(fewTexts, t.indices.NewArray(), t.distinct.NewArray())
}

func (t *texts) forget() {
	clear(t.known)
	t.last, t.lastAt = "", -1
}

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
