package activities

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
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
		out[i] = a.foresee(ctx, e, existing[e.Connection])
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

// foresee does it for one export. Of what can't be read for its segments, it names the first.
func (a *Activities) foresee(ctx context.Context, e schemas.Export, existing func() (map[string]string, error)) (out schemas.Foreseen) {
	past := sync.OnceValues(func() (report.PastRuns, error) { return a.pastRuns(ctx, e) })
	var unread, uncreated, unsent string // what is not known
	for _, s := range e.Segments {
		var fields []string // nil if none are mapped, or they are not known
		if !e.Fields.IsZero() && unread == "" {
			mapper, err := a.mapper(ctx, e, s)
			if err != nil {
				unread = fmt.Sprintf("the data fields that a run would create or send again are not known, because segment %q can't be read: %v", s.Name, step.Plain(err))
			} else {
				fields = staging.FieldNames(mapper)
				known, err := existing()
				if err != nil {
					uncreated = fmt.Sprintf("the data fields that a run would create are not known: %v", step.Plain(err))
				} else {
					out.NewFields = union(out.NewFields, mapping.NewFields(mapper.Fields(), known))
				}
			}
		}
		// Without a data root, the program itself says so.
		if a.Root != nil && unsent == "" && !waits(out.SentAgain) {
			again, err := a.sentAgain(ctx, e, s, fields, past)
			if err != nil {
				unsent = fmt.Sprintf("what a run would send again is not fully known: %v", step.Plain(err))
			}
			out.SentAgain = cmp.Or(again, out.SentAgain)
		}
	}
	causes := slices.DeleteFunc([]string{unread, uncreated, unsent}, func(s string) bool { return s == "" })
	out.Unknown = strings.Join(causes, "; ")
	return out
}

// waits reports whether a scheduled run needs an approval to send profiles again, for the reason
// of a Foreseen.
func waits(again string) bool { return again != "" && again != schemas.FullRunDue }

// mapper returns the mapping of a segment's columns.
func (a *Activities) mapper(ctx context.Context, e schemas.Export, s schemas.Segment) (*mapping.Mapper, error) {
	seg, err := a.inspect(ctx, e, s, time.Now(), nil, nil)
	if err != nil {
		return nil, err
	}
	return staging.CompileMapping(e, schemas.Limits{}, seg)
}

// sentAgain returns why the next run sends profiles of a segment again, or "". A reason that needs
// an approval comes before a full run that is due. fields are those that the run would send, or nil.
func (a *Activities) sentAgain(ctx context.Context, e schemas.Export, s schemas.Segment, fields []string, past func() (report.PastRuns, error)) (again string, err error) {
	e.Segments = []schemas.Segment{s}
	lists, err := a.listsOf(ctx, e)
	if err != nil {
		return "", err
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
		return "", err
	}
	restore, err := a.Ledger().Restore(ctx)
	if err != nil {
		return "", err
	}
	c, _ := a.Connections.Get(e.Connection) // an unknown one is refused elsewhere
	for i, h := range headers {
		why := ""
		if h != nil {
			why = ledger.Again(*h, restore, e, projectType(c), time.Now())
		} else if runs, err := past(); err != nil {
			return again, err
		} else if filled(runs, lists[i].Name) {
			why = fmt.Sprintf("the snapshot of list %q is lost or damaged", lists[i].Name)
		}
		if waits(why) {
			return why, nil
		}
		if why != "" {
			again, h.Fields = why, nil // a full run sends all profiles, whatever the columns
		}
	}
	if fields != nil && otherFields(headers, fields) {
		return "the segment has other columns than at the last run", nil
	}
	return again, nil
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
