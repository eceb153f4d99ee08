package workflows

import (
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// guardrails stops a run, before anything is sent, that is about to do something
// that is more likely a mistake than meant. An operator's approve lets it go on.
func (s *exportSegment) guardrails(ctx workflow.Context) error {
	for _, message := range tripped(s.in, s.report.Manifest) {
		s.step = schemas.StepGuardrails
		if err := s.operator.ask(ctx, s.step, schemas.ErrorGuardrail, message, schemas.UpdateApprove); err != nil {
			return err
		}
	}
	return nil
}

// tripped lists what the guardrails have against a run.
func tripped(in schemas.SegmentInput, m schemas.Manifest) []string {
	return nil
}
