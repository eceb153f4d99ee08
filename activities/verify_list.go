package activities

import (
	"context"
	"fmt"
	"time"

	"iterable-segment-export/schemas"
)

// How long and how often VerifyList asks for a list's size: Iterable is
// eventually consistent, so a size that is off may only be late.
const (
	verifyFor   = 30 * time.Second
	verifyEvery = 2 * time.Second
)

// VerifyList compares the list's size with what it should be. A difference that
// lasts is a warning, not a failure: others may work on the same list.
func (a *Activities) VerifyList(ctx context.Context, in schemas.VerifyInput) (schemas.VerifyResult, error) {
	defer beat(ctx, nil)()
	if err := a.mayCall(in.Run, in.Connection, false); err != nil {
		return schemas.VerifyResult{}, err
	}
	if in.Untouched && in.Size >= in.Least && in.Size <= in.Most {
		return schemas.VerifyResult{Size: in.Size}, nil
	}
	if err := a.stillLeadsThere(in.Connection, in.Host); err != nil {
		return schemas.VerifyResult{}, err
	}
	client, err := a.Clients.Get(in.Connection)
	if err != nil {
		return schemas.VerifyResult{}, err
	}
	until := time.Now().Add(verifyFor)
	for {
		size, err := client.ListSize(ctx, in.ListID)
		if err != nil {
			return schemas.VerifyResult{}, failure(err, in.Connection)
		}
		if size >= in.Least && size <= in.Most {
			return schemas.VerifyResult{Size: size}, nil
		}
		if time.Now().After(until) {
			return schemas.VerifyResult{Size: size, Warning: sizeWarning(in, size)}, nil
		}
		select {
		case <-ctx.Done():
			return schemas.VerifyResult{}, ctx.Err()
		case <-time.After(verifyEvery):
		}
	}
}

func sizeWarning(in schemas.VerifyInput, size int64) string {
	want := fmt.Sprintf("%d", in.Least)
	if in.Most != in.Least {
		want = fmt.Sprintf("%d to %d", in.Least, in.Most)
	}
	return fmt.Sprintf("list %d has %d members, expected %s; somebody else may be changing it, or Iterable is late", in.ListID, size, want)
}
