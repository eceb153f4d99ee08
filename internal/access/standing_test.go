package access_test

import (
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/access/accesstest"
	"iterable-segment-export/schemas"
)

const newerSecret = "another secret, of 32 characters or more"

// scheduled is a schedule with the grant that a gate gives it.
func scheduled(t *testing.T, g *access.Gate) schemas.ScheduledInput {
	t.Helper()
	in, err := g.GrantRun(t.Context(), ann, access.ScheduledRun(schemas.ScheduledInput{Export: spring()}))
	if err != nil {
		t.Fatal(err)
	}
	return carried(t, schemas.ScheduledInput{Export: in.Export, Grant: in.Grant})
}

// TestTheStandingOfASchedulesGrant is what its runs would find.
func TestTheStandingOfASchedulesGrant(t *testing.T) {
	dir := t.TempDir()
	old := gateAt(t, dir, accesstest.Secret)
	in := scheduled(t, old)
	standing := func(g *access.Gate, in schemas.ScheduledInput) access.Standing {
		t.Helper()
		s, err := g.Standing(t.Context(), in)
		if err != nil || s == nil {
			t.Fatalf("%+v, %v", s, err)
		}
		_, err = g.CheckRun(t.Context(), access.ScheduledRun(in), time.Now())
		if (s.Invalid == "") != (err == nil) {
			t.Errorf("the standing is %+v, and a run finds %v", s, err)
		}
		if err != nil && (!strings.Contains(err.Error(), s.Invalid) || !strings.Contains(err.Error(), "starter apply")) {
			t.Errorf("the run says %v", err)
		}
		return *s
	}
	if s := standing(old, in); s != (access.Standing{}) {
		t.Errorf("%+v", s)
	}
	if s := standing(gateAt(t, dir, newerSecret, accesstest.Secret), in); s != (access.Standing{OldSecret: true}) {
		t.Errorf("with the old secret behind the new one: %+v", s)
	}
	if s := standing(gateAt(t, dir, newerSecret), in); !strings.Contains(s.Invalid, "WORKER_SECRET was changed") || s.OldSecret {
		t.Errorf("with another secret: %+v", s)
	}
	altered := carried(t, in)
	altered.Export.Email = "other"
	if s := standing(old, altered); s.Invalid == "" {
		t.Error("an altered export has a valid grant")
	}
	if s := standing(old, schemas.ScheduledInput{Export: spring()}); !strings.Contains(s.Invalid, "no grant") {
		t.Errorf("without a grant: %+v", s)
	}
	if err := old.Revoke(t.Context(), "marketing", "Spring", "bob"); err != nil {
		t.Fatal(err)
	}
	if s := standing(old, in); !strings.Contains(s.Invalid, "revoked") {
		t.Errorf("revoked: %+v", s)
	}
	if s, err := newGate(t).Standing(t.Context(), in); s != nil || err != nil {
		t.Errorf("where runs need no grant: %+v, %v", s, err)
	}
}

// TestWhatRefusedRunsNotify are the webhooks that somebody who may has named.
func TestWhatRefusedRunsNotify(t *testing.T) {
	g := newGate(t, accesstest.Secret)
	targets := func() int {
		t.Helper()
		all, err := g.Targets(t.Context(), "marketing", "Spring")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	check := schemas.RunInput{Export: spring(), Check: true, Trigger: schemas.Trigger{Kind: schemas.TriggerPerson}}
	if _, err := g.GrantRun(t.Context(), ann, check); err != nil || targets() != 0 {
		t.Errorf("a check names %d, %v", targets(), err)
	}
	scheduled(t, g)
	if targets() != 1 {
		t.Errorf("%d targets", targets())
	}
	quiet := spring()
	quiet.Notify = nil
	if _, err := g.GrantRun(t.Context(), ann, access.ScheduledRun(schemas.ScheduledInput{Export: quiet})); err != nil || targets() != 0 {
		t.Errorf("after they were taken out there are %d, %v", targets(), err)
	}
	scheduled(t, g)
	if err := g.Revoke(t.Context(), "marketing", "Spring", "bob"); err != nil || targets() != 0 {
		t.Errorf("of a removed export there are %d, %v", targets(), err)
	}
}
