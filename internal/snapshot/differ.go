package snapshot

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
)

// DefaultMemoryPeople is how many people a Differ holds in memory if nothing
// else is said: at 21 to 32 bytes each, up to 512 MB.
const DefaultMemoryPeople = 16_000_000

// Options of a Differ.
type Options struct {
	// Rows is how many rows the segment's footers promise; negative where they
	// don't say.
	Rows int64
	// ResendAll takes everybody who is on the list for changed.
	ResendAll bool
	// MemoryPeople is the most people held in memory at once, members of the
	// snapshot and others; 0 is DefaultMemoryPeople. What is beyond goes to Files,
	// and stays in memory where Files is nil.
	MemoryPeople int64
	Files        TempFiles
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
// in source order; emit gets each of them once, in the same order, with its
// verdict: in memory from within Add, with temporary files from within Finish.
// The profile that emit gets is valid until it returns.
//
// ErrCorrupt from any method means that the snapshot can't be trusted: what was
// emitted is void, and the segment is to be compared again with no snapshot.
// Usually NewDiffer notices. The first of several rows with the same key counts.
type Differ struct {
	snap   *Snapshot
	opts   Options
	emit   func(*Profile, Verdict) error
	resend bool

	people *index // nil once partitioned
	seen   bitmap // of the snapshot's rows
	kept   bitmap // the same, those who only stay; nil without any
	parts  *partitions
	counts Counts
}

// NewDiffer reads the snapshot, nil where there is none, and compares it with
// its checksums. Close the Differ whatever happens.
func NewDiffer(ctx context.Context, snap *Snapshot, o Options, emit func(*Profile, Verdict) error) (*Differ, error) {
	if o.MemoryPeople <= 0 {
		o.MemoryPeople = DefaultMemoryPeople
	}
	d := &Differ{snap: snap, opts: o, emit: emit}
	members := int64(0)
	if snap != nil {
		members = snap.Rows()
		d.resend = o.ResendAll || snap.MappingChanged()
	}
	d.seen = newBitmap(members)
	rows := max(o.Rows, 0)
	if o.Files != nil && max(members, rows) > o.MemoryPeople {
		var err error
		if d.parts, err = newPartitions(o.Files, partitionBits(members, rows, o.MemoryPeople)); err != nil {
			return nil, err
		}
		if snap == nil {
			return d, nil
		}
		return d, snap.Verify(ctx)
	}
	room := members
	if snap != nil {
		room = min(room, snap.bytes()/16) // keys don't compress, unless they are forged
	}
	d.people = newIndex(room, expectOthers(members, rows), 0)
	d.people.seen = d.seen
	if snap != nil {
		if err := snap.Each(ctx, func(m *Member) error { d.people.load(m); return nil }); err != nil {
			return nil, err
		}
	}
	d.people.seal()
	return d, nil
}

// expectOthers is how many people beside the members there is room for at first:
// all rows at the first run, the surplus and a few percent at later ones.
func expectOthers(members, rows int64) int64 {
	if members == 0 {
		return rows
	}
	return max(rows-members, 0) + rows/32
}

// partitionBits gives the binary logarithm of how many partitions keep each one
// within the memory, were nobody of the segment on the list. Where the rows are
// not known, it makes 64.
func partitionBits(members, rows, memory int64) uint {
	if rows == 0 {
		return 6
	}
	const most = 10 // open files
	return min(uint(bits.Len64(uint64((members+rows+memory-1)/memory))), most)
}

// Add takes the segment's next valid row.
func (d *Differ) Add(p *Profile) error {
	if d.parts != nil {
		return d.parts.add(p)
	}
	v := d.people.mark(&p.Key, p.Fields)
	if err := d.judge(p, v); err != nil {
		return err
	}
	if v == New && d.opts.Files != nil && d.people.people() > d.opts.MemoryPeople {
		return d.overflow()
	}
	return nil
}

// Keep says that the segment has somebody in a row that can't be sent: where nothing
// else is known of them, they have not vanished all the same.
func (d *Differ) Keep(k Key) error {
	if d.snap == nil {
		return nil
	}
	if d.parts != nil {
		return d.parts.keep(k)
	}
	if i := d.people.find(k.halves()); i >= 0 {
		d.keep(int64(i))
	}
	return nil
}

func (d *Differ) keep(row int64) {
	if d.kept == nil {
		d.kept = newBitmap(d.snapRows())
	}
	d.kept.set(row)
}

// AddAll takes the segment's next valid rows. It is faster than Add where the
// people don't fit into the processor's cache.
func (d *Differ) AddAll(rows []Profile) error {
	for i := range rows {
		if d.people != nil && i%group == 0 {
			d.people.touch(rows[i:min(i+group, len(rows))])
		}
		if err := d.Add(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}

func (d *Differ) judge(p *Profile, v Verdict) error {
	if v == Unchanged && d.resend {
		v = Changed
	}
	d.counts.count(v)
	return d.emit(p, v)
}

// overflow goes on in temporary files, with everybody seen so far as rows whose
// verdict is out.
func (d *Differ) overflow() (err error) {
	if d.parts, err = newPartitions(d.opts.Files, partitionBits(d.snapRows(), max(d.opts.Rows, 0), d.opts.MemoryPeople)); err != nil {
		return err
	}
	for i, e := range d.people.members {
		if d.seen.has(int64(i)) {
			if err := d.parts.know(keyOf(e.hi, e.lo)); err != nil {
				return err
			}
		}
	}
	err = d.people.others.each(func(hi, lo uint64) error { return d.parts.know(keyOf(hi, lo)) })
	d.people = nil
	return err
}

func (d *Differ) snapRows() int64 {
	if d.snap == nil {
		return 0
	}
	return d.snap.Rows()
}

// Finish emits what Add has not, and then calls vanished with each member of the
// snapshot that no row named and Keep has not, in ascending order of key. A nil vanished counts
// nobody: nobody is to be removed.
func (d *Differ) Finish(ctx context.Context, vanished func(*Member) error) (Counts, error) {
	if d.parts != nil {
		if err := d.parts.finish(ctx, d); err != nil {
			return d.counts, err
		}
	}
	d.people = nil
	if d.snap == nil || vanished == nil {
		return d.counts, nil
	}
	c := d.snap.cursor(ctx)
	if d.opts.Stays == nil {
		c.skip = func(b block) bool { return d.seen.all(b.start, b.start+b.rows) }
	}
	for c.next() {
		if d.seen.has(c.row) || d.kept != nil && d.kept.has(c.row) {
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

// Close removes the temporary files that are left.
func (d *Differ) Close() error {
	if d == nil || d.parts == nil {
		return nil
	}
	if err := d.parts.close(); err != nil {
		return fmt.Errorf("tidy up after comparing: %w", err)
	}
	return nil
}

var errShort = errors.New("a temporary file is shorter than what was written to it")
