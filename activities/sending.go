package activities

import (
	"context"
	"errors"
	"time"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/schemas"
)

// refusedInARow is how many single rows Iterable may refuse, one after the other
// and with nothing accepted between them, before the request as a whole is held
// to be at fault instead of its rows.
const refusedInARow = 8

// youngFor is how long after its creation a list that Iterable does not know is held
// to be new rather than deleted. Iterable's own tests wait for up to 30 s.
const youngFor = 10 * time.Minute

// errStopped ends a batch because of what another one has met, which is what counts.
var errStopped = errors.New("stopped by another batch")

// sending is one batch on its way: usually one request, more where Iterable
// refuses it and it has to be halved to find the rows to blame.
type sending struct {
	*uploader
	stop     <-chan struct{}
	batch    *batch.Batch
	matcher  *batch.Matcher
	body     []byte
	counts   schemas.UploadCounts
	refusals []refusal
	inARow   int
}

// refusal is a row that Iterable did not take.
type refusal struct {
	row    int // in the batch
	reason schemas.Reason
	// unsure is set for somebody of a request of whom Iterable did not take all,
	// without saying whom: there is no reason then.
	unsure bool
}

// send sends rows from to to-1 of the batch.
func (s *sending) send(ctx context.Context, from, to int) error {
	if from >= to {
		return nil
	}
	select {
	case <-s.stop: // another batch has met what stops all of them
		return errStopped
	default:
	}
	result, err := s.request(ctx, from, to)
	if err == nil {
		s.inARow = 0
		s.settle(from, to, result)
		return nil
	}
	var api *iterable.Error
	if !errors.As(err, &api) {
		return err
	}
	reason := schemas.ReasonIterableRefused
	switch api.Class {
	case iterable.TooLarge:
		reason = schemas.ReasonTooLarge
	case iterable.BadRequest, iterable.FieldTypes:
	default:
		return err
	}
	if to-from > 1 {
		half := from + (to-from)/2
		if err := s.send(ctx, from, half); err != nil {
			return err
		}
		return s.send(ctx, half, to)
	}
	if s.inARow++; s.inARow > refusedInARow {
		return err
	}
	s.note(from, reason)
	return nil
}

// request makes one request, with all its repeats.
func (s *sending) request(ctx context.Context, from, to int) (iterable.Result, error) {
	endpoint, body := iterable.Subscribe, bodyOptions(s.in.ListID, s.in.Settings, s.in.Connection.ProjectType)
	if s.in.Kind == schemas.Unsubscribe {
		endpoint = iterable.Unsubscribe
		s.body = batch.AppendUnsubscribe(s.body[:0], s.batch, from, to, body)
	} else {
		s.body = batch.AppendSubscribe(s.body[:0], s.batch, from, to, body)
	}
	return s.client.Send(ctx, endpoint, s.body, s.young, func(a iterable.Attempt) {
		one := schemas.PaceSample{Requests: 1}
		switch iterable.ClassOf(a.Err) {
		case iterable.Throttled:
			one.Throttled++
		case iterable.Transient:
			one.Failed++
		}
		s.counts.Requests += one.Requests
		s.counts.Throttled += one.Throttled
		s.counts.Failed += one.Failed
		if a.Err == nil {
			one.Profiles = int64(to - from)
			s.known.Store(true)
			s.attempt.worked()
		} else {
			s.attempt.failed()
		}
		s.pace.add(time.Now(), one)
	})
}

// young reports whether the list may be too new for Iterable to know: it is not,
// once Iterable has acknowledged something for it.
func (u *uploader) young() bool {
	return !u.known.Load() && time.Since(u.in.ListCreatedAt) < youngFor
}

// bodyOptions is how the requests of an export are written.
func bodyOptions(listID int64, s schemas.Settings, projectType string) batch.BodyOptions {
	return batch.BodyOptions{
		ListID: listID, PreferUserID: s.PreferUserID, MergeNestedObjects: s.MergeNestedObjects,
		UpdateExistingUsersOnly: s.UpdateExistingUsersOnly,
		ByUserID:                projectType == schemas.ProjectUserID || projectType == schemas.ProjectHybrid,
	}
}

// settle notes what Iterable says of each row of a request that it took.
func (s *sending) settle(from, to int, r iterable.Result) {
	before := len(s.refusals)
	absent := s.counts.NotOnList
	named := map[int]bool{} // by the address and by the user id, or for two reasons
	for _, f := range failures(r.Failed) {
		for _, name := range f.names {
			row, ok := s.matcher.Find(from, to, f.byUserID, name)
			if !ok || named[row] {
				continue
			}
			named[row] = true
			if s.in.Kind == schemas.Unsubscribe && f.absent {
				s.counts.NotOnList++
				continue
			}
			s.note(row, f.reason)
		}
	}
	refused := int64(len(s.refusals)-before) + s.counts.NotOnList - absent
	took := int64(to-from) - refused
	unnamed := min(max(0, int64(r.FailCount)-refused), took)
	if unnamed > 0 {
		for row := from; row < to; row++ {
			if !named[row] {
				s.refusals = append(s.refusals, refusal{row: row, unsure: true})
			}
		}
	}
	if s.in.Kind == schemas.Unsubscribe {
		s.counts.Removed += took - unnamed
	} else {
		s.counts.Sent += took - unnamed
	}
	s.counts.Unnamed += unnamed
	s.counts.Add(schemas.UploadCounts{CreatedFields: r.CreatedFields, IgnoredFields: r.FilteredOutFields})
}

// named are the people in one of the arrays of an answer.
type named struct {
	byUserID bool
	// absent tells that such people can't be on a list: they are not there to be
	// removed, were forgotten, or never had a valid address.
	absent bool
	reason schemas.Reason
	names  []string
}

// failures translates what Iterable calls the failures into reasons.
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

// note notes a row that Iterable did not take.
func (s *sending) note(row int, reason schemas.Reason) {
	if s.in.Kind == schemas.Unsubscribe {
		s.counts.NotRemoved++
	} else {
		s.counts.Add(schemas.UploadCounts{Refused: map[schemas.Reason]int64{reason: 1}})
	}
	s.refusals = append(s.refusals, refusal{row: row, reason: reason})
}
