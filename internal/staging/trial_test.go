package staging

import (
	"errors"
	"testing"

	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// TestATrialLosesItsPeople: it fails and sends nobody, rather than everyone.
func TestATrialLosesItsPeople(t *testing.T) {
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	_, err = (&Stager{Ledger: &ledger.Ledger{Root: root}}).newTried(t.Context(), schemas.StageInput{
		Run: schemas.RunRef{Connection: "sandbox", Export: "Spring (trial)"}, Segment: schemas.Segment{Trial: &schemas.Trial{People: "lost", Limit: 1}},
	}, nil)
	var app *temporal.ApplicationError
	if !errors.As(err, &app) || app.Type() != schemas.ErrorStaging {
		t.Errorf("%v, want an error of type %s", err, schemas.ErrorStaging)
	}
}
