package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// Variables, so that a test needs no million profiles.
var (
	// FirstChunk is how many batches the first UploadBatches activity sends: 20 s of
	// work at 5 requests per second with a batch each. Where a request carries many, the
	// last one of each chunk is not full, so every chunk is twice as large as the one
	// before, up to eight times the first. An activity costs about 6 events.
	FirstChunk = 100
	// ChunksPerExecution is how many chunks one execution sends before it goes on
	// in a new one with a fresh history: about 3,000 events, a third of what
	// Temporal starts to warn at.
	ChunksPerExecution = 500
)

// chunksAhead is how many chunks are in progress at once. With two, the requests of the
// next chunk fill the pace while the last answers of the chunk before it are awaited.
const chunksAhead = 2

// upload is the progress of sending the two staged files, in batches.
type upload struct {
	removed, added int
	chunks         int // sent in this execution
	waits          int // for a person, in this execution, before the segment was staged
	// began is when this execution started to send the present kind of batches, and before
	// the counts at that time.
	began  time.Time
	before schemas.UploadCounts
	// partial counts what was sent of failed chunks that will be tried again.
	partial schemas.UploadCounts
	// open are the chunks that neither the report nor partial counts yet.
	open []*chunk
}

func (u *upload) resume(r *schemas.SegmentResume) { u.removed, u.added = r.Removed, r.Added }

// done returns the number of batches done of one kind.
func (u *upload) done(kind string) *int {
	if kind == schemas.Unsubscribe {
		return &u.removed
	}
	return &u.added
}

// chunk is one UploadBatches activity that is running or will be tried again.
type chunk struct {
	first, end int
	resume     *schemas.UploadProgress
	future     workflow.Future
	done       schemas.UploadCounts // zero until it is
}

// uploadBatches sends every batch of one kind, in chunks.
func (s *exportSegment) uploadBatches(ctx workflow.Context, kind string) error {
	total := s.report.Manifest.AddBatches
	if kind == schemas.Unsubscribe {
		total = s.report.Manifest.RemoveBatches
	}
	if total == 0 {
		return nil
	}
	var open []*chunk
	s.upload.began, s.upload.before = workflow.Now(ctx), s.sent()
	return s.do(ctx, schemas.ActivityUploadBatches, func(ctx workflow.Context) error {
		next := *s.upload.done(kind)
		s.upload.partial = schemas.UploadCounts{} // the retried chunks count it again
		if len(open) > 0 {                        // an operator answered retry
			next = open[len(open)-1].end
			s.upload.open = open
			for _, c := range open {
				s.startChunk(ctx, kind, total, c)
			}
		}
		for {
			for len(open) < chunksAhead && next < total && s.upload.chunks < ChunksPerExecution {
				c := &chunk{first: next, end: min(next+s.chunkSize(), total)}
				s.startChunk(ctx, kind, total, c)
				open, next = append(open, c), c.end
				s.upload.open = open
				s.upload.chunks++
			}
			if len(open) == 0 {
				break
			}
			var counts schemas.UploadCounts
			if err := open[0].future.Get(ctx, &counts); err != nil {
				s.settle(ctx, open)
				return err
			}
			s.report.Upload.Add(counts)
			s.total()
			*s.upload.done(kind) = open[0].end
			open = open[1:]
			s.upload.open = open
			s.show(ctx)
		}
		if next < total {
			return s.continueAsNew(ctx)
		}
		return nil
	})
}

// chunkSize returns how many batches the next chunk has.
func (s *exportSegment) chunkSize() int { return FirstChunk << min(s.upload.chunks, 3) }

// startChunk starts the activity of one chunk, from where an earlier attempt stopped.
func (s *exportSegment) startChunk(ctx workflow.Context, kind string, total int, c *chunk) {
	if c.future != nil && c.future.IsReady() {
		var counts schemas.UploadCounts
		if c.future.Get(ctx, &counts) == nil {
			return // already done
		}
	}
	in := schemas.UploadInput{
		Run: s.in.Run, Connection: s.in.Connection, ListID: s.list.ID, ListOwner: s.list.Owner, ListCreatedAt: s.list.CreatedAt, Settings: s.in.Export.Settings, Fields: s.fields,
		Kind: kind, Attempt: s.report.Manifest.Attempt, SnapshotVersion: s.report.Manifest.SnapshotVersion, First: c.first, End: c.end, Resume: c.resume,
	}
	if s.waiter.waits > s.upload.waits {
		in.Waited, in.Suppression = true, s.report.Manifest.SuppressionLists
	}
	verb := "add"
	if kind == schemas.Unsubscribe {
		verb = "remove"
	}
	summary := fmt.Sprintf("%s: batches %s–%s of %s: %s", verb, count(int64(c.first)), count(int64(c.end-1)), count(int64(total)), s.profiles(kind, total, c))
	ctx = connected(long(ctx, summary), s.in.Connection)
	future := workflow.ExecuteActivity(ctx, schemas.ActivityUploadBatches, in)
	c.future = future
	workflow.Go(ctx, func(ctx workflow.Context) { // it may be done before the chunk ahead of it
		var counts schemas.UploadCounts
		if future.Get(ctx, &counts) == nil {
			c.done = counts
		}
	})
}

// profiles returns the number of profiles of a chunk, in words. It is approximate if some
// batches are smaller than others, because a body would have become too large.
func (s *exportSegment) profiles(kind string, total int, c *chunk) string {
	all := s.report.Manifest.Adds + s.report.Manifest.Updates
	if kind == schemas.Unsubscribe {
		all = s.report.Manifest.Removals
	}
	per := int64(schemas.BatchProfiles)
	if (all+per-1)/per == int64(total) {
		return count(min(int64(c.end)*per, all)-int64(c.first)*per) + " profiles"
	}
	return "about " + count(all*int64(c.end-c.first)/int64(total)) + " profiles"
}

// pace returns the requests per second and the time when the rest will be sent: as measured
// since the upload began, or as staging expects it until the first chunk is done. Unknown
// values are zero.
func (s *exportSegment) pace(ctx workflow.Context) (requests float64, end time.Time) {
	sent, now := s.sent(), workflow.Now(ctx)
	var profiles float64 // per second
	if p := s.report.Manifest.Pace; p != nil {
		requests, profiles = p.RequestsPerSecond, p.RequestsPerSecond*float64(p.Profiles)
	}
	took := now.Sub(s.upload.began).Seconds()
	if n := sent.Acknowledged() - s.upload.before.Acknowledged(); n > 0 && took > 0 {
		requests, profiles = float64(sent.Requests-s.upload.before.Requests)/took, float64(n)/took
	}
	left := s.report.Manifest.ToSend() - sent.Acknowledged()
	if left <= 0 || profiles <= 0 {
		return requests, time.Time{}
	}
	return requests, now.Add(time.Duration(float64(left) / profiles * float64(time.Second)))
}

// settle waits for all open chunks after one has failed, and records how far each came.
func (s *exportSegment) settle(ctx workflow.Context, open []*chunk) {
	for i, c := range open {
		var counts schemas.UploadCounts
		if err := c.future.Get(ctx, &counts); err != nil {
			if p := progressOf(err); p != nil {
				c.resume = p
			}
			if c.resume != nil {
				counts = c.resume.All()
			}
		}
		s.upload.partial.Add(counts)
		s.upload.open = open[i+1:]
	}
	s.total()
}

// progressOf returns how far a failed UploadBatches came, or nil if the error does not have
// it.
func progressOf(err error) *schemas.UploadProgress {
	var p schemas.UploadProgress
	var app *temporal.ApplicationError
	var canceled *temporal.CanceledError
	var late *temporal.TimeoutError
	switch {
	case errors.As(err, &app) && app.HasDetails() && app.Details(&p) == nil,
		errors.As(err, &canceled) && canceled.HasDetails() && canceled.Details(&p) == nil,
		errors.As(err, &late) && late.HasLastHeartbeatDetails() && late.LastHeartbeatDetails(&p) == nil:
		return &p
	}
	return nil
}

// sent returns the counts of what was sent so far.
func (s *exportSegment) sent() (all schemas.UploadCounts) {
	all.Add(s.report.Upload)
	all.Add(s.upload.partial)
	return all
}

// ahead returns the counts of chunks that are done before the one ahead of them, and that sent
// therefore does not have yet.
func (s *exportSegment) ahead() (all schemas.UploadCounts) {
	for _, c := range s.upload.open {
		all.Add(c.done)
	}
	return all
}

// continueAsNew continues in a new execution, with a fresh history.
func (s *exportSegment) continueAsNew(ctx workflow.Context) error {
	in := s.in
	in.Resume = &schemas.SegmentResume{
		Report: s.report, Info: s.info, List: s.list, Fields: s.fields,
		Removed: s.upload.removed, Added: s.upload.added,
	}
	return workflow.NewContinueAsNewError(ctx, schemas.WorkflowExportSegment, in)
}
