package snapshot

import (
	"bytes"
	"context"
	"sort"
)

// Find returns the members with these keys, which must be different. It reads one record batch
// for each key that may be there, and nothing else of the file.
func (s *Snapshot) Find(ctx context.Context, keys ...Key) (found []Member, err error) {
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		k := sort.Search(len(s.blocks), func(i int) bool { return s.blocks[i].first.compare(key) > 0 }) - 1
		if k < 0 {
			continue
		}
		cols, err := s.batch(k)
		if err != nil {
			return nil, err
		}
		n := int(s.blocks[k].rows)
		at := func(i int) Key { return Key(cols.keys[i*16 : i*16+16]) }
		if i := sort.Search(n, func(i int) bool { return at(i).compare(key) >= 0 }); i < n && at(i) == key {
			found = append(found, Member{Key: key, Fields: cols.fields[i], Email: bytes.Clone(cols.email.At(i)), UserID: bytes.Clone(cols.userID.At(i))})
		}
	}
	return found, nil
}

// Scan returns the members with one of the identifiers, an address or a user ID, whatever
// their keys are. It reads the whole file.
func (s *Snapshot) Scan(ctx context.Context, ids ...[]byte) (found []Member, err error) {
	err = s.Each(ctx, func(m *Member) error {
		for _, id := range ids {
			if bytes.Equal(m.Email, id) || bytes.Equal(m.UserID, id) {
				found = append(found, clone(Member{}, m))
				break
			}
		}
		return nil
	})
	return found, err
}
