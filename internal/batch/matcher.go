package batch

import "strings"

// Matcher finds the rows of a batch by the names in Iterable's answers. It builds its indexes
// at the first lookup: most answers have no names. It is not safe for concurrent use, and
// valid until the batch is released.
type Matcher struct {
	batch *Batch
	// byEmail and byUserID are the rows by folded name.
	byEmail, byUserID map[string][]int32
}

// NewMatcher returns a matcher for the batch.
func NewMatcher(b *Batch) *Matcher { return &Matcher{batch: b} }

// Find returns the rows from from to to-1 whose address, or user ID, equals name except for
// case, since Iterable answers with addresses in lower case. Two user IDs that differ only in
// case are two profiles; an answer does not show which one it means.
func (m *Matcher) Find(from, to int, byUserID bool, name string) (rows []int) {
	if m.byEmail == nil {
		m.byEmail, m.byUserID = index(m.batch.n, m.batch.Email), index(m.batch.n, m.batch.UserID)
	}
	names := m.byEmail
	if byUserID {
		names = m.byUserID
	}
	for _, row := range names[strings.ToLower(name)] {
		if row := int(row); row >= from && row < to {
			rows = append(rows, row)
		}
	}
	return rows
}

func index(n int, name func(int) []byte) map[string][]int32 {
	x := make(map[string][]int32, n)
	for i := range n {
		if s := name(i); len(s) > 0 {
			folded := strings.ToLower(string(s))
			x[folded] = append(x[folded], int32(i))
		}
	}
	return x
}
