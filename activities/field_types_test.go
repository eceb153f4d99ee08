package activities

import (
	"errors"
	"strings"
	"testing"

	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestFieldTypesAreComparedBeforeAListIsMade maps fields onto ones that the
// project has already.
func TestFieldTypesAreComparedBeforeAListIsMade(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true, Fields: map[string]string{"ltv": "string", "visits": "long", "city": "string"}}))
	in := wanted
	in.Fields = []schemas.MappedField{
		{Column: "LifetimeValue", Field: "ltv", Type: "double"},
		{Column: "Visits", Field: "visits", Type: "double"},
		{Column: "City", Field: "city", Type: "string"},
		{Column: "New", Field: "new", Type: "date"},
	}
	_, err := b.ensure(in)
	var app *temporal.ApplicationError
	if !errors.As(err, &app) || app.Type() != schemas.ErrorFieldTypes || !app.NonRetryable() {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{"LifetimeValue", "double", "ltv", "string", "as, or set type"} {
		if !strings.Contains(app.Message(), part) {
			t.Errorf("%q lacks %q", app.Message(), part)
		}
	}
	if strings.Contains(app.Message(), "City") || strings.Contains(app.Message(), "Visits") || len(b.named("High-value")) > 0 {
		t.Errorf("%q; lists %v", app.Message(), b.named("High-value"))
	}

	check := in
	check.Check, check.Create = true, false
	l, err := b.ensure(check)
	if err != nil || l.ID != 0 || len(l.Clashes) != 1 || len(b.named("High-value")) > 0 {
		t.Errorf("a check got %+v, %v; lists %v", l, err, b.named("High-value"))
	}

	in.Fields = in.Fields[1:]
	l, err = b.ensure(in)
	if err != nil || !l.Created || len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "Visits") {
		t.Errorf("got %+v, %v", l, err)
	}
	if l, err = b.ensure(in); err != nil || !l.Ours {
		t.Errorf("got %+v, %v", l, err)
	}
}

// TestNoFieldsAskForNone leaves getFields alone where no field is mapped.
func TestNoFieldsAskForNone(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	if _, err := b.ensure(wanted); err != nil {
		t.Fatal(err)
	}
	if n := b.sandbox.Stats(false).Endpoints["users/getFields"].Requests; n != 0 {
		t.Errorf("%d requests", n)
	}
}
