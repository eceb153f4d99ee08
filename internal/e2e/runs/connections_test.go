package runs

import (
	"testing"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestNoConsentNoTransfer gives, withdraws and gives again the consent to a
// connection; runs wait whenever there is none.
func TestNoConsentNoTransfer(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, false)
	w.WithoutConsent()
	w.StartHost()
	expected := w.Generated(200)
	e := w.Export("A", "EmailAddress")

	answer := w.WaitsFor(e, schemas.ErrorNoConsent, "\"sandbox\"", `starter connect "sandbox"`)
	if n := w.Requests("lists/subscribe") + w.Requests("lists/create"); n != 0 {
		t.Errorf("%d requests without consent", n)
	}
	check, err := w.Service().CheckConnection(t.Context(), "sandbox")
	if err != nil || check.Error != "" || check.ProjectType != "email" {
		t.Errorf("%+v, %v", check, err)
	}
	consent, err := w.Service().Connect(t.Context(), "sandbox", gateway.ConnectRequest{Statement: schemas.ConsentStatementSHA256()})
	if err != nil || consent.By != "tester" || consent.Statement != schemas.ConsentStatement {
		t.Errorf("%+v, %v", consent, err)
	}
	answer(schemas.UpdateRetry)
	if l := w.List("A"); l.Digest != expected.Digest {
		t.Errorf("list %+v", l)
	}

	all, err := w.Service().Connections(t.Context())
	if err != nil || len(all.Connections) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	if c := all.Connections[0]; c.Check == nil || c.Consent == nil || c.Consent.By != "tester" || c.BaseURL != w.URL {
		t.Errorf("%+v", c)
	}

	if _, err := w.Service().Disconnect(t.Context(), "sandbox", gateway.DisconnectRequest{}); err != nil {
		t.Error(err)
	}
	answer = w.WaitsFor(e, schemas.ErrorNoConnection, "disconnected by tester")
	if _, err := w.Service().Connect(t.Context(), "sandbox", gateway.ConnectRequest{Statement: schemas.ConsentStatementSHA256()}); err != nil {
		t.Error(err)
	}
	answer(schemas.UpdateRetry)

	if _, err := w.Service().CheckConnection(t.Context(), "sandbx"); !access.IsRefused(err, schemas.ErrorUnknownConnection) {
		t.Errorf("%v", err)
	}
	w.Key(true)
	if check, err = w.Service().CheckConnection(t.Context(), "sandbox"); err != nil || check.Error == "" {
		t.Errorf("a rejected key: %+v, %v", check, err)
	}
}
