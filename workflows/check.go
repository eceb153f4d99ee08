package workflows

import (
	"cmp"
	"fmt"
	"math"
	"path"
	"time"

	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/schemas"
)

// check does the steps before the first request and reports what a run would do. It
// changes neither Iterable nor the snapshot, and never waits for an answer.
func (s *exportSegment) check(ctx workflow.Context) error {
	if err := s.awaitData(ctx); err != nil {
		return err
	}
	if err := s.ensureList(ctx, false); err != nil {
		return err
	}
	if err := s.stageSegment(ctx); err != nil {
		return err
	}
	m := s.report.Manifest
	if !m.Full && m.Resent() == 0 {
		m.SentAgain = ""
	}
	requests, estimate := estimate(m, s.in.Connection.Limits)
	clashes := s.list.Clashes
	if fresh := s.list.NewFields; len(fresh) > 0 && s.in.Export.NewFields == schemas.Refuse {
		clashes = append(clashes, fmt.Sprintf("the run would create %s in Iterable, and newFields is refuse", schemas.FieldNames(fresh)))
	}
	s.report.Check = &schemas.CheckResult{
		NoList:     s.list.ID == 0,
		Requests:   requests,
		Estimate:   estimate,
		Guardrails: append(s.doubtful(ctx), Tripped(s.in.Export.Guardrails, s.in.Connection.MaxProfiles, m)...),
		Clashes:    clashes,
		NewFields:  s.list.NewFields,
		SentAgain:  m.SentAgain,
		Unready:    s.unready,
		Examples:   path.Join(dataroot.ReportDir(s.in.Run), dataroot.ExamplesFile),
	}
	s.report.Manifest.Rejects = "" // deleted with the staged files
	return s.closeCheck(ctx)
}

// startRate is the requests per second that a run starts with when no limit is known.
const startRate = 5.0

// estimate returns how many requests a run makes and how long they take, by the limits
// known so far. The run may learn higher limits and finish sooner.
func estimate(m schemas.Manifest, l schemas.Limits) (requests int64, takes schemas.Duration) {
	requests = int64(m.AddBatches + m.RemoveBatches)
	rate := cmp.Or(float64(l.RequestsPerSecond), startRate)
	if p := m.Pace; p != nil {
		rate = p.RequestsPerSecond
		if per := int64(p.Profiles); per > schemas.BatchProfiles { // a request carries several batches
			requests = (m.Adds+m.Updates+per-1)/per + (m.Removals+per-1)/per
		}
	}
	return requests, schemas.Duration(math.Ceil(float64(requests)/rate) * float64(time.Second))
}

// closeCheck deletes the staged files.
func (s *exportSegment) closeCheck(ctx workflow.Context) error {
	return s.do(ctx, schemas.ActivityCloseRun, func(ctx workflow.Context) error {
		report := s.report
		report.State, report.FinishedAt, report.Info = schemas.StateDone, workflow.Now(ctx), s.info
		in := schemas.CloseInput{
			Run: s.in.Run, Export: s.in.Export, Segment: s.in.Segment, Connection: s.in.Connection, Report: report, Check: true,
		}
		ctx = quick(ctx, "Clean up")
		return s.reported(ctx, workflow.ExecuteActivity(ctx, schemas.ActivityCloseRun, in))
	})
}
