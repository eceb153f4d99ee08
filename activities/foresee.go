package activities

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/mapping"
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
		if e.Fields.IsZero() {
			continue
		}
		if existing[e.Connection] == nil {
			existing[e.Connection] = sync.OnceValues(func() (map[string]string, error) { return a.existingFields(ctx, e.Connection) })
		}
		for _, s := range e.Segments {
			if err := a.foresee(ctx, e, s, existing[e.Connection], &out[i]); err != nil {
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

// foresee adds one segment.
func (a *Activities) foresee(ctx context.Context, e schemas.Export, s schemas.Segment, existing func() (map[string]string, error), out *schemas.Foreseen) error {
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
	if a.Root == nil { // the program has no data root
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
	out.SentAgain = out.SentAgain || otherFields(headers, staging.FieldNames(mapper))
	return nil
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
