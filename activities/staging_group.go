package activities

import (
	"errors"

	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// groupRows is how many rows are compared with the snapshot together, which is
// faster than one by one.
const groupRows = 256

// groupBytes is how many bytes of fields make a group full before it has all its
// rows, so that large values can't fill the memory.
const groupBytes = 4 << 20

// groups is how many groups there are: one that is filled, one that is judged, and
// those between them, so that neither side waits for the other's slower moments.
const groups = 4

// group is rows of one record that are read and validated, on their way to the
// comparison.
type group struct {
	record    arrow.Record       // in which the addresses lie
	profiles  []snapshot.Profile // those to be compared
	addresses [groupRows][]byte  // buffers for their addresses
	arena     []byte             // their data fields and user ids
	refused   []refusedRow
}

// refusedRow is a row that is not compared. Its place is before the profile of that
// index, so that the rejects stay in the order of the source.
type refusedRow struct {
	before int
	at     position
	column string
	value  []byte
	reason schemas.Reason
	// key is of somebody who stays on the list as they are; nil otherwise.
	key *[16]byte
}

func (g *group) full() bool {
	return len(g.profiles) == groupRows || len(g.refused) == groupRows || len(g.arena) > groupBytes
}

// mostDigits is longer than any number of a column.
const mostDigits = 64

// own copies bytes into the group.
func (g *group) own(b []byte) []byte {
	start := len(g.arena)
	g.arena = append(g.arena, b...)
	return g.arena[start:len(g.arena):len(g.arena)]
}

func (g *group) reset() {
	if g.record != nil {
		g.record.Release()
	}
	g.record, g.profiles, g.arena, g.refused = nil, g.profiles[:0], g.arena[:0], g.refused[:0]
}

// judge is the goroutine that compares and writes what the one that reads has made
// ready. After an error it lets the rest go by.
type judge struct {
	free, ready chan *group
	done        chan struct{}
	err         error // to be read after done is closed
	failed      chan struct{}
	stopped     bool
}

func newJudge(take func(*group) error) *judge {
	j := &judge{free: make(chan *group, groups), ready: make(chan *group, groups), done: make(chan struct{}), failed: make(chan struct{})}
	for range groups {
		j.free <- &group{}
	}
	go func() {
		defer close(j.done)
		for g := range j.ready {
			if j.err == nil {
				if j.err = take(g); j.err != nil {
					close(j.failed)
				}
			}
			g.reset()
			j.free <- g
		}
	}()
	return j
}

// errJudge stands for the error that stop gives.
var errJudge = errors.New("the comparison has failed")

// hand takes a group over and gives an empty one. After errJudge, stop says what was
// wrong.
func (j *judge) hand(g *group) (*group, error) {
	j.ready <- g
	select {
	case <-j.failed:
		return nil, errJudge
	case next := <-j.free:
		return next, nil
	}
}

// stop waits until everything is judged. It may be called more than once.
func (j *judge) stop() error {
	if !j.stopped {
		j.stopped = true
		close(j.ready)
	}
	<-j.done
	return j.err
}
