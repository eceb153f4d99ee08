package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

func (l *Local) Plan(ctx context.Context, in PlanRequest) (Plan, error) {
	plan, err := l.plan(ctx, in)
	var steps []*operate.Step
	var exports []schemas.Export
	for i := range plan.Steps {
		s := &plan.Steps[i]
		if err := l.mayApply(ctx, s, in.Renew); err != nil {
			s.Error = l.told(s.Verb, s.Export, err)
			plan.Failed++
			continue
		}
		if defines(s) {
			steps, exports = append(steps, s), append(exports, s.Want())
		}
	}
	if len(exports) > 0 {
		for i, f := range l.Foresee(ctx, exports) {
			s := steps[i]
			s.NewFields, s.Unforeseen = f.NewFields, unforeseen(s.Verb, f)
			if !s.SentAgain && f.SentAgain != "" {
				s.SentAgain, s.SentAgainWhy = true, f.SentAgain
			}
		}
	}
	l.outlook(ctx, plan.Steps)
	return plan, err
}

// unforeseen says what is not known of the next run of an export. One that is only created now has
// no earlier runs.
func unforeseen(verb string, f schemas.Foreseen) string {
	if verb == operate.VerbCreate || f.NoRecords == "" {
		return f.Unknown
	}
	return strings.TrimPrefix(f.Unknown+"; "+f.NoRecords, "; ")
}

// outlook adds to the steps what the schedules mean that they leave.
func (l *Local) outlook(ctx context.Context, steps []operate.Step) {
	all := l.reader().Outlooks()
	for i := range steps {
		if t := steps[i].Timing(); t != nil {
			out := all.Of(ctx, *t)
			steps[i].Outlook = &out
		} else if words := steps[i].Want().Follows(); words != "" {
			steps[i].Outlook = &operate.Outlook{Words: words, Follows: true, Warnings: steps[i].Unscheduled()}
		}
	}
}

// plan returns what applying a file would change.
func (l *Local) plan(ctx context.Context, in PlanRequest) (Plan, error) {
	if err := config.CheckExports(&in.File); err != nil {
		return Plan{}, access.No(schemas.ErrorBadExport, "%s", err.Error())
	}
	applied, err := l.applied(ctx)
	if err != nil {
		return Plan{}, err
	}
	steps, err := operate.Plan(&in.File, applied, in.Prune, in.Renew)
	if err != nil {
		return Plan{}, access.No(schemas.ErrorBadExport, "%s", err.Error())
	}
	// The ID covers only the steps that do something.
	data, err := json.Marshal(slices.DeleteFunc(slices.Clone(steps), func(s operate.Step) bool {
		return s.Verb == operate.VerbKeep || s.Verb == operate.VerbUnchanged
	}))
	sum := sha256.Sum256(data)
	return Plan{ID: hex.EncodeToString(sum[:16]), Steps: steps}, err
}

func (l *Local) Apply(ctx context.Context, in PlanRequest) (Plan, error) {
	plan, err := l.plan(ctx, in)
	if err != nil {
		return plan, err
	}
	if in.Plan != "" && in.Plan != plan.ID {
		return plan, access.No(schemas.ErrorChanged, "what was applied has changed since the plan was made; look at the new plan and apply the file again")
	}
	o, err := l.session(ctx)
	if err != nil {
		return plan, err
	}
	for i := range plan.Steps {
		s := &plan.Steps[i]
		err := l.mayApply(ctx, s, in.Renew)
		if err == nil && defines(s) {
			err = l.claim(ctx, s.Want())
		}
		if err == nil {
			err = o.ApplyStep(ctx, *s)
		}
		if err != nil {
			s.Error = l.told(s.Verb, s.Export, err)
			plan.Failed++
		}
	}
	l.outlook(ctx, plan.Steps)
	return plan, l.auditApplied(ctx, plan.Steps)
}

// told returns the error of a part of an operation as the person may see it.
func (l *Local) told(verb, export string, err error) string {
	p := problemOf(err)
	if p.inside() {
		l.Log.Error("part of an operation failed", "verb", verb, "export", export, "error", err)
	}
	return p.forPerson(l.who).Detail
}

// defines reports whether the step creates an export or changes its settings.
func defines(s *operate.Step) bool {
	return s.Verb == operate.VerbCreate || s.Verb == operate.VerbChange && !s.Relinks()
}

// mayApply refuses a step that the person may not do, or that can't be done.
func (l *Local) mayApply(ctx context.Context, s *operate.Step, renew bool) error {
	switch s.Verb {
	case operate.VerbRemove:
		return l.mayChange(ctx, s.Export, s.Have().Connection)
	case operate.VerbKeep, operate.VerbUnchanged:
		return nil
	}
	err := l.mayPlan(s)
	if err == nil && defines(s) {
		err = l.mayChange(ctx, s.Export, s.Want().Connection)
	}
	if err != nil || !defines(s) || s.Verb == operate.VerbCreate {
		return err
	}
	if err := l.mayUse(s.Have().Connection); err != nil {
		return err
	}
	return l.keepsGrant(ctx, s, renew)
}
