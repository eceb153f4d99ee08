package workflows

import (
	"math"
	"path"
	"time"

	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// check does what comes before the first profile sent, and tells what a run would
// do. Nothing is changed in Iterable or in the snapshot, and nobody is waited for.
func (s *exportSegment) check(ctx workflow.Context) error {
	if err := s.inspectSegment(ctx); err != nil {
		return err
	}
	if err := s.ensureList(ctx); err != nil {
		return err
	}
	if err := s.stageSegment(ctx); err != nil {
		return err
	}
	m := s.report.Manifest
	requests := int64(m.AddBatches + m.RemoveBatches)
	s.report.Check = &schemas.CheckResult{
		NoList:     s.list.ID == 0,
		Requests:   requests,
		Estimate:   estimate(requests, s.in.Connection.Limits),
		Guardrails: Tripped(s.in.Export.Guardrails, s.in.Connection.MaxProfiles, m),
		Clashes:    s.list.Clashes,
		NewFields:  s.list.NewFields,
		SentAgain:  m.SentAgain,
		Examples:   path.Join(schemas.ReportDir(s.in.Run), schemas.ExamplesFile),
	}
	s.report.Manifest.Rejects = "" // is deleted with the staged files
	return s.closeCheck(ctx)
}

// startRate is the requests a second that a run begins with where the connection's
// settings have none.
const startRate = 5.0

// estimate is how long that many batches take with a request for each. Requests that
// carry several, and a higher rate that was learned, make it shorter.
func estimate(batches int64, l schemas.Limits) schemas.Duration {
	rate := float64(l.RequestsPerSecond)
	if rate == 0 {
		rate = startRate
		if l.MaxRequestsPerSecond > 0 {
			rate = min(rate, l.MaxRequestsPerSecond)
		}
	}
	return schemas.Duration(math.Ceil(float64(batches)/rate) * float64(time.Second))
}

// closeCheck deletes what was staged.
func (s *exportSegment) closeCheck(ctx workflow.Context) error {
	return s.do(ctx, schemas.ActivityCloseRun, func(ctx workflow.Context) error {
		report := s.report
		report.State, report.FinishedAt, report.Info = schemas.StateDone, workflow.Now(ctx), s.info
		in := schemas.CloseInput{
			Run: s.in.Run, Export: s.in.Export, Segment: s.in.Segment, Connection: s.in.Connection, Report: report, Check: true,
		}
		ctx = quick(ctx, "Leave nothing behind")
		return workflow.ExecuteActivity(ctx, schemas.ActivityCloseRun, in).Get(ctx, &s.report)
	})
}
