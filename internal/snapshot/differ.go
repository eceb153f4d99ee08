package snapshot

import (
	"context"
	"fmt"
)

// MaxPeople is the most people that one comparison takes, members of the snapshot and
// others. At up to 45 bytes each they need 4.5 GB of memory.
const MaxPeople = 100_000_000

// Options of a Differ.
type Options struct {
	// Rows is how many rows the segment's footers promise; negative where they
	// don't say.
	Rows int64
	// ResendAll takes everybody who is on the list for changed.
	ResendAll bool
	// Stays, if it is not nil, gets each member of the snapshot whom a row named,
	// from within Finish, among the members who vanished and like them.
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

// Differ compares a segment with a snapshot. Add takes the segment's valid rows
// in source order; from within it, emit gets each row with its verdict. The first of
// several rows with the same key counts.
//
// ErrCorrupt from any method means that the snapshot can't be trusted: what was
// emitted is void, and the segment is to be compared again with no snapshot.
// Usually NewDiffer notices.
type Differ struct {
	snap   *Snapshot
	opts   Options
	emit   func(*Profile, Verdict) error
	resend bool
	people *index
	kept   bitmap // of the snapshot's rows, those who only stay; nil without any
	counts Counts
}

// NewDiffer reads the snapshot, nil where there is none, and compares it with
// its checksums.
func NewDiffer(ctx context.Context, snap *Snapshot, o Options, emit func(*Profile, Verdict) error) (*Differ, error) {
	d := &Differ{snap: snap, opts: o, emit: emit}
	if snap == nil {
		d.people = newIndex(0, 0, o.Rows)
		return d, nil
	}
	d.resend = o.ResendAll || snap.MappingChanged()
	if snap.Rows() > MaxPeople {
		return nil, ErrTooMany
	}
	room := min(snap.Rows(), snap.bytes()/16) // keys don't compress, unless they are forged
	d.people = newIndex(snap.Rows(), room, o.Rows-room)
	err := snap.Each(ctx, func(m *Member) error { d.people.load(m); return nil })
	d.people.seal()
	return d, err
}

// ErrTooMany: the segment and its list have more than MaxPeople.
var ErrTooMany = fmt.Errorf("the segment and its list have more than %d people together; split the segment", MaxPeople)

// Add takes the segment's next valid row.
func (d *Differ) Add(p *Profile) error {
	v := d.people.mark(p.Key, p.Fields)
	if v == New && d.people.people() > MaxPeople {
		return ErrTooMany
	}
	if v == Unchanged && d.resend {
		v = Changed
	}
	d.counts.count(v)
	return d.emit(p, v)
}

// Keep says that the segment has somebody in a row that can't be sent: where nothing
// else is known of them, they have not vanished all the same.
func (d *Differ) Keep(k Key) {
	i := d.people.find(k.halves())
	if i < 0 {
		return
	}
	if d.kept == nil {
		d.kept = newBitmap(d.snap.Rows())
	}
	d.kept.set(int64(i))
}

// Finish calls vanished with each member of the snapshot that no row named and Keep has
// not, in ascending order of key. A nil vanished counts nobody: nobody is to be removed.
func (d *Differ) Finish(ctx context.Context, vanished func(*Member) error) (Counts, error) {
	seen := d.people.seen
	d.people = nil
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
