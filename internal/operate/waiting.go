package operate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"

	"iterable-segment-export/schemas"
)

// Waiting returns how many runs and segments of runs wait for a person, by export. It is
// empty if the namespace lacks the search attributes.
func (o *Session) Waiting(ctx context.Context) (map[string]int64, error) {
	query := fmt.Sprintf("%s = %q AND ExecutionStatus = 'Running'", schemas.AttributeState, schemas.StateWaiting)
	found, err := o.list(ctx, query, func(e *workflow.WorkflowExecutionInfo) (Run, bool) {
		name := e.Execution.WorkflowId
		if first, rest, ok := strings.Cut(name, "/"); ok {
			export, _, _ := strings.Cut(rest, "/")
			name = first + "/" + export
		}
		export, ok := schemas.ExportOfRun(name)
		return Run{Export: export}, ok
	}, mostPages*1000)
	var unknown *serviceerror.InvalidArgument // the search attribute
	if errors.As(err, &unknown) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	waits := map[string]int64{}
	for _, v := range found {
		waits[v.Run.Export]++
	}
	return waits, nil
}
