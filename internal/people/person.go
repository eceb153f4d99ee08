package people

import (
	"bytes"
	"slices"
	"strings"

	"iterable-segment-export/internal/email"
	"iterable-segment-export/internal/rejects"
)

// Longest is the longest text that can identify a person, in bytes.
const Longest = 1024

// Person is an address or a user ID, as it was typed.
type Person struct {
	ids   [][]byte // as typed, and normalised
	email []byte   // nil if it is not an address
	row   func(*rejects.Row) bool
}

// Parse reads an address or a user ID. ok reports whether it is neither empty nor too long.
func Parse(typed string) (p Person, ok bool) {
	id := strings.TrimSpace(typed)
	if id == "" || len(typed) > Longest {
		return p, false
	}
	p.ids = [][]byte{[]byte(typed)}
	if id != typed { // a user ID may begin or end with a space
		p.ids = append(p.ids, []byte(id))
	}
	if address, reason := email.Normalize([]byte(id), nil, email.Options{AllowUnknownTLD: true}); reason == "" {
		p.email = bytes.Clone(address)
		if string(p.email) != id {
			p.ids = append(p.ids, p.email)
		}
	}
	p.row = rejects.Is(p.ids...)
	return p, true
}

// isRow reports whether a row of a record is the person's.
func (p Person) isRow(r *rejects.Row) bool { return p.row(r) || p.sameAddress(r.Email) }

// means reports whether a value of a rejected row is the person's, however it is written.
func (p Person) means(value []byte) bool {
	if slices.ContainsFunc(p.ids, func(id []byte) bool { return bytes.Equal(value, id) }) || p.sameAddress(value) {
		return true
	}
	address, reason := email.Normalize(value, nil, email.Options{AllowUnknownTLD: true})
	return reason == "" && bytes.Equal(address, p.email)
}

// sameAddress reports whether a value is the person's address in another case, also where it is
// not valid. User IDs of another case are other people's.
func (p Person) sameAddress(value []byte) bool {
	return slices.ContainsFunc(p.ids, func(id []byte) bool {
		return bytes.IndexByte(id, '@') >= 0 && bytes.EqualFold(bytes.TrimSpace(value), bytes.TrimSpace(id))
	})
}

// others returns 1 if a row of the person has an identifier that is not the one asked for.
func (p Person) others(ids ...[]byte) int64 {
	for _, id := range ids {
		if len(id) > 0 && !p.means(id) {
			return 1
		}
	}
	return 0
}
