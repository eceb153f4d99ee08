package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// addresses of people in the generated segment who are on its list.
func (w *world) members(list string) []string {
	w.t.Helper()
	people, err := w.sandbox.Members(w.list(list).ID)
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(people)
	return people
}

// TestRowsThatIterableRefusesJoinTheRejects marks people as what Iterable may
// refuse, and looks for them in the rejects.
func TestRowsThatIterableRefusesJoinTheRejects(t *testing.T) {
	w := newWorld(t, sandbox.Config{}, true)
	expected := w.generated(2000)
	w.done(w.run(w.export("Before", "EmailAddress")))
	people := w.members("Before")
	marks := map[string]schemas.Reason{
		"forgotten": schemas.ReasonIterableForgotten, "conflict": schemas.ReasonIterableConflict, "invalidData": schemas.ReasonIterableInvalidData,
	}
	who := map[schemas.Reason]string{}
	for mark, reason := range marks {
		who[reason] = people[len(who)*100]
		if err := w.sandbox.MarkPeople(sandbox.PeopleMark{People: []string{strings.ToUpper(who[reason])}, Mark: mark}); err != nil {
			t.Fatal(err)
		}
	}
	r := w.done(w.run(w.export("After", "EmailAddress")))
	for _, reason := range marks {
		if r.Rejected[reason] != 1 || r.Upload.Refused[reason] != 1 {
			t.Errorf("%s: %d rejected, %d refused, want 1", reason, r.Rejected[reason], r.Upload.Refused[reason])
		}
	}
	if r.Upload.Sent != expected.Valid-3 || w.list("After").Size != int(expected.Valid)-3 {
		t.Errorf("%d sent, %d on the list, want %d", r.Upload.Sent, w.list("After").Size, expected.Valid-3)
	}
	for _, row := range w.readRejects(r) {
		if !strings.HasPrefix(string(row.Reason), "iterable_") {
			continue
		}
		switch value := string(row.Value); row.Reason {
		case schemas.ReasonIterableForgotten:
			if row.Value != nil {
				t.Error("a forgotten person's address is in the rejects")
			}
		default:
			if value != who[row.Reason] {
				t.Errorf("%s: the rejects name %q, want %q", row.Reason, value, who[row.Reason])
			}
		}
		delete(who, row.Reason)
	}
	if len(who) > 0 {
		t.Errorf("not in the rejects: %v", who)
	}
}

// TestARequestThatIsRefusedIsHalved has requests refused as a whole.
func TestARequestThatIsRefusedIsHalved(t *testing.T) {
	w := newWorld(t, sandbox.Config{MaxSubscribers: 300}, true)
	expected := w.generated(2000)
	r := w.done(w.run(w.export("Halved", "EmailAddress")))
	if l := w.list("Halved"); l.Digest != expected.Digest {
		t.Errorf("the list has %d members, want %d", l.Size, expected.Valid)
	}
	if r.Upload.Requests <= int64(r.Manifest.AddBatches) {
		t.Errorf("%d requests for %d batches: nothing was halved", r.Upload.Requests, r.Manifest.AddBatches)
	}
}

// TestOneBadRowIsFound has Iterable refuse every request that holds one person's
// data of the wrong type.
func TestOneBadRowIsFound(t *testing.T) {
	w := newWorld(t, sandbox.Config{}, true)
	expected := w.generated(300)
	fault := sandbox.Fault{Endpoint: "lists/subscribe", Kind: "status", Status: http.StatusBadRequest, Code: "BadParams", Count: 9}
	if err := w.sandbox.AddFaults(fault); err != nil {
		t.Fatal(err)
	}
	// 300 rows are halved to one in nine requests, so that exactly the first row
	// is refused alone.
	r := w.done(w.run(w.export("One bad row", "EmailAddress")))
	if r.Rejected[schemas.ReasonIterableRefused] != 1 || w.list("One bad row").Size != int(expected.Valid)-1 {
		t.Errorf("rejected %v, %d of %d on the list", r.Rejected, w.list("One bad row").Size, expected.Valid)
	}
}

// TestARequestRefusedForWhateverRowIsNotTheRowsFault has Iterable refuse
// everything: that is for an operator to see to, and no row is rejected.
func TestARequestRefusedForWhateverRowIsNotTheRowsFault(t *testing.T) {
	w := newWorld(t, sandbox.Config{}, true)
	expected := w.generated(300)
	fault := sandbox.Fault{Endpoint: "lists/subscribe", Kind: "status", Status: http.StatusBadRequest, Code: "BadParams", Message: "ann@example.com is bad"}
	if err := w.sandbox.AddFaults(fault); err != nil {
		t.Fatal(err)
	}
	v := w.run(w.export("All refused", "EmailAddress"))
	waiting := w.waiting(v)
	if waiting.Type != schemas.ErrorRequestRefused || strings.Contains(waiting.Message, "ann@") {
		t.Fatalf("waits for %s: %s", waiting.Type, waiting.Message)
	}
	w.sandbox.ClearFaults()
	r := w.done(w.answer(v, schemas.UpdateRetry))
	if r.Rejected[schemas.ReasonIterableRefused] != 0 || w.list("All refused").Digest != expected.Digest {
		t.Errorf("rejected %v, %d of %d on the list", r.Rejected, w.list("All refused").Size, expected.Valid)
	}
}

// TestARemovalThatIterableRefusesIsTriedAgain has Iterable refuse to take one
// person off the list.
func TestARemovalThatIterableRefusesIsTriedAgain(t *testing.T) {
	w := newWorld(t, sandbox.Config{}, true)
	w.generated(300)
	w.done(w.run(w.export("Leavers", "EmailAddress")))
	expected := w.churned(300, 0.01)
	// Three people leave: the request for all of them is refused, and the one for
	// the first of them alone.
	fault := sandbox.Fault{Endpoint: "lists/unsubscribe", Kind: "status", Status: http.StatusBadRequest, Code: "BadParams", Count: 2}
	if err := w.sandbox.AddFaults(fault); err != nil {
		t.Fatal(err)
	}
	r := w.done(w.run(w.export("Leavers", "EmailAddress")))
	if r.Upload.NotRemoved != 1 || len(r.Rejected) != len(r.Manifest.Rejected) || int64(w.list("Leavers").Size) != expected.Valid+1 || r.Members != expected.Valid+1 {
		t.Errorf("%+v, %d on the list, %d known, want %d and one more", r.Upload, w.list("Leavers").Size, r.Members, expected.Valid)
	}
	if !slices.ContainsFunc(r.Warnings, func(s string) bool { return strings.Contains(s, "refused to take 1 people off") }) {
		t.Errorf("warnings: %q", r.Warnings)
	}
	r = w.done(w.run(w.export("Leavers", "EmailAddress")))
	if r.Upload.Removed != 1 || w.list("Leavers").Digest != expected.Digest {
		t.Errorf("%+v, %d on the list, want %d", r.Upload, w.list("Leavers").Size, expected.Valid)
	}
}
