package host

import (
	"context"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/internal/observe"
	"iterable-segment-export/schemas"
	"iterable-segment-export/workflows"
)

// counting counts and logs the runs that end, whatever they end with: also those that fail
// before their first activity. A run that is terminated in Temporal ends without its worker,
// so it is not counted.
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
	if info.WorkflowType.Name != schemas.WorkflowRunExport || workflow.IsReplaying(ctx) {
		return out, err
	}
	state := workflows.EndState(err)
	if result, ok := out.(schemas.RunResult); ok {
		state = result.State(state)
	}
	took := workflow.Now(ctx).Sub(info.WorkflowStartTime)
	about := []any{"state", state, "took", took.String()}
	if err != nil {
		about = append(about, "error", err)
	}
	log := workflow.GetLogger(ctx).Info
	if state == schemas.StateFailed {
		log = workflow.GetLogger(ctx).Error
	}
	log("run ended", about...)
	if export, isRun := schemas.ExportOfRun(info.WorkflowExecution.ID); isRun { // a check has another ID
		c.metrics.Run(context.Background(), export, state, took)
	}
	return out, err
}
