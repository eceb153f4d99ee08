package dial

import (
	"context"
	"time"

	"google.golang.org/grpc"
)

// answerTime is how long a call that has no deadline may take. The SDK sets a deadline for its own
// calls: 10 seconds, and 70 for those that wait for news. Calls of the services beneath it have
// none, so a server that accepts a call and never answers would stop a command or a worker's
// start for ever, without a word.
var answerTime = time.Minute // a variable for tests

// bounded sets a deadline for calls that have none.
func bounded(limit time.Duration) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, c *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if _, ok := ctx.Deadline(); !ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, limit)
			defer cancel()
		}
		return invoke(ctx, method, req, reply, c, opts...)
	}
}
