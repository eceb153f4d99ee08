package staging

import (
	"errors"

	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// groupRows is how many rows are compared with the snapshot at a time, which is faster
// than one by one.
const groupRows = 256

// groupBytes is how many bytes of fields make a group full before it has all its
// rows, so that large values can't fill the memory.
const groupBytes = 4 << 20

// groups is how many groups there are: one being filled, one being compared, and those
// between them, so that neither side waits for the other's slower moments.
const groups = 4

// group is rows of one record that are read and validated, to be compared next.
type group struct {
	record   arrow.Record       // in which values at fault lie
	profiles []snapshot.Profile // those to be compared
	arena    arena              // their identifiers and data fields
	refused  []refusedRow
}

// refusedRow is a row that is not compared. Its place is before the profile of that
// index, so that the rejects stay in the order of the source.
type refusedRow struct {
	before int
	at     position
	column string
	value  []byte
	reason schemas.Reason
	// key is set if the profile stays on the list unchanged.
	key *[16]byte
	// email and userID are set in a row that the record of rows has.
	email, userID []byte
}

func (g *group) full() bool {
	return len(g.profiles) == groupRows || len(g.refused) == groupRows || len(g.arena) > groupBytes
}

// mostDigits is longer than any number of a column.
const mostDigits = 64

func (g *group) reset() {
	if g.record != nil {
		g.record.Release()
	}
	g.record, g.profiles, g.arena, g.refused = nil, g.profiles[:0], g.arena[:0], g.refused[:0]
}

// comparer is the goroutine that compares the groups that the reading one has filled, and
// writes the result. After an error it drops the remaining groups.
type comparer struct {
	free, ready chan *group
	done        chan struct{}
	err         error // to be read after done is closed
	failed      chan struct{}
	stopped     bool
}

func newComparer(compare func(*group) error) *comparer {
	c := &comparer{free: make(chan *group, groups), ready: make(chan *group, groups), done: make(chan struct{}), failed: make(chan struct{})}
	for range groups {
		c.free <- &group{}
	}
	go func() {
		defer close(c.done)
		for g := range c.ready {
			if c.err == nil {
				if c.err = compare(g); c.err != nil {
					close(c.failed)
				}
			}
			g.reset()
			c.free <- g
		}
	}()
	return c
}

// errComparing is returned by hand after a comparison has failed; stop returns the cause.
var errComparing = errors.New("the comparison has failed")

// hand passes a full group on and returns an empty one.
func (c *comparer) hand(g *group) (*group, error) {
	c.ready <- g
	select {
	case <-c.failed:
		return nil, errComparing
	case next := <-c.free:
		return next, nil
	}
}

// stop waits until all groups are compared. It may be called more than once.
func (c *comparer) stop() error {
	if !c.stopped {
		c.stopped = true
		close(c.ready)
	}
	<-c.done
	return c.err
}
