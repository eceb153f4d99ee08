package batch

import "strings"

// Matcher finds the rows of a batch by the names that Iterable's answers use. Its
// indexes are built when the first name is looked up: most answers name nobody.
// It is not safe for concurrent use, and good until the batch is released.
type Matcher struct {
	batch *Batch
	// byEmail and byUserID are the rows by folded name; exact is the rows by the
	// user id as it stands.
	byEmail, byUserID, exact *index
}

// NewMatcher gives a matcher for the batch.
func NewMatcher(b *Batch) *Matcher { return &Matcher{batch: b} }

// Find gives the first row from from to to-1 whose address, or user id, is name.
// Iterable answers with addresses in lower case, so addresses are compared
// without case; user ids first as they stand, then without case.
func (m *Matcher) Find(from, to int, byUserID bool, name string) (row int, ok bool) {
	if !byUserID {
		if m.byEmail == nil {
			m.byEmail = newIndex(m.batch.n, m.batch.Email, strings.ToLower)
		}
		return m.byEmail.find(from, to, strings.ToLower(name))
	}
	if m.exact == nil {
		m.exact = newIndex(m.batch.n, m.batch.UserID, strings.Clone)
	}
	if row, ok = m.exact.find(from, to, name); ok {
		return row, ok
	}
	if m.byUserID == nil {
		m.byUserID = newIndex(m.batch.n, m.batch.UserID, strings.ToLower)
	}
	return m.byUserID.find(from, to, strings.ToLower(name))
}

// index leads from a name to its rows.
type index struct {
	first map[string]int32
	// next is, for each row, the next row of the same name, or -1.
	next []int32
}

func newIndex(n int, name func(int) []byte, fold func(string) string) *index {
	x := &index{first: make(map[string]int32, n), next: make([]int32, n)}
	for i := n - 1; i >= 0; i-- {
		x.next[i] = -1
		s := name(i)
		if len(s) == 0 {
			continue
		}
		folded := fold(string(s))
		if j, ok := x.first[folded]; ok {
			x.next[i] = j
		}
		x.first[folded] = int32(i)
	}
	return x
}

func (x *index) find(from, to int, name string) (int, bool) {
	i, ok := x.first[name]
	if !ok {
		return 0, false
	}
	for ; i >= 0; i = x.next[i] {
		if row := int(i); row >= from && row < to {
			return row, true
		}
	}
	return 0, false
}
