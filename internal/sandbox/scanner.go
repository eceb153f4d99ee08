package sandbox

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// valueKind is the kind of a JSON value, with the two kinds of number and the
// strings that Iterable takes for a date told apart.
type valueKind uint8

const (
	kindNone valueKind = iota
	kindNull
	kindBoolean
	kindLong
	kindDouble
	kindDate
	kindString
	kindObject
	kindArray
)

// String gives the name that GET /api/users/getFields has for the kind.
func (k valueKind) String() string {
	return [...]string{"nothing", "null", "boolean", "long", "double", "date", "string", "object", "array"}[k]
}

func kindNamed(name string) (valueKind, bool) {
	for k := kindBoolean; k <= kindArray; k++ {
		if k.String() == name {
			return k, true
		}
	}
	return kindNone, false
}

// maxDepth is how deep arrays and objects may lie in each other.
const maxDepth = 100

// scanner reads one JSON text by hand: with bodies of ten thousand subscribers
// a general decoder would take most of the two cores that a benchmark gives to
// the sandbox and the exporter together.
type scanner struct {
	data []byte
	pos  int
	// spaced says that white space was seen between tokens.
	spaced bool
}

func (s *scanner) syntax(what string) *apiError {
	return badJSON(fmt.Sprintf("%s at byte %d", what, s.pos))
}

// peek skips white space and gives the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		if c > ' ' {
			return c
		}
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
		s.spaced = true
		s.pos++
	}
	return 0
}

func (s *scanner) expect(c byte) *apiError {
	if s.peek() != c {
		return s.syntax("expected " + string(rune(c)))
	}
	s.pos++
	return nil
}

// end checks that nothing follows the value.
func (s *scanner) end() *apiError {
	if s.peek() != 0 || s.pos < len(s.data) {
		return s.syntax("something follows the JSON value")
	}
	return nil
}

// next steps to the following member of an object or array that ends with
// closing; first says that no member was read yet. It gives false at the end.
func (s *scanner) next(closing byte, first bool) (bool, *apiError) {
	switch c := s.peek(); {
	case c == closing:
		s.pos++
		return false, nil
	case first:
		return true, nil
	case c == ',':
		s.pos++
		if s.peek() == closing {
			return false, s.syntax("a comma before the end")
		}
		return true, nil
	default:
		return false, s.syntax("expected , or " + string(rune(closing)))
	}
}

// plain marks the bytes of a string that need no second look.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return t
}()

// text reads a string and gives what is between its quotes, and whether that
// holds escapes.
func (s *scanner) text() (raw []byte, escaped bool, err *apiError) {
	if err := s.expect('"'); err != nil {
		return nil, false, err
	}
	data, start, i := s.data, s.pos, s.pos
	for i < len(data) {
		c := data[i]
		if plain[c] {
			i++
			continue
		}
		if c == '"' {
			s.pos = i + 1
			return data[start:i], escaped, nil
		}
		s.pos = i
		if c != '\\' {
			return nil, false, s.syntax("a control character in a string")
		}
		n := escapeLength(data[i:])
		if n == 0 {
			return nil, false, s.syntax("an escape that JSON doesn't have")
		}
		escaped = true
		i += n
	}
	s.pos = i
	return nil, false, s.syntax("a string without an end")
}

// escapeLength is the length of the escape that b begins with, 0 if it is none.
func escapeLength(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return 0
			}
		}
		return 6
	}
	return 0
}

// decoded reads a string and gives its value, which shares the scanner's memory
// unless the string holds escapes.
func (s *scanner) decoded() ([]byte, *apiError) {
	raw, escaped, err := s.text()
	if err != nil || !escaped {
		return raw, err
	}
	var v string
	quoted := s.data[s.pos-len(raw)-2 : s.pos]
	if err := json.Unmarshal(quoted, &v); err != nil {
		return nil, s.syntax("a string that can't be read")
	}
	return []byte(v), nil
}

// key reads an object's key and its colon.
func (s *scanner) key() ([]byte, *apiError) {
	if s.peek() != '"' {
		return nil, s.syntax("expected a key")
	}
	k, err := s.decoded()
	if err != nil {
		return nil, err
	}
	return k, s.expect(':')
}

// number reads a number and says whether it is a whole one.
func (s *scanner) number() (whole bool, err *apiError) {
	data, i := s.data, s.pos
	digits := func() bool {
		from := i
		for i < len(data) && data[i] >= '0' && data[i] <= '9' {
			i++
		}
		return i > from
	}
	bad := func() (bool, *apiError) { return false, s.syntax("a number that JSON doesn't have") }
	if i < len(data) && data[i] == '-' {
		i++
	}
	zero := i < len(data) && data[i] == '0'
	from := i
	if !digits() || zero && i > from+1 {
		return bad()
	}
	whole = true
	if i < len(data) && data[i] == '.' {
		i++
		whole = false
		if !digits() {
			return bad()
		}
	}
	if i < len(data) && data[i]|0x20 == 'e' {
		i++
		whole = false
		if i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		if !digits() {
			return bad()
		}
	}
	s.pos = i
	return whole, nil
}

func (s *scanner) literal(word string) *apiError {
	if len(s.data)-s.pos < len(word) || string(s.data[s.pos:s.pos+len(word)]) != word {
		return s.syntax("a word that JSON doesn't have")
	}
	s.pos += len(word)
	return nil
}

// skip reads over a value, checks it, and gives its kind.
func (s *scanner) skip(depth int) (valueKind, *apiError) {
	switch c := s.peek(); c {
	case '"':
		raw, _, err := s.text()
		if err == nil && isDate(raw) {
			return kindDate, nil
		}
		return kindString, err
	case '{':
		return kindObject, s.skipMembers('}', depth)
	case '[':
		return kindArray, s.skipMembers(']', depth)
	case 't':
		return kindBoolean, s.literal("true")
	case 'f':
		return kindBoolean, s.literal("false")
	case 'n':
		return kindNull, s.literal("null")
	default:
		if c != '-' && (c < '0' || c > '9') {
			return kindNone, s.syntax("expected a value")
		}
		whole, err := s.number()
		if whole {
			return kindLong, err
		}
		return kindDouble, err
	}
}

func (s *scanner) skipMembers(closing byte, depth int) *apiError {
	if depth >= maxDepth {
		return s.syntax(fmt.Sprintf("more than %d objects and arrays in each other", maxDepth))
	}
	s.pos++
	for first := true; ; first = false {
		more, err := s.next(closing, first)
		if err != nil || !more {
			return err
		}
		if closing == '}' {
			if s.peek() != '"' {
				return s.syntax("expected a key")
			}
			if _, _, err := s.text(); err != nil {
				return err
			}
			if err := s.expect(':'); err != nil {
				return err
			}
		}
		if _, err := s.skip(depth + 1); err != nil {
			return err
		}
	}
}

// isDate says whether a string has the form that makes a field a date:
// yyyy-MM-dd HH:mm:ss, with or without a zone as ±HH:mm after another space.
func isDate(b []byte) bool {
	const form = "dddd-dd-dd dd:dd:dd sdd:dd"
	if len(b) != len(form) && len(b) != len(form)-7 {
		return false
	}
	for i, c := range b {
		switch form[i] {
		case 'd':
			if c < '0' || c > '9' {
				return false
			}
		case 's':
			if c != '+' && c != '-' {
				return false
			}
		default:
			if c != form[i] {
				return false
			}
		}
	}
	return true
}

// newScanner checks what holds for the whole body and gives its scanner.
func newScanner(body []byte) (scanner, *apiError) {
	if !utf8.Valid(body) {
		return scanner{}, badJSON("the body is not UTF-8")
	}
	return scanner{data: body}, nil
}
