package runs

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestRowsThatIterableRefusesJoinTheRejects marks people as what Iterable may
// refuse, and looks for them in the rejects.
func TestRowsThatIterableRefusesJoinTheRejects(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	expected := w.Generated(2000)
	w.Done(w.Run(w.Export("Before", "EmailAddress")))
	people := w.Members("Before")
	marks := map[string]schemas.Reason{
		"forgotten": schemas.ReasonIterableForgotten, "conflict": schemas.ReasonIterableConflict, "invalidData": schemas.ReasonIterableInvalidData,
	}
	who := map[schemas.Reason]string{}
	for mark, reason := range marks {
		who[reason] = people[len(who)*100]
		w.Sandbox.Mark(mark, strings.ToUpper(who[reason]))
	}
	r := w.Done(w.Run(w.Export("After", "EmailAddress")))
	for _, reason := range marks {
		sent := int64(1)
		if reason == schemas.ReasonIterableForgotten {
			sent = 0 // Iterable says before who that is
		}
		if r.Rejected[reason] != 1 || r.Upload.Refused[reason] != sent {
			t.Errorf("%s: %d rejected, %d refused, want 1 and %d", reason, r.Rejected[reason], r.Upload.Refused[reason], sent)
		}
	}
	if r.Upload.Sent != expected.Valid-3 || w.List("After").Size != int(expected.Valid)-3 {
		t.Errorf("%d sent, %d on the list, want %d", r.Upload.Sent, w.List("After").Size, expected.Valid-3)
	}
	for _, row := range w.ReadRejects(r) {
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

// TestARequestRefusedForWhateverRowIsNotTheRowsFault has Iterable refuse
// everything: that is for an operator to see to, and no row is rejected.
func TestARequestRefusedForWhateverRowIsNotTheRowsFault(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	expected := w.Generated(300)
	fault := sandbox.Fault{Endpoint: "lists/subscribe", Kind: "status", Status: http.StatusBadRequest, Code: "BadParams", Message: "ann@example.com is bad"}
	if err := w.Sandbox.AddFaults(fault); err != nil {
		t.Fatal(err)
	}
	v := w.Run(w.Export("All refused", "EmailAddress"))
	waiting := w.Waiting(v)
	if waiting.Type != schemas.ErrorRequestRefused || strings.Contains(waiting.Message, "ann@") {
		t.Fatalf("waits for %s: %s", waiting.Type, waiting.Message)
	}
	w.Sandbox.ClearFaults()
	r := w.Done(w.Answer(v, schemas.UpdateRetry))
	if r.Rejected[schemas.ReasonIterableRefused] != 0 || w.List("All refused").Digest != expected.Digest {
		t.Errorf("rejected %v, %d of %d on the list", r.Rejected, w.List("All refused").Size, expected.Valid)
	}
}

// TestARemovalThatIterableRefusesIsTriedAgain has Iterable refuse to take one
// person off the list.
func TestARemovalThatIterableRefusesIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	w.Generated(300)
	w.Done(w.Run(w.Export("Leavers", "EmailAddress")))
	expected := w.Churned(300, 0.01)
	// Three people leave: the request for all of them is refused, and the one for
	// the first of them alone.
	fault := sandbox.Fault{Endpoint: "lists/unsubscribe", Kind: "status", Status: http.StatusBadRequest, Code: "BadParams", Count: 2}
	if err := w.Sandbox.AddFaults(fault); err != nil {
		t.Fatal(err)
	}
	r := w.Done(w.Run(w.Export("Leavers", "EmailAddress")))
	if r.Upload.NotRemoved != 1 || len(r.Rejected) != len(r.Manifest.Rejected) || int64(w.List("Leavers").Size) != expected.Valid+1 || r.Members != expected.Valid+1 {
		t.Errorf("%+v, %d on the list, %d known, want %d and one more", r.Upload, w.List("Leavers").Size, r.Members, expected.Valid)
	}
	if !slices.ContainsFunc(r.Warnings, func(s string) bool { return strings.Contains(s, "refused to remove 1 members from the list") }) {
		t.Errorf("warnings: %q", r.Warnings)
	}
	r = w.Done(w.Run(w.Export("Leavers", "EmailAddress")))
	if r.Upload.Removed != 1 || w.List("Leavers").Digest != expected.Digest {
		t.Errorf("%+v, %d on the list, want %d", r.Upload, w.List("Leavers").Size, expected.Valid)
	}
}
