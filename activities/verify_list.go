package activities

import (
	"context"

	"iterable-segment-export/schemas"
)

// VerifyList returns how many members the list should have by what Iterable
// acknowledged. It asks for nothing: Iterable allows five requests a minute for
// the sizes of all lists of a project, and shows a change up to minutes later.
func (a *Activities) VerifyList(_ context.Context, in schemas.VerifyInput) (schemas.VerifyResult, error) {
	if in.Size < 0 {
		return schemas.VerifyResult{Size: in.Least}, nil
	}
	return schemas.VerifyResult{Size: in.Most}, nil
}
