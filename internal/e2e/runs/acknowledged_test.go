package runs

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestAMemberWhoIsOffTheListComesBack: what was acknowledged once is void once the member
// was removed, by a run that then ended early or by somebody else, and Iterable refused to
// take the profile again.
func TestAMemberWhoIsOffTheListComesBack(t *testing.T) {
	t.Parallel()
	all := world.New(t, sandbox.Config{KeepData: true}, true)
	for name, lose := range map[string]func(w *world.World, e schemas.Export){
		"by a run that was aborted": func(w *world.World, e schemas.Export) {
			w.People(e.Name, 1, 9, 1, world.Person(11))
			if err := w.Sandbox.AddFaults(sandbox.Fault{Endpoint: "lists/subscribe", Kind: "status", Status: http.StatusForbidden, Count: 1, Code: "Forbidden"}); err != nil {
				w.T.Fatal(err)
			}
			v := w.Run(e)
			w.WaitsWith(v, schemas.ErrorKeyForbidden)
			if v = w.Answer(v, schemas.UpdateAbort); v.State != schemas.StateAborted || v.Segments[0].Report.Upload.Removed != 1 {
				w.T.Fatalf("%+v", v)
			}
		},
		"by somebody else": func(w *world.World, e schemas.Export) {
			w.Call(http.MethodPost, "/api/lists/unsubscribe", fmt.Sprintf(`{"listId": %d, "subscribers": [{"email": %q}]}`, w.List(e.Name).ID, world.Person(10)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := all.In(t)
			e := w.Of(t.Name())
			w.People(e.Name, 1, 10, 1)
			w.Done(w.Run(e))
			lose(w, e)
			if slices.Contains(w.Members(e.Name), world.Person(10)) {
				t.Fatal("the member is on the list")
			}
			w.People(e.Name, 1, 10, 1)
			mark := func(what string) {
				t.Helper()
				w.Sandbox.Mark(what, world.Person(10))
			}
			mark("conflict")
			if r := w.Done(w.Full(e)); r.Upload.Refused[schemas.ReasonIterableConflict] != 1 {
				t.Fatalf("%+v", r.Upload)
			}
			mark("")
			w.Done(w.Run(e))
			if have := w.Members(e.Name); !slices.Equal(have, world.Persons(1, 10)) {
				t.Errorf("the list has %v", have)
			}
		})
	}
}
