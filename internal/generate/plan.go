package generate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strconv"

	"iterable-segment-export/schemas"
)

// duplicateShare is the share of rows with the profile of an earlier row.
const duplicateShare = 0.01

// occupants is how many profiles share one rank in turn.
const occupants = 16

// plan computes the content of each row of a segment: it is as small for a billion rows as for
// ten.
//
// Each row has a rank, and each rank has one profile at a time. Ranks are in the order of the
// profiles' addresses, so that the list's digest can be computed in one pass over the ranks.
// With each version of a segment a share of the ranks gets the next profile.
type plan struct {
	seed        uint64
	rows        uint64
	bad         uint64 // rows with a bad address
	duplicates  uint64 // rows that may repeat an earlier row's profile
	turns       uint64 // how many profiles have left since the first version
	perVersion  uint64 // how many of them left before the last version
	kinds       shuffle
	ranks       shuffle
	numberWidth int
}

func newPlan(o Options) *plan {
	p := &plan{seed: uint64(o.Seed), rows: uint64(o.Rows)}
	p.bad = uint64(math.Round(o.Bad * float64(o.Rows)))
	p.duplicates = min(p.rows-p.bad, uint64(math.Round(duplicateShare*float64(o.Rows))))
	p.perVersion = uint64(math.Round(o.Churn * float64(p.steady())))
	p.turns = uint64(o.Version-1) * p.perVersion
	p.kinds = newShuffle(p.rows, seeded(p.seed, 1))
	p.ranks = newShuffle(p.rows, seeded(p.seed, 2))
	p.numberWidth = len(strconv.FormatUint((p.rows/p.pairs()+1)*occupants, 10))
	return p
}

func (p *plan) pairs() uint64 { return uint64(len(firstNames) * len(lastNames)) }

// steady returns the number of rows that have a profile of their own wherever they are. Only
// their profiles leave.
func (p *plan) steady() uint64 { return p.rows - p.bad - p.duplicates }

// row is the content of a row.
type row struct {
	person person
	// reason is why the row is rejected: ReasonDuplicate for the profile of an earlier row, and
	// empty for one that is sent.
	reason schemas.Reason
}

// person is a profile: the rank, and its number on the rank.
type person struct{ rank, turn uint64 }

// row returns the row with that number, from 0 to rows-1.
func (p *plan) row(i uint64) row {
	kind := p.kinds.at(i)
	r := row{person: person{rank: p.ranks.at(i)}}
	switch {
	case kind < p.bad:
		r.reason = badKinds[kind%uint64(len(badKinds))]
	case kind < p.bad+p.duplicates:
		if earlier, ok := p.earlier(i); ok {
			return row{person: p.row(earlier).person, reason: schemas.ReasonDuplicate}
		}
	default:
		r.person.turn = p.turn(kind - p.bad - p.duplicates)
	}
	return r
}

// earlier finds a row before row i with a profile of its own, if one is near a random place.
func (p *plan) earlier(i uint64) (uint64, bool) {
	if i == 0 {
		return 0, false
	}
	r := seeded(p.seed, 3, i)
	at := r.below(i)
	for range 64 {
		if p.kinds.at(at) >= p.bad+p.duplicates {
			return at, true
		}
		if at == 0 {
			break
		}
		at--
	}
	return 0, false
}

// turn returns how many profiles have left the rank of a steady row. Profiles leave row after
// row, in rounds.
func (p *plan) turn(steady uint64) uint64 {
	if p.turns <= steady {
		return 0
	}
	return (p.turns-steady-1)/p.steady() + 1
}

// expected computes the expected result of a run.
func (p *plan) expected(ctx context.Context) (Expected, error) {
	e := Expected{Rows: int64(p.rows), Rejected: map[schemas.Reason]int64{}}
	if p.turns > 0 {
		e.Left, e.Joined = int64(p.perVersion), int64(p.perVersion)
	}
	digest := sha256.New()
	var buf []byte
	for rank := range p.rows {
		if rank%batchRows == 0 && ctx.Err() != nil {
			return Expected{}, ctx.Err()
		}
		switch r := p.row(p.ranks.place(rank)); r.reason {
		case "":
			if e.Valid++; e.Valid > 1 {
				buf = append(buf, '\n')
			}
			if buf = p.appendAddress(buf, r.person); len(buf) >= 32<<10 {
				digest.Write(buf)
				buf = buf[:0]
			}
		case schemas.ReasonDuplicate:
			e.Duplicates++
		default:
			e.Rejected[r.reason]++
		}
	}
	digest.Write(buf)
	e.Digest = hex.EncodeToString(digest.Sum(nil))
	return e, nil
}
