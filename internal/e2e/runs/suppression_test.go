package runs

import (
	"os"
	"strings"
	"testing"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestASuppressionListGrows: people who complain are taken off the lists of all exports over
// the connection, and are not sent again; a run without its suppression list sends nothing.
func TestASuppressionListGrows(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, false)
	w.People("Never", 900, 900, 1)
	w.People("News", 1, 20, 1)
	w.People("Offers", 11, 30, 1)
	path := w.Path("connections.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	suppress := "    suppress: [{name: Complaints, source: segments/Never, email: email}]\n    consent:"
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), "    consent:", suppress, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	w.StartHost()
	offers := w.Of("Offers")
	offers.Mode = schemas.ModeAppend
	w.Done(w.Run(w.Of("News")))
	w.Done(w.Run(offers))

	w.People("Never", 19, 21, 1)
	news, more := w.Done(w.Run(w.Of("News"))), w.Done(w.Run(offers))
	if m := news.Manifest; m.Suppressed != 2 || m.SuppressedRemovals != 2 || news.Upload.Removed != 2 || news.Members != 18 || w.List("News").Size != 18 {
		t.Errorf("News: %d suppressed, %d to remove, %d removed, %d members", m.Suppressed, m.SuppressedRemovals, news.Upload.Removed, news.Members)
	}
	if m := more.Manifest; m.Suppressed != 3 || m.SuppressedRemovals != 3 || more.Upload.Removed != 3 || more.Members != 17 || w.List("Offers").Size != 17 {
		t.Errorf("Offers: %d suppressed, %d to remove, %d removed, %d members", m.Suppressed, m.SuppressedRemovals, more.Upload.Removed, more.Members)
	}
	detailsSay(w, schemas.SegmentWorkflowID("News", "News"), "| suppressed | 2 |", "| to remove: suppressed, of those above | 2 |", `| entries of suppression list "Complaints" | 3 |`)
	again := w.Done(w.Full(w.Of("News")))
	if again.Manifest.Suppressed != 2 || again.Upload.Sent != 18 || again.Upload.Removed != 0 {
		t.Errorf("in full: %d suppressed, %d sent, %d removed", again.Manifest.Suppressed, again.Upload.Sent, again.Upload.Removed)
	}

	// Half of the list: the guardrail asks first.
	w.People("Never", 1, 10, 1)
	v := w.Run(w.Of("News"))
	w.WaitsWith(v, schemas.ErrorGuardrail, "10 of the 18 members", "10 of them are on a suppression list")
	if w.List("News").Size != 18 {
		t.Error("members were removed before the answer")
	}
	if v = w.Answer(v, schemas.UpdateApprove); w.Done(v).Upload.Removed != 10 {
		t.Errorf("%d removed after the answer", w.Done(v).Upload.Removed)
	}

	if err := os.RemoveAll(w.Path("segments/Never")); err != nil {
		t.Fatal(err)
	}
	changes := w.Changes()
	v = w.Run(w.Of("News"))
	w.WaitsWith(v, schemas.ErrorSuppression, `suppression list "Complaints"`, "nothing is sent without it")
	if w.Changes() != changes {
		t.Error("something was sent without the suppression list")
	}
	w.People("Never", 900, 900, 1)
	v = w.Answer(v, schemas.UpdateRetry)
	w.WaitsWith(v, schemas.ErrorSuppressionDoubtful, `suppression list "Complaints" has 1 entries, less than half of the 10`)
	w.Apply(schemas.Exports{Refresh: &schemas.Timing{Cron: schemas.OneOrMore{world.Seldom}}, Exports: []schemas.Export{w.Of("News")}})
	starter := w.Starter()
	status, _, said := starter.Call("run", "News", "--limit", "2") // which can't wait for an administrator
	starter.Contains(said, `suppression list "Complaints" has 1 entries, less than half of the 10`, "the trial sent nothing", `or run export "News" and have an administrator approve it`)
	if status != 1 || w.Changes() != changes {
		t.Errorf("a trial with a doubtful suppression list: status %d, changes %v after %v", status, w.Changes(), changes)
	}
	if back := w.Done(w.Answer(v, schemas.UpdateApprove)); back.Manifest.Suppressed != 0 || back.Upload.Sent != 10 {
		t.Errorf("no longer suppressed: %d suppressed, %d sent", back.Manifest.Suppressed, back.Upload.Sent)
	}
	starter.Want(0, "run", "News", "--limit", "2") // after the answer

	// An approval of entries that can't be read is for one run only, so the trial does not advise one.
	w.People("Never", 900, 909, 1, "Ann <p001@example.com>")
	v = w.Run(w.Of("News"))
	w.WaitsWith(v, schemas.ErrorSuppressionDoubtful, `1 of 11 entries of suppression list "Complaints" are not an e-mail address`)
	w.Done(w.Answer(v, schemas.UpdateApprove))
	changes = w.Changes()
	status, _, said = starter.Call("run", "News", "--limit", "2")
	starter.Contains(said, `1 of 11 entries of suppression list "Complaints"`, "the trial sent nothing: have the list repaired, then try again")
	if status != 1 || w.Changes() != changes {
		t.Errorf("a trial after the answer: status %d, changes %v after %v", status, w.Changes(), changes)
	}
}
