package runs

import (
	"net/http"
	"strings"
	"testing"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestForgottenPeopleAreNeverSent has Iterable forget people (GDPR): one who is on the
// list, whom Iterable lists, and a new one, of whom nothing but the answer to a request
// tells.
func TestForgottenPeopleAreNeverSent(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	mark := func(i int, mark string) {
		t.Helper()
		w.Sandbox.Mark(mark, world.Person(i))
	}
	forgotten := func(r schemas.ExportReport) int64 { return r.Rejected[schemas.ReasonIterableForgotten] }
	w.People("Ten", 1, 10, 1)
	w.Done(w.Run(w.Of("Ten")))

	before := w.Changes()
	mark(3, "forgotten")
	r := w.Done(w.Run(w.Of("Ten")))
	if forgotten(r) != 1 || r.Manifest.Forgotten != 1 || r.Members != 9 || w.Changes() != before {
		t.Errorf("%d forgotten, %d dropped, %d members, %v requests after %v", forgotten(r), r.Manifest.Forgotten, r.Members, w.Changes(), before)
	}
	if r = w.Done(w.Run(w.Of("Ten"))); forgotten(r) != 1 || r.Manifest.Forgotten != 0 || w.Changes() != before {
		t.Errorf("again: %d forgotten, %d dropped, %v requests", forgotten(r), r.Manifest.Forgotten, w.Changes())
	}

	if err := w.Sandbox.AddFaults(sandbox.Fault{Endpoint: "users/forgotten", Kind: "status", Status: http.StatusForbidden}); err != nil {
		t.Fatal(err)
	}
	mark(11, "forgotten")
	w.People("Ten", 1, 11, 1)
	r = w.Done(w.Run(w.Of("Ten")))
	if forgotten(r) != 2 || r.Upload.Refused[schemas.ReasonIterableForgotten] != 1 || !strings.Contains(strings.Join(r.Warnings, " "), "could not ask Iterable for the forgotten profiles") {
		t.Errorf("unlisted: %d forgotten, %v refused, warnings %q", forgotten(r), r.Upload.Refused, r.Warnings)
	}
	full := w.Done(w.Full(w.Of("Ten")))
	if forgotten(full) != 2 || full.Upload.Refused[schemas.ReasonIterableForgotten] != 0 || full.Upload.Sent != 9 {
		t.Errorf("in full: %d forgotten, %v refused, %d sent", forgotten(full), full.Upload.Refused, full.Upload.Sent)
	}

	w.Sandbox.ClearFaults()
	mark(3, "")
	r = w.Done(w.Run(w.Of("Ten")))
	if forgotten(r) != 1 || r.Upload.Sent != 1 || w.List("Ten").Size != 10 {
		t.Errorf("not forgotten any more: %d forgotten, %d sent, %d on the list", forgotten(r), r.Upload.Sent, w.List("Ten").Size)
	}
}
