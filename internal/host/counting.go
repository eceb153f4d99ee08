package host

import (
	"context"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/internal/observe"
	"iterable-segment-export/schemas"
	"iterable-segment-export/workflows"
)

// counting counts the runs that end, whatever they end with: also those that fail before
// their first activity. A run that is terminated in Temporal ends without its worker, so it
// is not counted.
type counting struct {
	interceptor.WorkerInterceptorBase
	metrics *observe.Metrics
}

func (c *counting) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	out := &countingRun{metrics: c.metrics}
	out.Next = next
	return out
}

type countingRun struct {
	interceptor.WorkflowInboundInterceptorBase
	metrics *observe.Metrics
}

func (c *countingRun) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	out, err := c.Next.ExecuteWorkflow(ctx, in)
	info := workflow.GetInfo(ctx)
	export, isRun := schemas.ExportOfRun(info.WorkflowExecution.ID) // a check has another ID
	if info.WorkflowType.Name == schemas.WorkflowRunExport && isRun && !workflow.IsReplaying(ctx) {
		state := workflows.EndState(err)
		if result, ok := out.(schemas.RunResult); ok {
			state = result.State(state)
		}
		c.metrics.Run(context.Background(), export, state, workflow.Now(ctx).Sub(info.WorkflowStartTime))
	}
	return out, err
}
