package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Update is what a run did to a list; the next snapshot is made from it. Its methods accept
// profiles in any order. For a profile that is named more than once, the strongest counts:
// Forget, then Refuse, then Put, then Doubt, then Remove.
//
// In append mode Remove is not called for vanished members, and they stay recorded. If the
// mode becomes mirror, they are removed then.
type Update struct {
	sorter sorter
	put    Member
	void   bool
	doubt  bool
	keep   bool
}

// Kinds of changes, the strongest last.
const (
	changeRemove = iota
	changeDoubt
	changePut
	changeRefuse
	changeForget
	changeBits = 3
)

// defaultSortBytes is how much an Update keeps in memory before it sorts it into a temporary
// file: about 200,000 profiles. Three times as much made a first export of a million no
// faster and the worker 100 MB larger.
const defaultSortBytes = 16 << 20

// NewUpdate returns an update that holds that many bytes in memory (0 is 16 MB)
// and the rest in temporary files in dir ("" is the system's). It must be closed.
func NewUpdate(dir string, memory int) *Update {
	return &Update{sorter: newSorter(dir, memory)}
}

// Put records a profile whose addition Iterable has acknowledged. The bytes are copied.
func (u *Update) Put(m *Member) error { return u.sorter.add(m, changePut) }

// Remove drops a member whose removal Iterable has acknowledged.
func (u *Update) Remove(k Key) error { return u.change(k, changeRemove) }

// Doubt records a profile whose addition or removal may or may not have happened. A known
// member stays with Unknown values; any other becomes Unconfirmed. The bytes are copied.
func (u *Update) Doubt(m *Member) error {
	u.put = *m
	u.put.Fields = Unconfirmed
	return u.sorter.add(&u.put, changeDoubt)
}

// Refuse records that Iterable refused a profile. A refused addition leaves no trace; after
// an update or a removal the member stays with Unknown values, so that it is sent or removed
// again.
func (u *Update) Refuse(k Key) error { return u.change(k, changeRefuse) }

// Void makes the values of all other members Unknown. A run that sends everything does not
// trust what was known before.
func (u *Update) Void() { u.void = true }

// Distrust makes all other members Unconfirmed: whether they are still on the list is not
// known, since the snapshot is from a restored backup.
func (u *Update) Distrust() { u.doubt = true }

// KeepIdentifiers makes a member keep its address or user ID when it is put without that one: a
// profile that Iterable knows by both keeps the one that a later row lacks.
func (u *Update) KeepIdentifiers() { u.keep = true }

// Forget records that Iterable no longer has a profile, and drops it.
func (u *Update) Forget(k Key) error { return u.change(k, changeForget) }

func (u *Update) change(k Key, kind uint64) error {
	u.put = Member{Key: k}
	return u.sorter.add(&u.put, kind)
}

// Publish applies the update to old (nil is an empty snapshot), writes the new snapshot and
// returns its header. It does not close w, and the update can't be used again.
//
// The old snapshot is the one that staging compared with, or nil if it was unusable.
// ErrCorrupt means that it was damaged since then.
func (u *Update) Publish(ctx context.Context, old *Snapshot, h Header, w io.Writer) (Header, error) {
	changes, err := u.sorter.sorted()
	if err != nil {
		return Header{}, err
	}
	out, err := NewWriter(w, h)
	if err != nil {
		return Header{}, err
	}
	defer out.release()
	members := &cursor{done: true}
	if old != nil {
		members = old.cursor(ctx)
		members.next()
	}
	if err := u.merge(ctx, members, changes, out); err != nil {
		return Header{}, err
	}
	return out.Close()
}

// merge merges both, in order of key.
func (u *Update) merge(ctx context.Context, members *cursor, changes *merger, out *Writer) error {
	var put Member
	for n := 0; changes.more(); n++ {
		if n%batchRows == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		key := changes.member.Key
		for ; members.more() && members.member.Key.compare(key) < 0; members.next() {
			if err := u.carry(members, out); err != nil {
				return err
			}
		}
		kind := uint64(changeRemove)
		for changes.more() && changes.member.Key == key {
			if kind = max(kind, changes.kind); changes.kind == changePut || changes.kind == changeDoubt {
				put = clone(put, &changes.member)
			}
			if err := changes.next(); err != nil {
				return err
			}
		}
		before := members.more() && members.member.Key == key
		if before && u.keep && kind == changePut {
			put = put.with(members.member)
		}
		var err error
		switch {
		case kind == changePut, kind == changeDoubt && !before:
			err = out.Append(&put)
		case kind == changeRefuse && before, kind == changeDoubt:
			err = appendUnknown(out, members.member)
		}
		if err != nil {
			return err
		}
		if before {
			members.next()
		}
	}
	for ; members.more(); members.next() {
		if err := u.carry(members, out); err != nil {
			return err
		}
	}
	return members.err
}

// carry appends a member without changes.
func (u *Update) carry(members *cursor, out *Writer) error {
	switch {
	case u.doubt:
		m := members.member
		m.Fields = Unconfirmed
		return out.Append(&m)
	case u.void:
		return appendUnknown(out, members.member)
	}
	return out.Append(&members.member)
}

// appendUnknown appends a member with Unknown values.
func appendUnknown(out *Writer, m Member) error {
	if m.Fields != Unconfirmed {
		m.Fields = Unknown
	}
	return out.Append(&m)
}

// clone copies a member into the buffers of another.
func clone(to Member, m *Member) Member {
	return Member{
		Key: m.Key, Fields: m.Fields,
		Email: append(to.Email[:0], m.Email...), UserID: append(to.UserID[:0], m.UserID...),
	}
}

// with returns the member with the identifiers of an earlier version that it lacks.
func (m Member) with(earlier Member) Member {
	if len(m.Email) == 0 {
		m.Email = append(m.Email, earlier.Email...)
	}
	if len(m.UserID) == 0 {
		m.UserID = append(m.UserID, earlier.UserID...)
	}
	return m
}

// Close deletes the remaining temporary files.
func (u *Update) Close() error {
	if err := u.sorter.close(); err != nil {
		return fmt.Errorf("tidy up after publishing the snapshot: %w", err)
	}
	return nil
}

var errUsed = errors.New("the update was published already")
