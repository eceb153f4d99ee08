package access

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"iterable-segment-export/schemas"
)

func TestProofsAreForOneQuestion(t *testing.T) {
	p := newProvider(t, "")
	q := Question{Operation: schemas.OperationGrant, Arguments: []byte(`{"export":"A"}`), WorkflowID: "administer/Grant/1"}
	proof, err := Seal(p.WorkerKey().Key, p.good(nil), q, noon)
	if err != nil {
		t.Fatal(err)
	}
	if who, err := p.Person(t.Context(), proof, q, "somebody else"); err != nil || who.Name != "ann@example.com" {
		t.Errorf("%+v, %v", who, err)
	}
	for name, change := range map[string]func(*Question){
		"operation": func(q *Question) { q.Operation = schemas.OperationConsent },
		"arguments": func(q *Question) { q.Arguments = []byte(`{"export":"B"}`) },
		"workflow":  func(q *Question) { q.WorkflowID += "0" },
	} {
		other := q
		change(&other)
		if _, err := p.Person(t.Context(), proof, other, ""); err == nil {
			t.Errorf("taken for another %s", name)
		} else {
			refused(t, err, schemas.ErrorProof)
		}
	}
	for i := range proof.Sealed {
		bad := schemas.Proof{Sealed: append([]byte(nil), proof.Sealed...)}
		bad.Sealed[i] ^= 1
		if _, err := p.Person(t.Context(), &bad, q, ""); err == nil {
			t.Fatalf("taken with byte %d changed", i)
		}
	}
	for name, at := range map[string]time.Time{"old": noon.Add(proofTime + 2*leeway), "from the future": noon.Add(-2 * leeway)} {
		p.now = func() time.Time { return at }
		if _, err := p.Person(t.Context(), proof, q, ""); err == nil {
			t.Errorf("taken when %s", name)
		}
	}
	_, err = p.Person(t.Context(), nil, q, "ann")
	refused(t, err, schemas.ErrorProof)
}

func TestGrantsAreForOneExportAsItIs(t *testing.T) {
	p := newProvider(t, "")
	export := schemas.Export{
		Name: "Spring", Connection: "marketing", Email: "mail", Fields: schemas.Fields{List: []schemas.Field{{Column: "City"}}},
		Segments: []schemas.Segment{{Name: "A", Source: "s/a"}, {Name: "B", Source: "s/b"}},
	}
	who := schemas.Person{Name: "ann", Role: schemas.RoleContributor}
	issue := func(purpose string) schemas.AuthorizeInput {
		grant, err := p.Grant(who, purpose, export, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		in := schemas.AuthorizeInput{Export: export, Grant: grant, StartedAt: noon}
		return throughTemporal(t, in)
	}
	for _, purpose := range []string{schemas.PurposeRun, schemas.PurposeSchedule} {
		if got, err := p.CheckGrant(issue(purpose), time.Time{}); err != nil || got != who {
			t.Errorf("%s: %+v, %v", purpose, got, err)
		}
	}
	for _, purpose := range []string{schemas.PurposeCheck, schemas.PurposeRun, schemas.PurposeFull, schemas.PurposeSchedule} {
		in := issue(purpose)
		in.Check, in.Full = true, true
		if _, err := p.CheckGrant(in, time.Time{}); err != nil {
			t.Errorf("%s, for a check: %v", purpose, err)
		}
	}
	full := issue(schemas.PurposeFull)
	full.Full = true
	if _, err := p.CheckGrant(full, time.Time{}); err != nil {
		t.Errorf("full: %v", err)
	}
	late := issue(schemas.PurposeSchedule)
	late.StartedAt = noon.AddDate(3, 0, 0)
	if _, err := p.CheckGrant(late, noon.Add(-time.Hour)); err != nil {
		t.Errorf("a schedule's grant is good for as long as it is not revoked: %v", err)
	}
	for name, change := range map[string]func(in *schemas.AuthorizeInput){
		"none":             func(in *schemas.AuthorizeInput) { in.Grant = nil },
		"empty":            func(in *schemas.AuthorizeInput) { in.Grant = &schemas.Grant{} },
		"no MAC":           func(in *schemas.AuthorizeInput) { in.Grant.MAC = nil },
		"other connection": func(in *schemas.AuthorizeInput) { in.Export.Connection = "sales" },
		"other source":     func(in *schemas.AuthorizeInput) { in.Export.Segments[0].Source = "s/c" },
		"further segment":  func(in *schemas.AuthorizeInput) { in.Export.Segments = append(in.Export.Segments, schemas.Segment{}) },
		"swapped segments": func(in *schemas.AuthorizeInput) { s := in.Export.Segments; s[0], s[1] = s[1], s[0] },
		"further field":    func(in *schemas.AuthorizeInput) { in.Export.Fields = schemas.Fields{All: true} },
		"other mode":       func(in *schemas.AuthorizeInput) { in.Export.Mode = schemas.ModeAppend },
		"other name":       func(in *schemas.AuthorizeInput) { in.Export.Name = "Summer" },
		"other person":     func(in *schemas.AuthorizeInput) { in.Grant.Person.Name = "bob" },
		"higher role":      func(in *schemas.AuthorizeInput) { in.Grant.Person.Role = schemas.RoleAdministrator },
		"other purpose":    func(in *schemas.AuthorizeInput) { in.Grant.Purpose = schemas.PurposeSchedule },
		"later expiry":     func(in *schemas.AuthorizeInput) { in.Grant.ExpiresAt = in.Grant.ExpiresAt.Add(time.Hour) },
		"no expiry":        func(in *schemas.AuthorizeInput) { in.Grant.ExpiresAt = time.Time{} },
		"expired":          func(in *schemas.AuthorizeInput) { in.StartedAt = noon.Add(runTime + time.Second) },
		"started before":   func(in *schemas.AuthorizeInput) { in.StartedAt = noon.Add(-2 * leeway) },
		"another one's":    func(in *schemas.AuthorizeInput) { in.Export = schemas.Export{Name: "Spring", Connection: "sales"} },
		"a pass's MAC": func(in *schemas.AuthorizeInput) {
			in.Grant.MAC, _ = p.Gate.sign(forPasses, granted{*in.Grant, in.Export})
		},
		"full by a schedule": func(in *schemas.AuthorizeInput) { *in = issue(schemas.PurposeSchedule); in.Full = true },
		"full by a run":      func(in *schemas.AuthorizeInput) { in.Full = true },
		"run by a check":     func(in *schemas.AuthorizeInput) { *in = issue(schemas.PurposeCheck) },
		"full by a check":    func(in *schemas.AuthorizeInput) { *in = issue(schemas.PurposeCheck); in.Full = true },
	} {
		in := issue(schemas.PurposeRun)
		change(&in)
		_, err := p.CheckGrant(in, time.Time{})
		if refused(t, err, schemas.ErrorGrant); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	_, err := p.CheckGrant(issue(schemas.PurposeSchedule), noon)
	refused(t, err, schemas.ErrorGrant)
	after, err := p.Grant(who, schemas.PurposeSchedule, export, noon.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.CheckGrant(schemas.AuthorizeInput{Export: export, Grant: after, StartedAt: noon.Add(time.Minute)}, noon.Add(time.Second)); err != nil {
		t.Errorf("issued after the revocation: %v", err)
	}
}

// throughTemporal is what an input is after its way through a history.
func throughTemporal[T any](t *testing.T, in T) (out T) {
	t.Helper()
	data, err := json.Marshal(in)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPassesAreForOnePartOfOneRun(t *testing.T) {
	p := newProvider(t, "")
	type step struct {
		Run  schemas.RunRef
		Part Part
	}
	made := func(check bool) step {
		s := step{
			Run: schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "A"},
			Part: Part{
				Export:     schemas.Export{Name: "Spring", Connection: "marketing", Email: "mail"},
				Segment:    schemas.Segment{Name: "A", Source: "s/a"},
				Connection: schemas.ConnectionInfo{Name: "marketing", MaxProfiles: 10, TaskQueue: "q"},
			},
		}
		var err error
		if s.Run.Pass, err = p.Pass(s.Run, s.Part, check); err != nil {
			t.Fatal(err)
		}
		return throughTemporal(t, s)
	}
	s := made(false)
	if err := errors.Join(p.CheckPart(s.Run, s.Part, true), p.CheckPass(s.Run, "marketing", true)); err != nil {
		t.Error(err)
	}
	s = made(true)
	if err := p.CheckPart(s.Run, s.Part, false); err != nil {
		t.Error(err)
	}
	refused(t, p.CheckPart(s.Run, s.Part, true), schemas.ErrorGrant)
	s.Run.Pass.Check = false
	refused(t, p.CheckPart(s.Run, s.Part, true), schemas.ErrorGrant)
	for name, change := range map[string]func(*step){
		"no pass":          func(s *step) { s.Run.Pass = nil },
		"other run":        func(s *step) { s.Run.RunID = "r2" },
		"path as run":      func(s *step) { s.Run.RunID = "../snapshots" },
		"other export":     func(s *step) { s.Run.Export = "Summer" },
		"other segment":    func(s *step) { s.Run.Segment = "B" },
		"other connection": func(s *step) { s.Part.Connection.Name = "sales" },
		"more profiles":    func(s *step) { s.Part.Connection.MaxProfiles = 0 },
		"other source":     func(s *step) { s.Part.Segment.Source = "s/b" },
		"export's other":   func(s *step) { s.Part.Export.Connection = "sales" },
		"other column":     func(s *step) { s.Part.Export.Email = "other" },
	} {
		s := made(false)
		change(&s)
		if err := p.CheckPart(s.Run, s.Part, false); err == nil {
			t.Errorf("%s: taken", name)
		} else {
			refused(t, err, schemas.ErrorGrant)
		}
	}
	s = made(false)
	seal, err := p.SealList(s.Run, "marketing", 7)
	if err != nil || p.CheckList(s.Run, "marketing", 7, seal) != nil {
		t.Errorf("the run's list: %v", err)
	}
	refused(t, p.CheckList(s.Run, "marketing", 8, seal), schemas.ErrorGrant)
	refused(t, p.CheckList(s.Run, "sales", 7, seal), schemas.ErrorGrant)
}
