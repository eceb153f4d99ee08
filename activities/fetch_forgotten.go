package activities

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/schemas"
)

// FetchForgotten asks Iterable once per run for the project's forgotten profiles. They are
// never sent. If Iterable does not answer, the run continues with those that are known:
// Iterable refuses the others itself.
func (a *Activities) FetchForgotten(ctx context.Context, in schemas.ForgottenInput) (out schemas.ForgottenResult, err error) {
	ctx, attempt := a.begin(ctx, in.Run.Deadline, nil)
	defer attempt.End(ctx, &err)
	r, err := a.admitted(ctx, in.Run, reads)
	if err == nil {
		err = a.sameHost(in.Run.Connection, in.Connection.Host)
	}
	if err == nil && r != nil && in.Connection != r.Connection {
		err = altered(in.Run)
	}
	if err != nil {
		return out, err
	}
	client, err := a.Clients.Get(in.Run.Connection)
	if err != nil {
		return out, err
	}
	known := a.forgotten()
	asked := activity.GetInfo(ctx).StartedTime // by Temporal's clock, which all workers share
	hashes, err := client.Forgotten(ctx, in.Connection.ProjectType)
	switch iterable.ClassOf(err) {
	case iterable.Transient, iterable.Throttled:
		if activity.GetInfo(ctx).Attempt < forgottenTries {
			break
		}
		fallthrough
	case iterable.BadRequest, iterable.Forbidden, iterable.NotFound, iterable.Unexpected:
		out.Warning = fmt.Sprintf("could not ask Iterable for the forgotten profiles (%v); those known from earlier runs are left out, and Iterable refuses the others itself", err)
		err = known.AddListed(ctx, in.Run, hashes) // of two lists, one may be there
	case "":
		if err == nil {
			err = known.Replace(ctx, in.Run.Connection, asked, hashes)
		}
	}
	if err != nil {
		return out, failure(err, in.Run.Connection)
	}
	all, err := known.Known(ctx, in.Run.Connection)
	out.People = int64(len(all))
	return out, err
}

// forgottenTries is how often Iterable is asked, with growing pauses, before the run continues
// without an answer.
const forgottenTries = 8
