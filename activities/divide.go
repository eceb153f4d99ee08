package activities

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/staging"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/schemas"
)

// DivideSegment reads a segment with several lists once, and keeps its rows by list for the
// StageSegment of each list.
func (a *Activities) DivideSegment(ctx context.Context, in schemas.DivideInput) (out schemas.DivideResult, err error) {
	var read atomic.Int64
	ctx, attempt := a.begin(ctx, in.Run.Deadline, func() any { return schemas.StageProgress{Read: read.Load()} })
	defer attempt.End(ctx, &err)
	if err := a.mayWorkAs(ctx, in.Check, in.Run, in.Export, in.Segment, in.Connection, reads); err != nil {
		return out, err
	}
	seg, err := a.inspect(ctx, in.Export, in.Segment, in.Began, in.Info.Table, a.inspected.take(in.Run))
	if err != nil {
		return out, err
	}
	if err := seg.CheckFingerprint(in.Info.Fingerprint); err != nil {
		return out, segmentFailure(err)
	}
	if err := a.Ledger().Sign(ctx, schemas.StageInput{Run: in.Run, Export: in.Export, Connection: in.Connection}, nil); err != nil {
		return out, err
	}
	known, err := a.dividedLists(ctx, in.Run)
	if err != nil {
		return out, err
	}
	c, err := a.known(in.Export.Connection)
	if err != nil {
		return out, err
	}
	suppressed, err := a.suppressions(ctx, schemas.StageInput{Run: in.Run, Export: in.Export})
	if err != nil {
		return out, err
	}
	before := staging.Known{Lists: known.Lists, Suppresses: len(c.Suppress) > 0, Suppressed: suppressed.Set, Emptied: known.Emptied}
	if out, err = staging.Divide(ctx, a.Ledger(), in, step.AttemptID(ctx), seg, before, &read); err != nil {
		return out, segmentFailure(err)
	}
	if in.Check {
		return out, nil
	}
	if before.Suppresses {
		known.Emptied = nil // what they knew is known to the segment now
	}
	// Known before anything is sent, so that no list is forgotten that gets members.
	for _, list := range out.Divided.Lists {
		known.Lists = union(known.Lists, []string{list.List})
	}
	a.Metrics.Profiles(ctx, in.Run.Export, observe.Filtered, out.Manifest.Filtered+out.Divided.WithoutValue+out.Divided.HeldOut)
	return out, a.Root.WriteJSON(ctx, dataroot.ListsKey(in.Run), known)
}

// dividedLists is the record of the lists of a divided segment.
type dividedLists struct {
	// Lists are those that may have members.
	Lists []string `json:"lists"`
	// Emptied are those without members that still know of suppressed ones.
	Emptied []string `json:"emptied,omitempty"`
	// Read is what the last run read that was done with all lists.
	Read schemas.SegmentInfo `json:"read,omitzero"`
}

func (a *Activities) dividedLists(ctx context.Context, run schemas.RunRef) (known dividedLists, err error) {
	if _, err = a.Root.ReadJSON(ctx, dataroot.ListsKey(run), &known); err != nil {
		err = fmt.Errorf("read the record of the lists of segment %q: %w", run.Segment, err)
	}
	return known, err
}

// listsOf returns the names of the lists of an export, as far as they are known.
func (a *Activities) listsOf(ctx context.Context, e schemas.Export) (out []schemas.Segment, err error) {
	for _, s := range e.Segments {
		if !s.Divided() {
			out = append(out, s)
			continue
		}
		known, err := a.dividedLists(ctx, schemas.RunRef{Connection: e.Connection, Export: e.Name, Segment: s.Name})
		if err != nil {
			return nil, err
		}
		for _, list := range union(s.Lists(), known.Lists) {
			out = append(out, s.Part(list))
		}
	}
	return out, nil
}

// union returns the names that either has, sorted.
func union(a, b []string) []string {
	all := slices.Sorted(slices.Values(slices.Concat(a, b)))
	return slices.Compact(all)
}

// CloseDivided deletes the divided rows after the runs of all lists of a segment, and keeps its
// report and the record of its lists. It may be repeated.
func (a *Activities) CloseDivided(ctx context.Context, in schemas.CloseDividedInput) (report schemas.ExportReport, err error) {
	ctx, attempt := a.begin(ctx, in.Run.Deadline, nil)
	defer attempt.End(ctx, &err)
	report = in.Report
	if err := a.mayClose(ctx, in.Check, in.Run, in.Export, in.Segment, in.Connection, report); err != nil {
		return report, err
	}
	if in.Check {
		return report, a.Ledger().Discard(ctx, in.Run)
	}
	known, err := a.dividedLists(ctx, in.Run)
	if err != nil {
		return report, err
	}
	for _, list := range in.Emptied {
		empty, err := a.isEmpty(ctx, in.Run, list)
		if err != nil {
			return report, err
		}
		if !empty {
			continue
		}
		known.Lists = slices.DeleteFunc(known.Lists, func(l string) bool { return l == list })
		run := in.Run
		run.Segment = list
		linked, err := staging.HasLinked(ctx, a.Ledger(), run)
		if err != nil {
			return report, err
		}
		if linked {
			known.Emptied = union(known.Emptied, []string{list})
		}
	}
	if in.Done {
		known.Read = report.Info
	}
	if err := a.Root.WriteJSON(ctx, dataroot.ListsKey(in.Run), known); err != nil {
		return report, err
	}
	if report.Record, err = staging.PublishUnlisted(ctx, a.Ledger(), in.Run, report.Manifest.Attempt); err != nil {
		return report, err
	}
	report.FinishedAt = endOf(report.StartedAt)
	if err := a.Ledger().WriteReport(ctx, in.Run, report); err != nil {
		return report, err
	}
	return report, a.Ledger().Discard(ctx, in.Run)
}

// isEmpty reports whether the data root knows that a list of a divided segment has no member, not
// even one that Iterable may not have removed.
func (a *Activities) isEmpty(ctx context.Context, run schemas.RunRef, list string) (bool, error) {
	run.Segment = list
	unfinished, err := a.Ledger().Unfinished(ctx, run)
	if err != nil || len(unfinished) > 0 {
		return false, err
	}
	h, err := a.Ledger().Header(ctx, run)
	return err == nil && (h == nil || h.Rows == 0), err
}
