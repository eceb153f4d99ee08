package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

func (l *Local) Audit(ctx context.Context, since time.Time) ([]schemas.AuditEntry, error) {
	gate, err := l.records(ctx)
	if err != nil {
		return nil, err
	}
	return gate.Trail(ctx, since)
}

// audit records what the person has done. Without a data root nothing is recorded here; what
// the runs themselves record is not affected.
func (l *Local) audit(ctx context.Context, what schemas.AuditWhat, e schemas.AuditEntry) error {
	return l.auditOnce(ctx, "", what, e)
}

// auditOnce is audit for what a run may record too, under the same id.
func (l *Local) auditOnce(ctx context.Context, id string, what schemas.AuditWhat, e schemas.AuditEntry) error {
	err := l.enter(ctx, id, what, e)
	reads := what == schemas.AuditRead || what == schemas.AuditSearched
	if reads && errors.Is(err, fs.ErrPermission) { // who may only read the data root could do so without this program too
		l.Log.Warn("read of profiles not recorded", "what", string(what), "error", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("it was done, and could not be recorded: %w", err)
	}
	return nil
}

// enter adds an entry to the audit trail.
func (l *Local) enter(ctx context.Context, id string, what schemas.AuditWhat, e schemas.AuditEntry) error {
	gate, err := l.Gate(ctx)
	if err != nil || gate == nil {
		return err
	}
	e.Who, e.What = l.who.Name, what
	return gate.Audit(context.WithoutCancel(ctx), id, e)
}

// auditApplied records the steps that were carried out.
func (l *Local) auditApplied(ctx context.Context, steps []operate.Step) error {
	for _, s := range steps {
		what, connection := schemas.AuditApplied, ""
		switch {
		case s.Error != "":
			continue
		case s.Verb == operate.VerbRemove:
			what, connection = schemas.AuditRemoved, s.Have().Connection
		case s.Verb == operate.VerbCreate, s.Verb == operate.VerbChange:
			connection = s.Want().Connection
		default:
			continue
		}
		if err := l.audit(ctx, what, schemas.AuditEntry{Export: s.Export, Connection: connection, Details: s.Verb}); err != nil {
			return err
		}
	}
	return nil
}

// auditAnswer records the answer to a wait, under the ID under which the run records it at its
// end.
func (l *Local) auditAnswer(ctx context.Context, v operate.View, in AnswerRequest) error {
	e := schemas.AuditEntry{Export: v.Run.Export, RunID: v.Run.RunID}
	given := len(v.Answers)
	if v.Waiting != nil && v.Waiting.ID == in.Wait {
		e.Details = v.Waiting.Message
	}
	for _, s := range v.Segments {
		if s.Waiting != nil && s.Waiting.ID == in.Wait {
			e.Segment, e.Details, given = s.Run.Segment, s.Waiting.Message, len(s.Report.Answers)
		}
	}
	return l.auditOnce(ctx, schemas.AuditAnswerID(e.RunID, e.Segment, given), schemas.AuditOfAnswer(in.Answer), e)
}

// auditRemoved records the removal of an export, unless it failed.
func (l *Local) auditRemoved(ctx context.Context, failed error, e schemas.Export) error {
	if failed != nil {
		return failed
	}
	return l.audit(ctx, schemas.AuditRemoved, schemas.AuditEntry{Export: e.Name, Connection: e.Connection})
}
