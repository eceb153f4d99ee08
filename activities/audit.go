package activities

import (
	"context"

	"iterable-segment-export/schemas"
)

// auditStart records the start of a run, whatever started it. A retry finds it recorded.
func (a *Activities) auditStart(ctx context.Context, in schemas.AuthorizeInput) error {
	e := schemas.AuditEntry{
		Who: in.Input.Trigger.Starter(), What: schemas.AuditRan, Connection: in.Input.Export.Connection, Export: in.Input.Export.Name, RunID: in.RunID,
	}
	switch {
	case in.Input.Check:
		e.What = schemas.AuditChecked
	case in.Input.Export.Trial() != nil:
		e.What, e.Segment, e.Details = schemas.AuditTried, in.Input.Export.Segments[0].Name, in.Input.Export.Trial().String()
	case in.Input.Full:
		e.Details = "all profiles"
	}
	return a.Access.Audit(ctx, schemas.AuditRunID(in.RunID), e)
}

// auditAnswers records the answers to a run's waits. Those that the gateway took are recorded
// already, under the same IDs.
func (a *Activities) auditAnswers(ctx context.Context, in schemas.RunReportInput) error {
	record := func(segment string, answers []schemas.Answered) error {
		for i, one := range answers {
			e := schemas.AuditEntry{
				At: one.At, Who: one.Who, What: schemas.AuditOfAnswer(one.Answer), Connection: in.Export.Connection, Export: in.Export.Name,
				Segment: segment, RunID: in.Result.RunID, Details: one.Message,
			}
			if err := a.Access.Audit(ctx, schemas.AuditAnswerID(e.RunID, segment, i), e); err != nil {
				return err
			}
		}
		return nil
	}
	if err := record("", in.Result.Answers); err != nil {
		return err
	}
	for _, s := range in.Result.Segments {
		if err := record(s.Segment, s.Answers); err != nil {
			return err
		}
	}
	return nil
}
