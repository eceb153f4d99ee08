package snapshot

import (
	"context"
	"fmt"
)

// MaxProfiles is the most profiles of one comparison, members of the snapshot and others.
// At up to 45 bytes each they need 4.5 GB of memory.
const MaxProfiles = 100_000_000

// Options of a Differ.
type Options struct {
	// Rows is how many rows the segment's footers announce; negative is unknown.
	Rows int64
	// ResendAll treats all members of the list as changed.
	ResendAll bool
	// Member, if not nil, is called by NewDiffer with each member of the snapshot, in
	// ascending order of key. The member is valid until it returns.
	Member func(*Member) error
	// Stays, if not nil, is called by Finish with each member of the snapshot that a row
	// named, in order with the vanished ones.
	Stays func(*Member) error
}

// Counts says how many rows got each verdict, and how many members vanished.
type Counts struct {
	New, Changed, Unchanged, Duplicate, Vanished int64
}

func (c *Counts) count(v Verdict) {
	switch v {
	case New:
		c.New++
	case Changed:
		c.Changed++
	case Unchanged:
		c.Unchanged++
	case Duplicate:
		c.Duplicate++
	}
}

// Differ compares a segment with a snapshot. Add is called with the segment's valid rows in
// source order, and calls emit with each row and its verdict. The first of several rows with
// the same key counts.
//
// ErrCorrupt from any method means that the snapshot can't be trusted: what was
// emitted is void, and the segment must be compared again without a snapshot. Usually
// NewDiffer returns it.
type Differ struct {
	snap   *Snapshot
	opts   Options
	emit   func(*Profile, Verdict) error
	resend bool
	index  *index
	kept   bitmap // of the snapshot's rows, those who only stay; nil without any
	counts Counts
}

// NewDiffer reads the snapshot, which may be nil, and verifies its checksums.
func NewDiffer(ctx context.Context, snap *Snapshot, o Options, emit func(*Profile, Verdict) error) (*Differ, error) {
	d := &Differ{snap: snap, opts: o, emit: emit}
	if snap == nil {
		d.index = newIndex(0, 0, o.Rows)
		return d, nil
	}
	d.resend = o.ResendAll || snap.MappingChanged()
	if snap.Rows() > MaxProfiles {
		return nil, ErrTooMany
	}
	room := min(snap.Rows(), snap.bytes()/16) // keys don't compress, unless they are forged
	d.index = newIndex(snap.Rows(), room, o.Rows-room)
	err := snap.Each(ctx, func(m *Member) error {
		d.index.load(m)
		if o.Member != nil {
			return o.Member(m)
		}
		return nil
	})
	d.index.seal()
	return d, err
}

// ErrTooMany: the segment and its list have more than MaxProfiles.
var ErrTooMany = fmt.Errorf("the segment and its list have more than %d profiles together; split the segment", MaxProfiles)

// Expect prepares for Add of these rows, a few hundred. It looks all of them up: the processor
// waits for the memory of several lookups at a time, if nothing else is done between them.
func (d *Differ) Expect(rows []Profile) {
	for i := range rows {
		d.index.touch(rows[i].Key)
	}
}

// Add compares the segment's next valid row.
func (d *Differ) Add(p *Profile) error {
	v := d.index.mark(p.Key, p.Fields)
	if v == New && d.index.size() > MaxProfiles {
		return ErrTooMany
	}
	if v == Unchanged && d.resend {
		v = Changed
	}
	d.counts.count(v)
	return d.emit(p, v)
}

// Keep records that the segment has a profile in a row that can't be sent: it has not
// vanished.
func (d *Differ) Keep(k Key) {
	i := d.index.find(k.halves())
	if i < 0 {
		return
	}
	if d.kept == nil {
		d.kept = newBitmap(d.snap.Rows())
	}
	d.kept.set(int64(i))
}

// Finish calls vanished with each member of the snapshot that neither a row nor Keep named,
// in ascending order of key. With a nil vanished it does nothing: no member will be removed.
func (d *Differ) Finish(ctx context.Context, vanished func(*Member) error) (Counts, error) {
	seen := d.index.seen
	d.index = nil
	if d.snap == nil || vanished == nil {
		return d.counts, nil
	}
	c := d.snap.cursor(ctx)
	if d.opts.Stays == nil {
		c.skip = func(b block) bool { return seen.all(b.start, b.start+b.rows) }
	}
	for c.next() {
		if seen.has(c.row) || d.kept != nil && d.kept.has(c.row) {
			if d.opts.Stays != nil {
				if err := d.opts.Stays(&c.member); err != nil {
					return d.counts, err
				}
			}
			continue
		}
		d.counts.Vanished++
		if err := vanished(&c.member); err != nil {
			return d.counts, err
		}
	}
	return d.counts, c.err
}
