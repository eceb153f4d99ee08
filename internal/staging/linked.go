package staging

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"weak"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/email"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/internal/suppression"
	"iterable-segment-export/schemas"
)

// linked are profiles that are suppressed by an identifier which only some of their rows have:
// the entry of a suppression list, by key. In a hybrid project they are known by their address
// too.
type linked map[snapshot.Key]suppression.Hash

// add adds a profile that is suppressed by an entry.
func (l linked) add(address, userID []byte, project string, entry suppression.Hash) error {
	if len(l) >= snapshot.MaxProfiles {
		return snapshot.ErrTooMany
	}
	l[batch.KeyHash(address, userID, project)] = entry
	if project == schemas.ProjectHybrid && len(address) > 0 {
		l[batch.AddressKey(address)] = entry
	}
	return nil
}

// has reports whether a profile is linked, by its key or its address, to an entry of a set. A nil
// set has every entry.
func (l linked) has(address, userID []byte, project string, set *suppression.Set) bool {
	if len(l) == 0 {
		return false
	}
	by := func(k snapshot.Key) bool {
		entry, ok := l[k]
		return ok && (set == nil || set.Has(entry))
	}
	return by(batch.KeyHash(address, userID, project)) ||
		project == schemas.ProjectHybrid && len(address) > 0 && by(batch.AddressKey(address))
}

// linkMember notes a member of the snapshot that is suppressed and has two identifiers: a row
// that lacks one of them is about the same person. If the member surely has other identifiers since
// it was noted, it is no longer linked.
func (s *staging) linkMember(m *snapshot.Member) error {
	if len(m.Email) == 0 || len(m.UserID) == 0 {
		return nil
	}
	entry, listed := s.listed(m.Email, m.UserID)
	if !listed {
		if m.Fields != snapshot.Unconfirmed {
			delete(s.linkedMembers, m.Key)
		}
		return nil
	}
	return s.linkedMembers.add(m.Email, m.UserID, s.in.Connection.ProjectType, entry)
}

// linkedFile, beside the snapshot, has the members that were removed as suppressed and have two
// identifiers, with the hash of the one that is on a list: the snapshot no longer has them, and
// Iterable still knows both. That of a divided segment has what links has found.
const linkedFile = "linked"

// readLinked notes the members that earlier runs have removed. It keeps those that are on no list
// now: the list may be incomplete, and be repaired before the run is retried.
func (s *staging) readLinked(ctx context.Context) error {
	data, err := s.root.Read(ctx, ledger.Key(s.in.Run, linkedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if errors.Is(err, storage.ErrDamaged) || len(data)%linkedSize != 0 {
		return damagedLinked(ledger.Key(s.in.Run, linkedFile))
	}
	if err != nil {
		return fmt.Errorf("read which suppressed members were removed: %w", err)
	}
	for one := range slices.Chunk(data, linkedSize) {
		s.linkedMembers[snapshot.Key(one)] = suppression.Hash(one[len(snapshot.Key{}):])
	}
	s.linkedBefore = data
	return nil
}

// linkedSize is the size of an entry of the linkedFile in bytes.
const linkedSize = len(snapshot.Key{}) + len(suppression.Hash{})

// writeLinked stores the noted members for the next run. A check stores nothing.
func (s *staging) writeLinked(ctx context.Context) error {
	if s.in.Check || s.suppressed.Set.Len() == 0 {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(s.linkedMembers), func(a, b snapshot.Key) int { return bytes.Compare(a[:], b[:]) })
	data := make([]byte, 0, len(keys)*linkedSize)
	for _, k := range keys {
		entry := s.linkedMembers[k]
		data = append(append(data, k[:]...), entry[:]...)
	}
	if bytes.Equal(data, s.linkedBefore) {
		return nil
	}
	if err := s.root.Write(ctx, ledger.Key(s.in.Run, linkedFile), data); err != nil {
		return fmt.Errorf("store which suppressed members are removed: %w", err)
	}
	return nil
}

// listed are the rows of a segment that are about people on a suppression list.
type listed struct {
	rows    rowSet // that have an identifier of a list themselves
	linked  linked // profiles of which a row has
	earlier linked // profiles of which a list of the divided segment had
}

// Listings shares what the identities of a divided segment say among its lists that are staged at
// the same time: the identities are read once.
type Listings struct {
	mu   sync.Mutex // held while they are read
	of   string     // the folder of the divided rows
	set  weak.Pointer[suppression.Set]
	last weak.Pointer[listed]
}

// find returns the listed of the segment whose divided rows are in the folder of, or of one that is
// not divided where of is "". It returns the last one found, if that is it, or what read returns.
func (l *Listings) find(of string, set *suppression.Set, read func() (*listed, error)) (*listed, error) {
	if l == nil || of == "" {
		return read()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if last := l.last.Value(); last != nil && l.of == of && l.set.Value() == set {
		return last, nil
	}
	found, err := read()
	if err == nil {
		l.of, l.set, l.last = of, weak.Make(set), weak.Make(found)
	}
	return found, err
}

// linkRows notes the suppressed rows of the segment, before any row is staged: another row of
// the same profile may lack the identifier. If rows have only one, that is not necessary. Of a
// divided segment it also reads what its lists knew before.
func (s *staging) linkRows(ctx context.Context, from Source, shared *Listings) error {
	both := s.emailColumn >= 0 && s.userColumn >= 0
	if s.suppressed.Set.Len() == 0 || !both && from.linked == "" {
		return nil
	}
	of := ""
	if run := s.in.Run; s.in.Segment.Of != "" {
		run.Segment = s.in.Segment.Of
		of = dataroot.StagedDir(run, s.in.Divided)
	}
	found, err := shared.find(of, s.suppressed.Set, func() (*listed, error) {
		found := &listed{rowSet{}, linked{}, linked{}}
		if err := s.readEarlier(ctx, from.linked, found.earlier); err != nil || !both {
			return found, err
		}
		for b, err := range from.ReadIdentities(ctx) {
			if err == nil {
				err = s.linkRecord(b, found)
			}
			if err != nil {
				return nil, err
			}
		}
		t := from.Traffic()
		s.traffic.Bytes, s.traffic.Requests = s.traffic.Bytes+t.Bytes, s.traffic.Requests+t.Requests
		return found, nil
	})
	if err != nil {
		return err
	}
	if s.earlier = found.earlier; both {
		s.inSegment = found
	}
	return nil
}

// readEarlier adds the profiles of the linkedFile with a key that are on a suppression list.
func (s *staging) readEarlier(ctx context.Context, key string, to linked) error {
	if key == "" {
		return nil
	}
	return eachLinked(ctx, s.root, key, func(k snapshot.Key, entry suppression.Hash) error {
		if !s.suppressed.Set.Has(entry) {
			return nil
		}
		if len(to) >= snapshot.MaxProfiles {
			return snapshot.ErrTooMany
		}
		to[k] = entry
		return nil
	})
}

func (s *staging) linkRecord(b segment.Batch, found *listed) error {
	emails, users, err := s.identifiers(b)
	if err != nil {
		return err
	}
	all := func(int) (bool, error) { return false, nil }
	for first, rows := 0, int(b.NumRows()); first < rows; first += groupRows {
		if err := s.readAhead(first, rows, emails, users, all); err != nil {
			return err
		}
		s.lookUp()
		for k := range s.ahead.rows {
			r := &s.ahead.rows[k]
			p, known, listed := r.profile(at(b, r.i)), true, r.listed
			if r.reason != "" {
				known = s.named(&p, r.i, users) != nil
				listed = s.isListed(p.Email, p.UserID)
			}
			if listed {
				found.rows.add(at(b, r.i))
			}
			if known && (listed && len(p.Email) > 0 && len(p.UserID) > 0 || r.reason != "" && s.isListedRaw(r.i, emails, users)) {
				if err := found.linked.add(p.Email, p.UserID, s.in.Connection.ProjectType, suppression.Hash{}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// suppressesRow reports whether the person of a row is on a suppression list, or its profile is
// linked.
func (s *staging) suppressesRow(at position, r *identified, p *snapshot.Profile) bool {
	switch {
	case s.suppressed.Set.Len() == 0:
		return false
	case s.inSegment != nil:
		return s.inSegment.rows.has(at) || s.isLinked(p.Email, p.UserID)
	case r.reason != "":
		return s.isSuppressed(p.Email, p.UserID)
	}
	return r.listed || s.isLinked(p.Email, p.UserID)
}

// isSuppressed reports whether a person is on a suppression list by any identifier of the row
// or member, or its profile is linked.
func (s *staging) isSuppressed(address, userID []byte) bool {
	return s.suppressed.Set.Len() > 0 && (s.isListed(address, userID) || s.isLinked(address, userID))
}

// isLinked reports whether a profile is suppressed by an identifier of another of its rows. Where
// an identifier is missing, the one that the profile had at the last run counts.
func (s *staging) isLinked(address, userID []byte) bool {
	project := s.in.Connection.ProjectType
	if s.inSegment != nil && s.inSegment.linked.has(address, userID, project, nil) {
		return true
	}
	set := s.suppressed.Set
	return (len(address) == 0 || len(userID) == 0) && (s.linkedMembers.has(address, userID, project, set) || s.earlier.has(address, userID, project, set))
}

// isListed reports whether a person is on a suppression list by one of these identifiers.
func (s *staging) isListed(address, userID []byte) bool {
	_, found := s.listed(address, userID)
	return found
}

// listed returns the entry of a suppression list that is about a person, by one of these
// identifiers.
func (s *staging) listed(address, userID []byte) (entry suppression.Hash, found bool) {
	var some [3]suppression.Hash
	all := s.entries(some[:0], address, userID)
	if s.in.Connection.ProjectType != schemas.ProjectEmail {
		slices.Reverse(all) // a row that lacks what is not the key is recognized by that one's hash only
	}
	for _, entry := range all {
		if s.suppressed.Set.Has(entry) {
			return entry, true
		}
	}
	return entry, false
}

// entries appends the hashes by which a person may be on a suppression list.
func (s *staging) entries(to []suppression.Hash, address, userID []byte) []suppression.Hash {
	if len(userID) > 0 && s.suppressed.ByUserID {
		to = append(to, suppression.UserID(userID))
	}
	if len(address) == 0 || !s.suppressed.ByAddress {
		return to
	}
	to = append(to, suppression.Address(address))
	if other, differs := email.Unicode(address); differs { // a hashed list may have this form
		to = append(to, suppression.Address(other))
	}
	return to
}

// isListedRaw reports whether row i, which is rejected, is on a suppression list by an
// identifier as it stands in the file.
func (s *staging) isListedRaw(i int, emails, users *segment.StringColumn) bool {
	if s.suppressed.Set.Len() == 0 {
		return false
	}
	if emails != nil {
		raw, _ := emails.Bytes(i)
		address, reason := email.Normalize(raw, nil, email.Options{AllowUnknownTLD: true})
		if reason == "" && s.isListed(address, nil) || len(raw) > 0 && s.suppressed.Set.Has(suppression.Address(raw)) {
			return true
		}
	}
	if users == nil {
		return false
	}
	raw, ok := users.Bytes(i)
	return ok && len(raw) > 0 && s.suppressed.Set.Has(suppression.UserID(raw))
}
