package snapshot

import (
	"context"
	"fmt"
)

// cursor iterates over a snapshot's members.
type cursor struct {
	s      *Snapshot
	ctx    context.Context
	skip   func(b block) bool // nil skips none
	member Member
	row    int64 // the number of member
	err    error

	batch int // the next batch to read
	cols  columns
	i, n  int
	any   bool // member is set
	done  bool // all members were read
}

func (s *Snapshot) cursor(ctx context.Context) *cursor { return &cursor{s: s, ctx: ctx} }

// next moves to the next member and reports whether there is one.
func (c *cursor) next() bool {
	if c.i >= c.n && !c.load() {
		c.done = true
		return false
	}
	k := Key(c.cols.keys[c.i*16 : c.i*16+16])
	if c.any && c.member.Key.compare(k) >= 0 {
		c.err = fmt.Errorf("read batch %d of the snapshot: %w: its members are out of order", c.batch-1, ErrCorrupt)
		c.done = true
		return false
	}
	c.member = Member{Key: k, Fields: c.cols.fields[c.i], Email: c.cols.email.At(c.i), UserID: c.cols.userID.At(c.i)}
	c.any = true
	c.i++
	c.row++
	return true
}

// more reports whether the last call of next found a member.
func (c *cursor) more() bool { return c.any && !c.done }

// load reads the next batch that is not skipped.
func (c *cursor) load() bool {
	if c.err != nil {
		return false
	}
	for c.batch < len(c.s.blocks) && c.skip != nil && c.skip(c.s.blocks[c.batch]) {
		c.batch++
	}
	if c.batch >= len(c.s.blocks) {
		return false
	}
	if c.err = c.ctx.Err(); c.err != nil {
		return false
	}
	b := c.s.blocks[c.batch]
	if c.cols, c.err = c.s.batch(c.batch); c.err != nil {
		return false
	}
	c.i, c.n, c.row = 0, int(b.rows), b.start-1
	c.batch++
	return true
}
