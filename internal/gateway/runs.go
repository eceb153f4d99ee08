package gateway

import (
	"context"
	"slices"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

func (l *Local) Runs(ctx context.Context, in RunsRequest) ([]operate.View, error) {
	if in.Brief || in.UnderWay {
		return l.reader().Recent(ctx, in.UnderWay)
	}
	return l.reader().History(ctx, in.Export, in.Limit)
}

func (l *Local) Find(ctx context.Context, name string) (operate.Run, error) {
	return l.reader().Find(ctx, name)
}

func (l *Local) Look(ctx context.Context, run operate.Run) (operate.View, error) {
	return l.reader().Look(ctx, run)
}

func (l *Local) Input(ctx context.Context, run operate.Run) (schemas.RunInput, error) {
	in, err := l.reader().Input(ctx, run)
	in.Grant = shown(in.Grant)
	return in, err
}

func (l *Local) Watch(ctx context.Context, run operate.Run, stopAtWait bool, see func(operate.View, error)) (operate.View, error) {
	return l.reader().Watch(ctx, run, lookEvery, stopAtWait, see)
}

// mayEnd refuses a person who may not answer or stop a run.
func (l *Local) mayEnd(ctx context.Context, run operate.Run) error {
	in, err := l.reader().Input(ctx, run)
	if err != nil {
		return err
	}
	return l.mayUse(in.Export.Connection)
}

func (l *Local) Answer(ctx context.Context, run operate.Run, in AnswerRequest) (string, error) {
	if err := l.mayEnd(ctx, run); err != nil {
		return "", err
	}
	if !slices.Contains([]string{schemas.UpdateRetry, schemas.UpdateAbort, schemas.UpdateApprove}, in.Answer) {
		return "", access.No(schemas.ErrorBadRequest, "%q is not an answer; use %s, %s or %s", in.Answer, schemas.UpdateRetry, schemas.UpdateAbort, schemas.UpdateApprove)
	}
	v, err := l.Look(ctx, run)
	if err != nil {
		return "", err
	}
	for _, w := range v.Waits() {
		if w.ID != in.Wait || in.Answer != schemas.UpdateApprove || l.who.Role == schemas.RoleAdministrator {
			continue
		}
		switch w.Type {
		case schemas.ErrorListForeign:
			return "", access.No(schemas.ErrorNotAllowed, "only an administrator can hand over a list that an export over another connection sends to: %s", w.Message)
		case schemas.ErrorSuppressionDoubtful:
			return "", access.No(schemas.ErrorNotAllowed, "only an administrator can approve sending with a suppression list that is probably incomplete: %s", w.Message)
		}
	}
	took, err := l.reader().Answer(ctx, v, in.Answer, in.Wait)
	if err == nil {
		err = l.auditAnswer(ctx, v, in)
	}
	return took, err
}

func (l *Local) Cancel(ctx context.Context, run operate.Run) error {
	if err := l.mayEnd(ctx, run); err != nil {
		return err
	}
	if err := l.reader().Cancel(ctx, run); err != nil {
		return err
	}
	return l.audit(ctx, schemas.AuditCancelled, schemas.AuditEntry{Export: run.Export, RunID: run.RunID})
}
