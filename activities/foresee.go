package activities

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/mapping"
	"iterable-segment-export/internal/report"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/staging"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/schemas"
)

// Foresee returns what the next run of each export does that can't be undone, as far as it is
// known now. It asks for the fields of each project once.
func (a *Activities) Foresee(ctx context.Context, exports []schemas.Export) []schemas.Foreseen {
	existing := map[string]func() (map[string]string, error){}
	out := make([]schemas.Foreseen, len(exports))
	for i, e := range exports {
		if existing[e.Connection] == nil {
			existing[e.Connection] = sync.OnceValues(func() (map[string]string, error) { return a.existingFields(ctx, e.Connection) })
		}
		past := sync.OnceValues(func() (report.PastRuns, error) { return a.pastRuns(ctx, e) })
		for _, s := range e.Segments {
			if err := a.foresee(ctx, e, s, existing[e.Connection], past, &out[i]); err != nil {
				out[i].Unknown = fmt.Sprintf("the data fields that a run would create are not known, because segment %q can't be read: %v", s.Name, step.Plain(err))
				break
			}
		}
	}
	return out
}

// existingFields asks for the data fields of a connection's project.
func (a *Activities) existingFields(ctx context.Context, connection string) (map[string]string, error) {
	client, err := a.Clients.Get(connection)
	if err != nil {
		return nil, err
	}
	fields, err := client.SharedFields(ctx)
	if err != nil {
		return nil, failure(err, connection)
	}
	return fields, nil
}

// pastRuns returns the past runs of an export.
func (a *Activities) pastRuns(ctx context.Context, e schemas.Export) (past report.PastRuns, err error) {
	if _, err = a.Root.ReadJSON(ctx, dataroot.PastRunsKey(e.Connection, e.Name), &past); err != nil {
		err = fmt.Errorf("read the past runs of export %q: %w", e.Name, err)
	}
	return past, err
}

// foresee adds one segment.
func (a *Activities) foresee(ctx context.Context, e schemas.Export, s schemas.Segment, existing func() (map[string]string, error), past func() (report.PastRuns, error), out *schemas.Foreseen) error {
	var fields []string // nil if none are mapped
	if !e.Fields.IsZero() {
		seg, err := a.inspect(ctx, e, s, time.Now(), nil, nil)
		if err != nil {
			return err
		}
		mapper, err := staging.CompileMapping(e, schemas.Limits{}, seg)
		if err != nil {
			return err
		}
		known, err := existing()
		if err != nil {
			return err
		}
		for _, f := range mapping.NewFields(mapper.Fields(), known) {
			if !slices.Contains(out.NewFields, f) {
				out.NewFields = append(out.NewFields, f)
			}
		}
		fields = staging.FieldNames(mapper)
	}
	if a.Root == nil || out.SentAgain != "" { // the program has no data root
		return nil
	}
	e.Segments = []schemas.Segment{s}
	lists, err := a.listsOf(ctx, e)
	if err != nil {
		return err
	}
	headers := make([]*snapshot.Header, len(lists))
	var reading errgroup.Group
	reading.SetLimit(headerReaders)
	for i, list := range lists {
		reading.Go(func() (err error) {
			headers[i], err = a.Ledger().Header(ctx, schemas.RunRef{Connection: e.Connection, Export: e.Name, Segment: list.Name})
			return err
		})
	}
	if err := reading.Wait(); err != nil {
		return err
	}
	c, _ := a.Connections.Get(e.Connection) // an unknown one is refused elsewhere
	for i, h := range headers {
		why := ""
		if h != nil {
			why = ledger.Again(*h, e, projectType(c), time.Now())
		} else if runs, err := past(); err != nil {
			return err
		} else if filled(runs, lists[i].Name) {
			why = fmt.Sprintf("the snapshot of list %q is lost or damaged", lists[i].Name)
		}
		out.SentAgain = cmp.Or(out.SentAgain, why)
	}
	if out.SentAgain == "" && fields != nil && otherFields(headers, fields) {
		out.SentAgain = "the segment has other columns than at the last run"
	}
	return nil
}

// filled reports whether a past run has filled a list, so that there was a snapshot.
func filled(past report.PastRuns, list string) bool {
	return slices.ContainsFunc(past.Runs, func(r report.PastRun) bool {
		return slices.ContainsFunc(r.Lists, func(l report.PastList) bool {
			return l.Segment == list && l.ListID != 0 && l.State == schemas.StateDone
		})
	})
}

// headerReaders is how many headers of snapshots are read at once.
const headerReaders = 16

// otherFields reports whether the last run of a segment sent other fields to one of its lists. A
// list that it left as it was, since its value has vanished, has the fields of an earlier run.
func otherFields(headers []*snapshot.Header, fields []string) bool {
	last := ""
	var at time.Time
	for _, h := range headers {
		if h != nil && h.CreatedAt.After(at) {
			last, at = h.RunID, h.CreatedAt
		}
	}
	return slices.ContainsFunc(headers, func(h *snapshot.Header) bool {
		return h != nil && h.RunID == last && h.Fields != nil && !slices.Equal(h.Fields, fields)
	})
}
