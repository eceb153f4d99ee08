package e2e

import (
	"errors"
	"os"
	"strings"
	"testing"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// withoutConsent takes the consent out of connections.yaml.
func (w *world) withoutConsent() {
	w.t.Helper()
	text, err := os.ReadFile(w.path("connections.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(text), "    consent:")
	if err := os.WriteFile(w.path("connections.yaml"), []byte(before), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// TestNoConsentNoTransfer gives, withdraws and gives again the consent to a
// connection; runs wait whenever there is none.
func TestNoConsentNoTransfer(t *testing.T) {
	w := newWorld(t, sandbox.Config{}, false)
	w.withoutConsent()
	w.startHost()
	expected := w.generated(200)
	e := w.export("A", "EmailAddress")

	answer := w.waitsFor(e, schemas.ErrorNoConsent, "«sandbox»", `starter connect "sandbox"`)
	if n := w.requests("POST /api/lists/subscribe") + w.requests("POST /api/lists"); n != 0 {
		t.Errorf("%d requests without consent", n)
	}
	check, err := w.operator.CheckConnection(t.Context(), "sandbox")
	if err != nil || check.Error != "" || check.ProjectType != "email" {
		t.Errorf("%+v, %v", check, err)
	}
	consent, err := w.operator.RecordConsent(t.Context(), "sandbox")
	if err != nil || consent.By != "tester" || consent.Statement != schemas.ConsentStatement {
		t.Errorf("%+v, %v", consent, err)
	}
	answer(schemas.UpdateRetry)
	if l := w.list("A"); l.Digest != expected.Digest {
		t.Errorf("list %+v", l)
	}

	all, err := w.operator.Connections(t.Context())
	if err != nil || len(all.Connections) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	if c := all.Connections[0]; c.Check == nil || c.Consent == nil || c.Consent.By != "tester" || c.BaseURL != w.url {
		t.Errorf("%+v", c)
	}

	if _, err := w.operator.Disconnect(t.Context(), "sandbox"); err != nil {
		t.Error(err)
	}
	answer = w.waitsFor(e, schemas.ErrorNoConnection, "disconnected by tester")
	if _, err := w.operator.RecordConsent(t.Context(), "sandbox"); err != nil {
		t.Error(err)
	}
	answer(schemas.UpdateRetry)

	var no *operate.Refusal
	if _, err := w.operator.CheckConnection(t.Context(), "sandbx"); !errors.As(err, &no) || no.Type != schemas.ErrorUnknownConnection {
		t.Errorf("%v", err)
	}
	w.key(true)
	if check, err = w.operator.CheckConnection(t.Context(), "sandbox"); err != nil || check.Error == "" {
		t.Errorf("a rejected key: %+v, %v", check, err)
	}
}
