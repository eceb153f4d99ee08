package upload

import (
	"cmp"
	"context"
	"errors"
	"math"
	"time"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/schemas"
)

// refusedInARow is how many single rows Iterable may refuse, one after the other and
// with nothing accepted between them, before the request as a whole is held to be at
// fault instead of its rows: the first while nothing of the chunk was accepted,
// refusedLater afterwards, since a segment may be sorted by what is refused. Codes
// that are about one person do not count.
const (
	refusedInARow = 8
	refusedLater  = 100
)

// youngFor is how long after its creation a list that Iterable does not know is held
// to be new rather than deleted, and knownFor how long once Iterable has acknowledged
// something for it: another of its servers may be late. Iterable's own tests wait for
// up to 30 s.
const (
	youngFor = 10 * time.Minute
	knownFor = time.Minute
)

// errStopped ends a batch because another one has failed; that error counts.
var errStopped = errors.New("stopped by another batch")

// loaded is a batch of the staged file in memory, and its refusals.
type loaded struct {
	k int // its number
	*batch.Batch
	matcher  *batch.Matcher
	refusals []ledger.Refusal
	counts   schemas.UploadCounts // of its profiles, by the requests so far
}

// part is some rows of a batch.
type part struct {
	*loaded
	from, to int
}

func rowsOf(parts []part) (n int) {
	for _, p := range parts {
		n += p.to - p.from
	}
	return n
}

// halves splits the rows in two.
func halves(parts []part) (first, second []part) {
	half := rowsOf(parts) / 2
	for _, p := range parts {
		n := min(half, p.to-p.from)
		half -= n
		if n > 0 {
			first = append(first, part{p.loaded, p.from, p.from + n})
		}
		if p.from+n < p.to {
			second = append(second, part{p.loaded, p.from + n, p.to})
		}
	}
	return first, second
}

// sending is the sending of one request: usually one call, and more if Iterable refuses it
// and it must be split to find the rows at fault.
type sending struct {
	*uploader
	stop   context.Context // ends once another batch has met what stops all of them
	turn   limits.Turn     // the next request's
	held   bool            // the turn is
	body   *batch.Body
	counts schemas.UploadCounts // of requests; those of profiles are in the batches
	took   int64                // profiles that Iterable did not refuse
	inARow int
	halved bool // some of it may have been taken
}

// errSmaller ends a request of several batches that was too large; they are sent again in
// smaller requests.
var errSmaller = errors.New("several batches were too large for one request")

// send sends rows.
func (s *sending) send(ctx context.Context, parts []part) error {
	if rowsOf(parts) == 0 {
		return nil
	}
	if s.stop.Err() != nil {
		return errStopped
	}
	result, err := s.request(ctx, parts)
	if err == nil {
		s.inARow = 0
		s.settle(parts, result)
		return nil
	}
	var said *iterable.Error
	if !errors.As(err, &said) {
		return err
	}
	reason, ofRow := schemas.ReasonIterableRefused, false
	switch {
	case said.Class == iterable.TooLarge && len(parts) > 1 && !s.halved:
		return errSmaller
	case said.Class == iterable.TooLarge:
		reason = schemas.ReasonTooLarge
	case said.Class == iterable.FieldTypes && len(said.Mismatches) > 0:
		return err // the column is at fault, not the rows
	case said.Class == iterable.BadRequest, said.Class == iterable.FieldTypes:
		reason, ofRow = cmp.Or(personal[said.Code], reason), personal[said.Code] != ""
	default:
		return err
	}
	if rowsOf(parts) > 1 {
		s.halved = true
		first, second := halves(parts)
		if err := s.send(ctx, first); err != nil {
			return err
		}
		return s.send(ctx, second)
	}
	if !ofRow {
		s.inARow++
	}
	if s.inARow > refusedLater || s.inARow > refusedInARow && s.took+accepted(s.progress.snapshot().Counts) == 0 {
		return err
	}
	p := parts[0]
	byUserID := batch.NewBodyOptions(0, s.in.Settings, s.in.Connection.ProjectType).ByUserID && len(p.UserID(p.from)) > 0
	s.note(p.loaded, p.from, reason, byUserID)
	return nil
}

// accepted returns the number of profiles that Iterable did not refuse.
func accepted(c schemas.UploadCounts) int64 { return c.Sent + c.Removed + c.NotOnList }

// personal are the reasons of error codes about the only profile of a request.
var personal = map[string]schemas.Reason{
	api.CodeForgotten:     schemas.ReasonIterableForgotten,
	api.CodeInvalidEmail:  schemas.ReasonIterableInvalidEmail,
	api.CodeInvalidUserID: schemas.ReasonIterableInvalidUserID,
}

// request makes one request, with its retries.
func (s *sending) request(ctx context.Context, parts []part) (r iterable.Result, err error) {
	if err = s.next(ctx); err != nil {
		return r, err
	}
	s.held = false // Send ends it
	s.reset(s.body)
	for _, p := range parts {
		s.body.Add(p.Batch, p.from, p.to, math.MaxInt)
	}
	observe := func(err error) {
		one := schemas.PaceSample{Requests: 1}
		switch iterable.ClassOf(err) {
		case iterable.Throttled:
			one.Throttled++
		case iterable.Transient:
			one.Failed++
		}
		s.counts.Requests += one.Requests
		s.counts.Throttled += one.Throttled
		s.counts.Failed += one.Failed
		if err == nil {
			one.Profiles = int64(rowsOf(parts))
			s.known.Store(true)
			s.attempt.Worked()
		} else {
			s.attempt.Failed(err)
		}
		s.pace.add(time.Now(), one)
	}
	return s.client.Send(ctx, s.turn, iterable.Request{
		Endpoint: s.endpoint(), Body: s.body.Bytes(), Profiles: rowsOf(parts), Young: s.young, Observe: observe, Repeat: s.stop,
	})
}

// next waits for the turn of the next request, unless it is held.
func (s *sending) next(ctx context.Context) (err error) {
	if !s.held {
		s.turn, err = s.client.Turn(ctx, s.endpoint())
		s.held = err == nil
	}
	return err
}

// young reports whether the list may be too new for Iterable to know.
func (u *uploader) young() bool {
	within := youngFor
	if u.known.Load() {
		within = knownFor
	}
	return time.Since(u.in.ListCreatedAt) < within
}

// endpoint returns where the chunk's requests go.
func (u *uploader) endpoint() iterable.Endpoint { return iterable.Endpoint(u.in.Kind) }

// reset empties a body, for the profiles of one of the chunk's requests.
func (u *uploader) reset(body *batch.Body) {
	body.Reset(batch.NewBodyOptions(u.in.ListID, u.in.Settings, u.in.Connection.ProjectType), u.in.Kind == schemas.Unsubscribe)
}

// settle records Iterable's answer for each row of an accepted request.
func (s *sending) settle(parts []part, r iterable.Result) {
	type who struct {
		*loaded
		row int
	}
	settled, unsure := map[who]bool{}, map[who]bool{} // by the address and by the user ID, or for two reasons
	doubted := map[who]bool{}                         // the first of the rows that one name may mean
	refused := map[*loaded]int64{}
	for _, f := range failures(r.Failed) {
		for _, name := range f.names {
			var rows []who
			for _, p := range parts {
				for _, row := range p.matcher.Find(p.from, p.to, f.byUserID, name) {
					rows = append(rows, who{p.loaded, row})
				}
			}
			if len(rows) > 1 { // user IDs that differ in case: which of them is not known
				for _, w := range rows {
					unsure[w] = true
				}
				doubted[rows[0]] = true
				continue
			}
			if len(rows) == 0 || settled[rows[0]] {
				continue
			}
			settled[rows[0]] = true
			refused[rows[0].loaded]++
			if s.in.Kind != schemas.Unsubscribe || !f.absent {
				s.note(rows[0].loaded, rows[0].row, f.reason, f.byUserID)
				continue
			}
			s.took++
			rows[0].counts.NotOnList++
			if f.reason == schemas.ReasonIterableForgotten {
				p := rows[0]
				p.refusals = append(p.refusals, ledger.Refusal{Row: p.row, Reason: f.reason, ByUserID: f.byUserID})
			}
		}
	}
	took := int64(rowsOf(parts))
	for _, n := range refused {
		took -= n
	}
	// The outcome of rows that count neither as a success nor as a failure is not known.
	unnamed := int64(max(r.FailCount, rowsOf(parts)-r.SuccessCount)) - (int64(rowsOf(parts)) - took)
	unnamed = min(max(0, unnamed), took)
	for _, p := range parts {
		for row := p.from; row < p.to; row++ {
			w := who{p.loaded, row}
			// The answer does not say which rows failed.
			if !settled[w] && (unsure[w] || unnamed > int64(len(doubted))) {
				p.refusals = append(p.refusals, ledger.Refusal{Row: row, Unsure: true})
			}
		}
	}
	s.took += took - unnamed
	for _, p := range parts {
		took := int64(p.to-p.from) - refused[p.loaded]
		unknown := min(unnamed, took)
		unnamed -= unknown
		p.counts.Unnamed += unknown
		if s.in.Kind == schemas.Unsubscribe {
			p.counts.Removed += took - unknown
		} else {
			p.counts.Sent += took - unknown
		}
	}
	s.counts.Add(schemas.UploadCounts{CreatedFields: namesOf(s.in.Fields, r.CreatedFields), IgnoredFields: namesOf(s.in.Fields, r.FilteredOutFields)})
}

// named are the profiles in one of the arrays of an answer.
type named struct {
	byUserID bool
	// absent is set if such profiles can't be on a list: they are not there to be
	// removed, were forgotten, or never had a valid address.
	absent bool
	reason schemas.Reason
	names  []string
}

// failures maps Iterable's names for failures to reasons.
func failures(f iterable.Failed) []named {
	return []named{
		{false, true, schemas.ReasonIterableForgotten, f.ForgottenEmails},
		{true, true, schemas.ReasonIterableForgotten, f.ForgottenUserIDs},
		{false, true, schemas.ReasonIterableInvalidEmail, f.InvalidEmails},
		{true, true, schemas.ReasonIterableInvalidUserID, f.InvalidUserIDs},
		{false, false, schemas.ReasonIterableConflict, f.ConflictEmails},
		{true, false, schemas.ReasonIterableConflict, f.ConflictUserIDs},
		{false, false, schemas.ReasonIterableInvalidData, f.InvalidDataEmails},
		{true, false, schemas.ReasonIterableInvalidData, f.InvalidDataUserIDs},
		{false, true, schemas.ReasonIterableNotFound, f.NotFoundEmails},
		{true, true, schemas.ReasonIterableNotFound, f.NotFoundUserIDs},
	}
}

// note records a refused row.
func (s *sending) note(b *loaded, row int, reason schemas.Reason, byUserID bool) {
	if s.in.Kind == schemas.Unsubscribe {
		b.counts.NotRemoved++
	} else {
		b.counts.Add(schemas.UploadCounts{Refused: map[schemas.Reason]int64{reason: 1}})
	}
	b.refusals = append(b.refusals, ledger.Refusal{Row: row, Reason: reason, ByUserID: byUserID})
}
