package access_test

import (
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/access/accesstest"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

func newGate(t *testing.T, secrets ...string) *access.Gate {
	t.Helper()
	return gateAt(t, t.TempDir(), secrets...)
}

func gateAt(t *testing.T, dir string, secrets ...string) *access.Gate {
	t.Helper()
	root, err := storage.OpenRoot(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	g, err := access.New(root, secrets)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func refused(t *testing.T, what string, err error, kind schemas.ErrorType) {
	t.Helper()
	if !access.IsRefused(err, kind) {
		t.Errorf("%s: %v, want a refusal of type %s", what, err, kind)
	}
}

var ann = schemas.Person{Name: "ann", Subject: "a1", Role: schemas.RoleContributor}

func spring() schemas.Export {
	share := 0.5
	return schemas.Export{
		Name: "Spring", Connection: "marketing", Email: "email",
		Segments: []schemas.Segment{{Name: "High-value", Source: "/srv/high"}, {Name: "Everybody", Source: "/srv/all", ListID: 7}},
		Settings: schemas.Settings{Mode: "append", Guardrails: schemas.Guardrails{MaxRemovedShare: &share}},
		Notify:   []schemas.Notify{{URL: schemas.NotifyURL{URL: "https://hooks.example/x"}}},
	}
}

// carried returns a value as Temporal delivers it.
func carried[T any](t *testing.T, v T) T {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out T
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAGrantIsForOneRunExactly alters each field of a run's input.
func TestAGrantIsForOneRunExactly(t *testing.T) {
	g := newGate(t, accesstest.Secret)
	now := time.Now()
	for kind, trigger := range map[string]schemas.Trigger{"person": {Kind: schemas.TriggerPerson, Who: "the owner"}, "schedule": {Kind: schemas.TriggerSchedule}} {
		in, err := g.GrantRun(t.Context(), ann, schemas.RunInput{Export: spring(), Trigger: trigger})
		if err != nil {
			t.Fatal(err)
		}
		if kind == "person" && in.Trigger.Who != "ann" {
			t.Errorf("started by %q", in.Trigger.Who)
		}
		in = carried(t, in)
		if who, err := g.CheckRun(t.Context(), in, now); err != nil || who != ann {
			t.Fatalf("%s: %+v, %v", kind, who, err)
		}
		for name, alter := range map[string]func(*schemas.RunInput){
			"no grant":         func(in *schemas.RunInput) { in.Grant = nil },
			"no MAC":           func(in *schemas.RunInput) { in.Grant.MAC = nil },
			"another MAC":      func(in *schemas.RunInput) { in.Grant.MAC[0] ^= 1 },
			"another person":   func(in *schemas.RunInput) { in.Grant.Person.Name = "bob" },
			"another subject":  func(in *schemas.RunInput) { in.Grant.Person.Subject = "b2" },
			"a higher role":    func(in *schemas.RunInput) { in.Grant.Person.Role = schemas.RoleAdministrator },
			"a later issue":    func(in *schemas.RunInput) { in.Grant.IssuedAt = in.Grant.IssuedAt.Add(time.Hour) },
			"a later expiry":   func(in *schemas.RunInput) { in.Grant.ExpiresAt = now.Add(time.Hour) },
			"another starter":  func(in *schemas.RunInput) { in.Trigger.Who = "the owner" },
			"another trigger":  func(in *schemas.RunInput) { in.Trigger.Kind += "x" },
			"everybody":        func(in *schemas.RunInput) { in.Full = true },
			"a check":          func(in *schemas.RunInput) { in.Check = true },
			"another name":     func(in *schemas.RunInput) { in.Export.Name = "Autumn" },
			"another place":    func(in *schemas.RunInput) { in.Export.Connection = "production" },
			"another segment":  func(in *schemas.RunInput) { in.Export.Segments[0].Source = "/srv/secret" },
			"another list":     func(in *schemas.RunInput) { in.Export.Segments[1].ListID = 8 },
			"one segment less": func(in *schemas.RunInput) { in.Export.Segments = in.Export.Segments[:1] },
			"another column":   func(in *schemas.RunInput) { in.Export.Email = "other" },
			"another mode":     func(in *schemas.RunInput) { in.Export.Settings.Mode = "mirror" },
			"no guardrail":     func(in *schemas.RunInput) { in.Export.Settings.Guardrails = schemas.Guardrails{AllowEmpty: true} },
			"somebody is told": func(in *schemas.RunInput) { in.Export.Notify[0].URL.URL = "https://evil.example" },
		} {
			bad := carried(t, in)
			alter(&bad)
			_, err := g.CheckRun(t.Context(), bad, now)
			refused(t, kind+", "+name, err, schemas.ErrorGrant)
		}
	}
}

// TestAGrantIsForItsTime: a grant for a person's run is valid for a start within 15
// minutes, a schedule's until it is revoked, and both no longer than the secret.
func TestAGrantIsForItsTime(t *testing.T) {
	dir := t.TempDir()
	g := gateAt(t, dir, accesstest.Secret)
	now := time.Now()
	access.SetGateClock(g, func() time.Time { return now })
	grant := func(kind string) schemas.RunInput {
		in, err := g.GrantRun(t.Context(), ann, schemas.RunInput{Export: spring(), Trigger: schemas.Trigger{Kind: kind}})
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	once, always := grant(schemas.TriggerPerson), grant(schemas.TriggerSchedule)
	check := func(what string, in schemas.RunInput, at time.Time, good bool) {
		t.Helper()
		_, err := g.CheckRun(t.Context(), in, at)
		if good && err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if !good {
			refused(t, what, err, schemas.ErrorGrant)
		}
	}
	check("at once", once, now, true)
	check("after 14 minutes", once, now.Add(14*time.Minute), true)
	check("after 16 minutes", once, now.Add(16*time.Minute), false)
	check("before it was issued", once, now.Add(-time.Hour), false)
	check("a schedule's after a year", always, now.AddDate(1, 0, 0), true)

	now = now.Add(time.Minute)
	if err := g.Revoke(t.Context(), "marketing", "Spring", "bob"); err != nil {
		t.Fatal(err)
	}
	check("revoked", once, now, false)
	check("a schedule's, revoked", always, now.AddDate(1, 0, 0), false)
	now = now.Add(-30 * time.Second) // a worker whose clock is behind
	check("granted after that", grant(schemas.TriggerSchedule), now.Add(time.Minute), true)

	newer := gateAt(t, dir, "another secret, of 32 characters or more", accesstest.Secret)
	in := grant(schemas.TriggerPerson)
	if _, err := newer.CheckRun(t.Context(), in, now.Add(time.Minute)); err != nil {
		t.Errorf("with the old secret behind the new one: %v", err)
	}
	_, err := gateAt(t, dir, "another secret, of 32 characters or more").CheckRun(t.Context(), in, now.Add(time.Minute))
	refused(t, "with another secret", err, schemas.ErrorGrant)
}

// TestAGrantIsForOneThing: a grant for a run is not valid for a removal, and vice versa.
func TestAGrantIsForOneThing(t *testing.T) {
	g := newGate(t, accesstest.Secret)
	run, err := g.GrantRun(t.Context(), ann, schemas.RunInput{Export: spring(), Trigger: schemas.Trigger{Kind: schemas.TriggerPerson}})
	if err != nil {
		t.Fatal(err)
	}
	removal, err := g.GrantRemoval(t.Context(), ann, schemas.RemoveInput{Export: spring()})
	if err != nil {
		t.Fatal(err)
	}
	if who, err := g.CheckRemoval(t.Context(), carried(t, removal), time.Now()); err != nil || who != ann {
		t.Errorf("%+v, %v", who, err)
	}
	bad := removal
	bad.DeleteLists = true
	_, err = g.CheckRemoval(t.Context(), bad, time.Now())
	refused(t, "with the lists", err, schemas.ErrorGrant)
	bad = removal
	bad.Grant = run.Grant
	_, err = g.CheckRemoval(t.Context(), bad, time.Now())
	refused(t, "with a run's grant", err, schemas.ErrorGrant)
	run.Grant = removal.Grant
	_, err = g.CheckRun(t.Context(), run, time.Now())
	refused(t, "with a removal's grant", err, schemas.ErrorGrant)
}

// TestWithoutASecretNothingIsGranted, and nothing needs to be.
func TestWithoutASecretNothingIsGranted(t *testing.T) {
	g := newGate(t)
	in, err := g.GrantRun(t.Context(), ann, schemas.RunInput{Export: spring(), Trigger: schemas.Trigger{Kind: schemas.TriggerPerson}})
	if err != nil || in.Grant != nil || g.Required() || in.Trigger.Who != "ann" {
		t.Errorf("%+v, %v", in, err)
	}
	if _, err := g.CheckRun(t.Context(), in, time.Now()); err != nil {
		t.Error(err)
	}
	if _, err := access.New(nil, []string{"short"}); err == nil {
		t.Error("a short secret is accepted")
	}
}

// TestANameBelongsToOneConnection until it is moved.
func TestANameBelongsToOneConnection(t *testing.T) {
	g := newGate(t, accesstest.Secret)
	if err := g.CheckName(t.Context(), "Spring", "marketing"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Move(t.Context(), "Spring", "marketing", "other", "ann"); err == nil {
		t.Error("a name without a record can be moved")
	}
	for range 2 {
		if err := g.Claim(t.Context(), "Spring", "marketing", "ann"); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, "claimed by another connection", g.Claim(t.Context(), "Spring", "other", "bob"), schemas.ErrorNameTaken)
	refused(t, "used by another connection", g.CheckName(t.Context(), "Spring", "other"), schemas.ErrorNameTaken)
	in, err := g.GrantRun(t.Context(), ann, schemas.RunInput{Export: spring(), Trigger: schemas.Trigger{Kind: schemas.TriggerSchedule}})
	if err != nil {
		t.Fatal(err)
	}
	// Whoever may use the connection that it had, and not the one that it was moved to meanwhile.
	_, err = g.Move(t.Context(), "Spring", "owners", "other", "eve")
	refused(t, "moved from where it is no more", err, schemas.ErrorChanged)
	r, err := g.Move(t.Context(), "Spring", "marketing", "other", "bob")
	if err != nil || r.Connection != "other" || len(r.Before) != 1 || r.Before[0] != "marketing" {
		t.Errorf("%+v, %v", r, err)
	}
	_, err = g.CheckRun(t.Context(), in, time.Now())
	refused(t, "the grant that it had", err, schemas.ErrorGrant)
	refused(t, "used by the connection before", g.CheckName(t.Context(), "Spring", "marketing"), schemas.ErrorNameTaken)
	if err := g.Release(t.Context(), "Spring"); err != nil {
		t.Fatal(err)
	}
	if err := g.Claim(t.Context(), "Spring", "marketing", "ann"); err != nil {
		t.Error(err)
	}
}

// TestOneOfManyClaimsAName: of two connections one gets it.
func TestOneOfManyClaimsAName(t *testing.T) {
	g := newGate(t)
	var got atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			err := g.Claim(t.Context(), "Spring", string(rune('a'+i)), "ann")
			if err == nil {
				got.Add(1)
			} else if !access.IsRefused(err, schemas.ErrorNameTaken) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got.Load() != 1 {
		t.Errorf("%d connections have the name", got.Load())
	}
}

// TestARunIsHeldAgainstItsRecord: a step runs only for an admitted run, and for its list.
func TestARunIsHeldAgainstItsRecord(t *testing.T) {
	g := newGate(t, accesstest.Secret)
	run := schemas.RunRef{Connection: "marketing", Export: "Spring", RunID: "r1"}
	_, err := g.Admitted(t.Context(), run)
	refused(t, "a run without a record", err, schemas.ErrorGrant)
	if err := g.Admit(t.Context(), run, schemas.RunRecord{RunID: "r1", Input: schemas.RunInput{Export: spring()}, Person: ann}); err != nil {
		t.Fatal(err)
	}
	if r, err := g.Admitted(t.Context(), run); err != nil || r.Person != ann {
		t.Errorf("%+v, %v", r, err)
	}
	for _, other := range []schemas.RunRef{
		{Connection: "other", Export: "Spring", RunID: "r1"}, {Connection: "marketing", Export: "Autumn", RunID: "r1"},
		{Connection: "marketing", Export: "Spring", RunID: "r2"}, {Connection: "marketing", Export: "Spring", RunID: "../../marketing/spring/r1"},
	} {
		_, err := g.Admitted(t.Context(), other)
		refused(t, other.Connection+"/"+other.Export+"/"+other.RunID, err, schemas.ErrorGrant)
	}
	if err := g.KeepList(t.Context(), run, 7); err != nil || g.CheckList(t.Context(), run, 7) != nil {
		t.Error(err)
	}
	refused(t, "another list", g.CheckList(t.Context(), run, 8), schemas.ErrorGrant)
}

// TestConsentIsForOneHost: a consent does not cover another host.
func TestConsentIsForOneHost(t *testing.T) {
	g := newGate(t)
	c := schemas.Connection{Name: "sandbox", Region: schemas.RegionEU}
	refused(t, "before an agreement", g.CheckConsent(t.Context(), c), schemas.ErrorNoConsent)
	_, err := g.Agree(t.Context(), ann, c, "another one's")
	refused(t, "to another statement", err, schemas.ErrorNoConsent)
	r, err := g.Agree(t.Context(), ann, c, schemas.ConsentStatementSHA256())
	if err != nil || r.Host != "api.eu.iterable.com" || g.CheckConsent(t.Context(), c) != nil {
		t.Fatalf("%+v, %v", r, err)
	}
	moved := c
	moved.Region = schemas.RegionUS
	refused(t, "elsewhere", g.CheckConsent(t.Context(), moved), schemas.ErrorNoConsent)
	if _, err := g.Withdraw(t.Context(), ann, c); err != nil {
		t.Fatal(err)
	}
	refused(t, "withdrawn", g.CheckConsent(t.Context(), c), schemas.ErrorNoConnection)
	c.Consent = &schemas.Consent{AcceptedBy: "bob", AcceptedAt: r.At.Add(-time.Hour), Statement: "v1"}
	refused(t, "withdrawn after the file's", g.CheckConsent(t.Context(), c), schemas.ErrorNoConnection)
	c.Consent.AcceptedAt = time.Now().Add(time.Hour)
	if err := g.CheckConsent(t.Context(), c); err != nil {
		t.Errorf("agreed to in the file after it was disconnected: %v", err)
	}
}

func TestRefusedIsOneOfItsType(t *testing.T) {
	err := errors.Join(errors.New("x"), access.No(schemas.ErrorGrant, "no"))
	if !access.IsRefused(err, schemas.ErrorGrant) || access.IsRefused(err, schemas.ErrorProof) {
		t.Error(err)
	}
}
