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
	// ChunkBatches is how many batches the first UploadBatches activity sends: 20 s of
	// work at 5 requests a second with a batch each. Where a request carries many, the
	// last one of each chunk is not full, so every chunk is twice as large as the one
	// before, up to eight times the first. An activity costs about 6 events.
	ChunkBatches = 100
	// ChunksPerExecution is how many chunks one execution sends before it goes on
	// in a new one with a fresh history: about 3,000 events, a third of what
	// Temporal starts to warn at.
	ChunksPerExecution = 500
)

// chunksAhead is how many chunks are under way at once. With two, the requests of the
// next chunk fill the pace while the last answers of the chunk before it are awaited.
const chunksAhead = 2

// upload is where the sending of the two staged files stands, in batches.
type upload struct {
	removed, added int
	chunks         int // sent in this execution
	// began is when this execution began to send one kind of batches, and before what
	// was sent until then.
	began  time.Time
	before schemas.UploadCounts
	// partial is what was sent of chunks that did not get through and wait to be
	// tried again.
	partial schemas.UploadCounts
}

func (u *upload) resume(r *schemas.SegmentResume) { u.removed, u.added = r.Removed, r.Added }

// done is the count of batches done of one kind.
func (u *upload) done(kind string) *int {
	if kind == schemas.Unsubscribe {
		return &u.removed
	}
	return &u.added
}

// chunk is one UploadBatches activity under way, or waiting to be tried again.
type chunk struct {
	first, end int
	resume     *schemas.UploadProgress
	future     workflow.Future
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
		s.upload.partial = schemas.UploadCounts{} // what is tried again counts it
		if len(open) > 0 {                        // an operator has said retry
			next = open[len(open)-1].end
			for _, c := range open {
				s.startChunk(ctx, kind, total, c)
			}
		}
		for {
			for len(open) < chunksAhead && next < total && s.upload.chunks < ChunksPerExecution {
				c := &chunk{first: next, end: min(next+s.chunkSize(), total)}
				s.startChunk(ctx, kind, total, c)
				open, next = append(open, c), c.end
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
			s.show(ctx)
		}
		if next < total {
			return s.continueAsNew(ctx)
		}
		return nil
	})
}

// chunkSize is how many batches the next chunk has.
func (s *exportSegment) chunkSize() int {
	if s.report.Manifest.Pace == nil { // an earlier version began the run, with chunks of one size
		return ChunkBatches
	}
	return ChunkBatches << min(s.upload.chunks, 3)
}

// startChunk starts one chunk's activity, where an earlier try of it stopped if
// there was one.
func (s *exportSegment) startChunk(ctx workflow.Context, kind string, total int, c *chunk) {
	if c.future != nil && c.future.IsReady() {
		var counts schemas.UploadCounts
		if c.future.Get(ctx, &counts) == nil {
			return // this one got through
		}
	}
	in := schemas.UploadInput{
		Run: s.in.Run, Connection: s.in.Connection, ListID: s.list.ID, ListOwner: s.list.Owner, ListCreatedAt: s.list.CreatedAt, Settings: s.in.Export.Settings, Fields: s.fields,
		Kind: kind, Attempt: s.report.Manifest.Attempt, SnapshotVersion: s.report.Manifest.SnapshotVersion, First: c.first, End: c.end, Resume: c.resume,
	}
	verb := "add"
	if kind == schemas.Unsubscribe {
		verb = "remove"
	}
	summary := fmt.Sprintf("%s: batches %s–%s of %s: %s", verb, count(int64(c.first)), count(int64(c.end-1)), count(int64(total)), s.people(kind, total, c))
	ctx = connected(long(ctx, summary), s.in.Connection)
	c.future = workflow.ExecuteActivity(ctx, schemas.ActivityUploadBatches, in)
}

// people says how many profiles a chunk has. Batches that are cut where a body would
// become too large have fewer than others, and then it says about how many.
func (s *exportSegment) people(kind string, total int, c *chunk) string {
	people := s.report.Manifest.Adds + s.report.Manifest.Updates
	if kind == schemas.Unsubscribe {
		people = s.report.Manifest.Removals
	}
	per := int64(schemas.BatchProfiles)
	if per > 0 && (people+per-1)/per == int64(total) {
		return count(min(int64(c.end)*per, people)-int64(c.first)*per) + " profiles"
	}
	return "about " + count(people*int64(c.end-c.first)/int64(total)) + " profiles"
}

// pace is the requests a second, and when the rest will have been sent: as measured
// since the upload began, and until the first chunk is done as staging expects it. Both
// are zero where nothing is known.
func (s *exportSegment) pace(ctx workflow.Context) (requests float64, end time.Time) {
	sent, now := s.sent(), workflow.Now(ctx)
	var profiles float64 // a second
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

// settle waits for the chunks under way after one of them has failed, and notes
// how far each failed one came.
func (s *exportSegment) settle(ctx workflow.Context, open []*chunk) {
	for _, c := range open {
		var counts schemas.UploadCounts
		if err := c.future.Get(ctx, &counts); err != nil {
			if p := cameTo(err); p != nil {
				c.resume = p
			}
			if c.resume != nil {
				counts = c.resume.Counts
			}
		}
		s.upload.partial.Add(counts)
	}
	s.total()
}

// cameTo is how far an UploadBatches came that has failed, nil where the error does
// not say.
func cameTo(err error) *schemas.UploadProgress {
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

// sent is what was sent so far.
func (s *exportSegment) sent() (all schemas.UploadCounts) {
	all.Add(s.report.Upload)
	all.Add(s.upload.partial)
	return all
}

// continueAsNew goes on in a new execution, with a fresh history.
func (s *exportSegment) continueAsNew(ctx workflow.Context) error {
	in := s.in
	in.Resume = &schemas.SegmentResume{
		Report: s.report, Info: s.info, List: s.list, Fields: s.fields,
		Removed: s.upload.removed, Added: s.upload.added,
	}
	return workflow.NewContinueAsNewError(ctx, schemas.WorkflowExportSegment, in)
}
