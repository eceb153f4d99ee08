package host

import (
	"context"
	"errors"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// keyless makes an activity that can't open a file of the data root for want of
// its key wait for an operator, whichever it is: no retry brings a key.
type keyless struct {
	interceptor.WorkerInterceptorBase
}

func (*keyless) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &keylessActivity{interceptor.ActivityInboundInterceptorBase{Next: next}}
}

type keylessActivity struct {
	interceptor.ActivityInboundInterceptorBase
}

func (a *keylessActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	out, err := a.Next.ExecuteActivity(ctx, in)
	if errors.Is(err, storage.ErrKey) {
		err = temporal.NewApplicationErrorWithOptions(err.Error()+", start the worker again and retry", schemas.ErrorDataKey,
			temporal.ApplicationErrorOptions{NonRetryable: true})
	}
	return out, err
}
