package sandbox

import (
	"bytes"
	"encoding/json"
	"math"
	"sync"

	"github.com/zeebo/xxh3"
)

// subscriber is one row of a subscribe or unsubscribe request. Its slices share
// the body's memory.
type subscriber struct {
	email, userID []byte // the address in lower case; nil where not given
	data          []byte // dataFields without white space; nil where empty
	fields        uint64 // hash of data, 0 where empty
	from, to      int    // its values in batch.values
	preferUserID  bool
	merge         bool
}

// fieldValue is the kind of one value in a subscriber's dataFields.
type fieldValue struct {
	name int // index into batch.names
	kind valueKind
}

// batch is the body of a subscribe or unsubscribe request, read.
type batch struct {
	listID       int64
	hasList      bool
	hasRows      bool
	existingOnly bool
	rows         []subscriber
	values       []fieldValue
	// names are the fields in the request, each once, in order of appearance.
	names  []string
	byName map[string]int
}

var batches = sync.Pool{New: func() any { return &batch{byName: map[string]int{}} }}

func (b *batch) release() {
	clear(b.rows) // let go of the body
	clear(b.names)
	clear(b.byName)
	*b = batch{rows: b.rows[:0], values: b.values[:0], names: b.names[:0], byName: b.byName}
	batches.Put(b)
}

// readBatch reads a request's body. subscribe tells the two calls apart: they
// know different fields. The batch is to be released.
func readBatch(body []byte, subscribe bool) (*batch, *apiError) {
	s, err := newScanner(body)
	if err != nil {
		return nil, err
	}
	b := batches.Get().(*batch)
	if err := b.read(&s, subscribe); err != nil {
		b.release()
		return nil, err
	}
	return b, nil
}

func (b *batch) read(s *scanner, subscribe bool) *apiError {
	err := s.object("the body", func(key []byte) (err *apiError) {
		switch k := string(key); {
		case k == "listId":
			b.hasList = true
			b.listID, err = s.whole("listId")
		case k == "subscribers":
			b.hasRows = true
			err = b.readRows(s, subscribe)
		case k == "updateExistingUsersOnly" && subscribe:
			b.existingOnly, err = s.boolean(k)
		case k == "channelUnsubscribe" && !subscribe:
			_, err = s.boolean(k)
		case k == "campaignId" && !subscribe:
			_, err = s.optionalWhole(k)
		default:
			err = unknownField("the body", k)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	if !b.hasList {
		return badParams("listId is missing")
	}
	if !b.hasRows {
		return badParams("subscribers is missing")
	}
	return nil
}

func (b *batch) readRows(s *scanner, subscribe bool) *apiError {
	if kind := s.kind(); kind != "an array" {
		return wrongType("subscribers", "an array", kind)
	}
	s.pos++
	b.rows, b.values = b.rows[:0], b.values[:0] // a second "subscribers" wins
	for first := true; ; first = false {
		more, err := s.next(']', first)
		if err != nil || !more {
			return err
		}
		b.rows = append(b.rows, subscriber{from: len(b.values)})
		row := &b.rows[len(b.rows)-1]
		if err := b.readRow(s, row, subscribe); err != nil {
			if err.Code == "BadParams" {
				err.Params = map[string]any{"subscriber": len(b.rows) - 1}
			}
			return err
		}
		row.to = len(b.values)
		if row.email == nil && row.userID == nil {
			return badParams("subscribers[%d]: email or userId is required", len(b.rows)-1)
		}
	}
}

func (b *batch) readRow(s *scanner, row *subscriber, subscribe bool) *apiError {
	const what = "a subscriber"
	return s.object(what, func(key []byte) (err *apiError) {
		switch string(key) {
		case "email":
			row.email, err = s.optionalText("email")
			row.email = lower(row.email)
			return err
		case "userId":
			row.userID, err = s.optionalText("userId")
			return err
		}
		if subscribe {
			switch string(key) {
			case "dataFields":
				return b.readFields(s, row)
			case "preferUserId":
				row.preferUserID, err = s.boolean("preferUserId")
				return err
			case "mergeNestedObjects":
				row.merge, err = s.boolean("mergeNestedObjects")
				return err
			}
		}
		return unknownField(what, string(key))
	})
}

// readFields reads dataFields: what kinds of value it has, its bytes, their hash.
func (b *batch) readFields(s *scanner, row *subscriber) *apiError {
	b.values = b.values[:row.from]
	row.data, row.fields = nil, 0
	if s.peek() == 'n' {
		return s.literal("null")
	}
	if kind := s.kind(); kind != "an object" {
		return wrongType("dataFields", "an object", kind)
	}
	from, spaced := s.pos, s.spaced
	s.spaced = false
	keys := 0
	err := s.object("dataFields", func(key []byte) *apiError {
		name := b.nameOf(key, keys)
		keys++
		kind, err := s.skip(2)
		if kind != kindNull {
			b.values = append(b.values, fieldValue{name, kind})
		}
		return err
	})
	if err != nil || keys == 0 {
		return err
	}
	row.data = s.data[from:s.pos]
	if s.spaced {
		var tight bytes.Buffer
		if err := json.Compact(&tight, row.data); err != nil {
			return s.syntax("dataFields that can't be read")
		}
		row.data = tight.Bytes()
	}
	s.spaced = spaced
	row.fields = xxh3.Hash(row.data)
	return nil
}

// nameOf gives a field's number. Rows mostly have the same fields in the same
// order, so the place in the row is tried first.
func (b *batch) nameOf(key []byte, place int) int {
	if place < len(b.names) && b.names[place] == string(key) {
		return place
	}
	if n, known := b.byName[string(key)]; known {
		return n
	}
	n := len(b.names)
	b.names = append(b.names, string(key))
	b.byName[b.names[n]] = n
	return n
}

// lower gives an address in lower case, in place if it is ASCII.
func lower(b []byte) []byte {
	for i, c := range b {
		if c >= 0x80 {
			return bytes.ToLower(b)
		}
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

func wrongType(field, want, got string) *apiError {
	return badParams("%s: expected %s, got %s", field, want, got)
}

func unknownField(where, name string) *apiError {
	return badParams("%s: unknown field %q", where, name)
}

// kind says in words what the next value is.
func (s *scanner) kind() string {
	switch c := s.peek(); {
	case c == '"':
		return "a string"
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == 't' || c == 'f':
		return "a boolean"
	case c == 'n':
		return "null"
	case c == '-' || c >= '0' && c <= '9':
		return "a number"
	}
	return "no value"
}

// object reads an object and calls member at the value of each key, which
// member is to read. The key is only good until then.
func (s *scanner) object(what string, member func(key []byte) *apiError) *apiError {
	if kind := s.kind(); kind == "no value" {
		return s.syntax("expected an object")
	} else if kind != "an object" {
		return wrongType(what, "an object", kind)
	}
	s.pos++
	for first := true; ; first = false {
		more, err := s.next('}', first)
		if err != nil || !more {
			return err
		}
		key, err := s.key()
		if err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
	}
}

func (s *scanner) optionalText(field string) ([]byte, *apiError) {
	switch kind := s.kind(); kind {
	case "null":
		return nil, s.literal("null")
	case "a string":
		return s.decoded()
	default:
		return nil, wrongType(field, "a string", kind)
	}
}

func (s *scanner) boolean(field string) (bool, *apiError) {
	switch kind := s.kind(); {
	case kind == "null":
		return false, s.literal("null")
	case kind != "a boolean":
		return false, wrongType(field, "a boolean", kind)
	case s.data[s.pos] == 't':
		return true, s.literal("true")
	default:
		return false, s.literal("false")
	}
}

func (s *scanner) optionalWhole(field string) (int64, *apiError) {
	if s.peek() == 'n' {
		return 0, s.literal("null")
	}
	return s.whole(field)
}

func (s *scanner) whole(field string) (int64, *apiError) {
	if kind := s.kind(); kind != "a number" {
		return 0, wrongType(field, "a whole number", kind)
	}
	from := s.pos
	whole, err := s.number()
	if err != nil {
		return 0, err
	}
	if !whole {
		return 0, wrongType(field, "a whole number", "a fraction")
	}
	text := s.data[from:s.pos]
	negative := text[0] == '-'
	if negative {
		text = text[1:]
	}
	var v int64
	for _, c := range text {
		if v > (math.MaxInt64-9)/10 {
			return 0, badParams("%s: the number is too large", field)
		}
		v = 10*v + int64(c-'0')
	}
	if negative {
		v = -v
	}
	return v, nil
}
