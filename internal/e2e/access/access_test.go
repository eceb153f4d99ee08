package access

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/proto"

	"iterable-segment-export/internal/access/accesstest"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/gateway/remote"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/people"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

func second[T any](_ T, err error) error { return err }

// operations are all that people ask for, as they ask for an export, a run and a
// connection, by the least role that may and the method of the service.
func operations(ctx context.Context, s gateway.Service, e schemas.Export, run operate.Run) map[schemas.Role]map[string]func() error {
	file := gateway.PlanRequest{File: schemas.Exports{Exports: []schemas.Export{e}}}
	answer := func(answer string) func() error {
		return func() error { return second(s.Answer(ctx, run, gateway.AnswerRequest{Answer: answer, Wait: "x"})) }
	}
	start := func(in gateway.StartRequest) func() error {
		in.Definition = &e
		return func() error { return second(s.Start(ctx, in)) }
	}
	return map[schemas.Role]map[string]func() error{
		schemas.RoleViewer: {
			"Me":          func() error { return second(s.Me(ctx)) },
			"Exports":     func() error { return second(s.Exports(ctx)) },
			"Export":      func() error { return second(s.Export(ctx, e.Name)) },
			"Names":       func() error { return second(s.Names(ctx)) },
			"Runs":        func() error { return second(s.Runs(ctx, gateway.RunsRequest{})) },
			"Find":        func() error { return second(s.Find(ctx, e.Name)) },
			"Look":        func() error { return second(s.Look(ctx, run)) },
			"Input":       func() error { return second(s.Input(ctx, run)) },
			"Watch":       func() error { return second(s.Watch(ctx, run, true, nil)) },
			"Connections": func() error { return second(s.Connections(ctx)) },
			"Doctor":      func() error { return second(s.Doctor(ctx)) },
		},
		schemas.RoleContributor: {
			"Plan":           func() error { return second(s.Plan(ctx, file)) },
			"Apply":          func() error { return second(s.Apply(ctx, file)) },
			"Start":          start(gateway.StartRequest{}),
			"Start in full":  start(gateway.StartRequest{Full: true}),
			"Start a check":  start(gateway.StartRequest{Check: true}),
			"Start a trial":  start(gateway.StartRequest{Trial: &gateway.TrialRequest{Limit: 1}}),
			"Answer retry":   answer(schemas.UpdateRetry),
			"Answer approve": answer(schemas.UpdateApprove),
			"Answer abort":   answer(schemas.UpdateAbort),
			"Cancel":         func() error { return s.Cancel(ctx, run) },
			"Schedule":       func() error { return s.Schedule(ctx, e.Name, gateway.ScheduleRequest{Paused: true}) },
			"Move":           func() error { return second(s.Move(ctx, e.Name, gateway.MoveRequest{Connection: "sandbox"})) },
			"Rejects": func() error {
				return s.Rejects(ctx, run, gateway.RejectsRequest{}, func(gateway.Reject) error { return nil })
			},
			"Record":   func() error { return s.Record(ctx, run, "", io.Discard) },
			"Overview": func() error { return second(s.Overview(ctx)) },
			"Report":   func() error { return second(s.Report(ctx, run)) },
			"Examples": func() error { return second(s.Examples(ctx, run)) },
			"Remove":   func() error { return second(s.Remove(ctx, e.Name, gateway.RemoveRequest{})) },
		},
		schemas.RoleAdministrator: {
			"CheckConnection": func() error { return second(s.CheckConnection(ctx, e.Connection)) },
			"Connect": func() error {
				return second(s.Connect(ctx, e.Connection, gateway.ConnectRequest{Statement: schemas.ConsentStatementSHA256()}))
			},
			"Disconnect":   func() error { return second(s.Disconnect(ctx, e.Connection, gateway.DisconnectRequest{})) },
			"FindPerson":   func() error { return second(s.FindPerson(ctx, people.FindRequest{Person: "ann@example.com"})) },
			"ForgetPerson": func() error { return second(s.ForgetPerson(ctx, people.ForgetRequest{Person: "ann@example.com"})) },
			"ForgetPerson to preview": func() error {
				return second(s.ForgetPerson(ctx, people.ForgetRequest{Person: "ann@example.com", Preview: true}))
			},
			"Audit": func() error { return second(s.Audit(ctx, time.Time{})) },
			"Setup": func() error { return second(s.Setup(ctx)) },
		},
	}
}

// TestOperationsAreAll: each method of the service is among the operations.
func TestOperationsAreAll(t *testing.T) {
	tried := map[string]bool{}
	for _, of := range operations(t.Context(), nil, schemas.Export{}, operate.Run{}) {
		for name := range of {
			method, _, _ := strings.Cut(name, " ")
			tried[method] = true
		}
	}
	for service, i := reflect.TypeFor[gateway.Service](), 0; i < service.NumMethod(); i++ {
		if name := service.Method(i).Name; !tried[name] {
			t.Errorf("nobody tries %s", name)
		}
	}
}

// TestWhoMay has people of every role, and nobody, try everything there is.
func TestWhoMay(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	expected := g.Generated(200)
	e := g.Over("Mine", "sandbox")
	contributor := g.As(schemas.RoleContributor)
	v := g.Through(contributor, gateway.StartRequest{Definition: &e})
	g.Done(v)
	if l := g.List("Mine"); l.Digest != expected.Digest || v.Report == "" || v.Trigger.Who != "the contributor" {
		t.Errorf("list %+v, run %+v", l, v)
	}
	if report, err := contributor.Report(t.Context(), v.Run); err != nil || !bytes.Contains(report, []byte("the contributor")) {
		t.Errorf("the report does not say who: %v", err)
	}
	ranks := []schemas.Role{"", schemas.RoleViewer, schemas.RoleContributor, schemas.RoleAdministrator}
	for i, role := range ranks[:3] {
		for _, least := range ranks[i+1:] {
			for name, ask := range operations(t.Context(), g.As(role), e, v.Run)[least] {
				kind := schemas.ErrorNotAllowed
				if role == "" {
					kind = schemas.ErrorProof
				}
				g.Refuses(role+" asks to "+name, ask(), kind, "")
			}
		}
	}
	for _, role := range ranks[1:3] {
		all, err := g.As(role).Connections(t.Context())
		if want := `[{"name":"sandbox","projectType":"email"}]`; err != nil || jsonOf(t, all.Connections) != want || all.Exports != nil {
			t.Errorf("a %s sees %s, %v", role, jsonOf(t, all.Connections), err)
		}
	}
	all, err := g.As(schemas.RoleAdministrator).Connections(t.Context())
	if err != nil || len(all.Connections) != 2 || all.Connections[0].Consent == nil || all.Connections[0].BaseURL != g.URL {
		t.Errorf("%+v, %v", all, err)
	}
	nothingInHistories(g)
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestContributorsAgainstAdministrators has a contributor try everything against an
// export of a connection that is not shared: by its name, by its runs, and by an export
// of the same name over the connection that is.
func TestContributorsAgainstAdministrators(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	g.People("Payroll", 1, 30, 1, world.Invalid(3)...)
	admin, contributor := g.As(schemas.RoleAdministrator), g.As(schemas.RoleContributor)
	theirs, mine := g.Of("Payroll"), g.Of("Payroll")
	theirs.Connection = "owners"
	file := schemas.Exports{Refresh: &schemas.Timing{Cron: schemas.OneOrMore{world.Seldom}}, Exports: []schemas.Export{theirs}}
	if p, err := admin.Apply(t.Context(), gateway.PlanRequest{File: file}); err != nil || p.Failed > 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	v := g.Through(admin, gateway.StartRequest{Export: "Payroll"})
	g.Done(v)
	for name, ask := range operations(t.Context(), contributor, theirs, v.Run)[schemas.RoleContributor] {
		if name == "Plan" || name == "Apply" || name == "Overview" {
			continue // a plan says nothing but what the exports say; the others are looked at below
		}
		g.Refuses(name, ask(), schemas.ErrorNotAllowed, "not shared with contributors")
	}
	for s, want := range map[*remote.Client]int{admin: 1, contributor: 0} {
		if o, err := s.Overview(t.Context()); err != nil || len(o.Exports) != want || want > 0 && (o.Exports[0].Export != "Payroll" || o.Exports[0].Last().Lists[0].Size != 30) {
			t.Errorf("the overview has %+v, %v; want %d exports", o.Exports, err, want)
		}
	}
	for _, paused := range []bool{true, false} {
		g.Refuses("pause or resume it", contributor.Schedule(t.Context(), "Payroll", gateway.ScheduleRequest{Paused: paused}), schemas.ErrorNotAllowed, "not shared")
	}
	g.Refuses("move it to mine", second(contributor.Move(t.Context(), "Payroll", gateway.MoveRequest{Connection: "sandbox"})), schemas.ErrorNotAllowed, "not shared")

	if p, err := contributor.Apply(t.Context(), gateway.PlanRequest{File: schemas.Exports{Exports: []schemas.Export{theirs}}}); err != nil || p.Failed != 1 || !strings.Contains(p.Steps[0].Error, "not shared") {
		t.Errorf("apply it: %+v, %v", p, err)
	}

	// The same name over the connection that they may use.
	for _, in := range []gateway.StartRequest{{Definition: &mine}, {Definition: &mine, Full: true}, {Definition: &mine, Check: true}} {
		g.Refuses("run its name", second(contributor.Start(t.Context(), in)), schemas.ErrorNameTaken, `belongs to connection "owners"`)
	}
	for what, apply := range map[string]func(context.Context, gateway.PlanRequest) (gateway.Plan, error){"plan": contributor.Plan, "apply": contributor.Apply} {
		for _, prune := range []bool{false, true} {
			p, err := apply(t.Context(), gateway.PlanRequest{File: schemas.Exports{Exports: []schemas.Export{mine}}, Prune: prune})
			if err != nil || p.Failed != 1 || !strings.Contains(p.Steps[0].Error, `belongs to connection "owners"`) {
				t.Errorf("%s its name: %+v, %v", what, p, err)
			}
		}
		p, err := apply(t.Context(), gateway.PlanRequest{File: schemas.Exports{Exports: []schemas.Export{g.Of("Other")}}, Prune: true})
		if err != nil || p.Failed != 1 {
			t.Errorf("%s without it: %+v, %v", what, p, err)
		}
	}
	if n := len(g.Sandbox.Stats(true).Lists); n != 0 {
		t.Errorf("%d lists in the contributors' project", n)
	}
	// Nothing of the administrators' was touched: the next run knows everybody.
	again := g.Through(admin, gateway.StartRequest{Export: "Payroll"})
	if r := g.Done(again); r.Manifest.Unchanged != 30 || r.Upload.Requests != 0 {
		t.Errorf("%+v", r.Manifest)
	}
	if a, err := admin.Export(t.Context(), "Payroll"); err != nil || a.Paused || a.Grant == nil || a.Grant.MAC != nil || a.Grant.Person.Name != "the administrator" {
		t.Errorf("%+v, %v", a, err)
	}
	// An administrator may use both, and moves the name; what was over the other
	// connection stays apart.
	if _, err := admin.Move(t.Context(), "Payroll", gateway.MoveRequest{Connection: "sandbox"}); err != nil {
		t.Fatal(err)
	}
	moved := g.Through(contributor, gateway.StartRequest{Export: "Payroll"})
	if r := g.Done(moved); r.Manifest.Adds != 30 || r.Manifest.Members != 0 {
		t.Errorf("after the move: %+v", r.Manifest)
	}
	g.Refuses("the run before the move", second(contributor.Report(t.Context(), v.Run)), schemas.ErrorNotAllowed, "not shared")
}

// TestARunStopsOnceItMayNoMore: between the start of a run and what it sends, its grant
// is revoked, or its connection is shared no more.
func TestARunStopsOnceItMayNoMore(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	admin, contributor := g.As(schemas.RoleAdministrator), g.As(schemas.RoleContributor)
	g.People("Shared", 1, 0, 1)
	e := g.Of("Shared")
	v := g.Through(contributor, gateway.StartRequest{Definition: &e})
	g.WaitsWith(v, schemas.ErrorGuardrail) // nobody is in the segment
	g.Allow("administrators")
	g.Until("the worker has read the file", func() bool {
		all, err := contributor.Connections(t.Context())
		return err == nil && len(all.Connections) == 0
	})
	g.Refuses("approve", second(contributor.Answer(t.Context(), v.Run, gateway.AnswerRequest{Answer: schemas.UpdateApprove, Wait: v.Waits()[0].ID})), schemas.ErrorNotAllowed, "not shared")
	g.Refuses("start", second(contributor.Start(t.Context(), gateway.StartRequest{Definition: &e})), schemas.ErrorNotAllowed, "not shared")
	if _, err := admin.Answer(t.Context(), v.Run, gateway.AnswerRequest{Answer: schemas.UpdateAbort, Wait: v.Waits()[0].ID}); err != nil {
		t.Fatal(err)
	}
	if v, err := admin.Watch(t.Context(), v.Run, true, nil); err != nil || v.State != schemas.StateAborted {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestAnotherRequestIsRefused tries what is not in the API: fields that a run has, and
// bodies, paths and tokens of every kind.
func TestAnotherRequestIsRefused(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	token := "Bearer " + g.Provider.Token("the contributor", schemas.RoleContributor)
	ask := func(method, path, authorization, body string, headers ...string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, g.API+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", authorization)
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		if kind := answer.Header.Get("Content-Type"); answer.StatusCode >= 400 && answer.StatusCode != http.StatusForbidden && kind != "application/problem+json" {
			t.Errorf("%s %s answers %d as %s: %s", method, path, answer.StatusCode, kind, text)
		}
		return answer.StatusCode, string(text)
	}
	definition := jsonOf(t, g.Over("A", "sandbox"))
	if p, err := g.As(schemas.RoleContributor).Apply(t.Context(), gateway.PlanRequest{File: schemas.Exports{Exports: []schemas.Export{g.Over("Other", "sandbox")}}}); err != nil || p.Failed > 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	for name, c := range map[string]struct {
		method, path, authorization, body string
		want                              int
	}{
		"who started it":      {"POST", "/v1/runs", token, `{"definition":` + definition + `,"trigger":{"kind":"person","who":"the owner"}}`, 400},
		"a grant":             {"POST", "/v1/runs", token, `{"definition":` + definition + `,"grant":{"person":{"role":"administrator"}}}`, 400},
		"a run's id":          {"POST", "/v1/runs", token, `{"definition":` + definition + `,"runId":"x"}`, 400},
		"no export":           {"POST", "/v1/runs", token, `{}`, 400},
		"a damaged body":      {"POST", "/v1/runs", token, `{`, 400},
		"two bodies":          {"POST", "/v1/runs", token, `{"export":"x"}{"export":"A"}`, 400},
		"a very long name":    {"GET", "/v1/exports/" + strings.Repeat("x", 5000), token, "", 404},
		"another verb":        {"POST", "/v1/exports/Other/schedule", token, `{"do":"trigger"}`, 400},
		"too large a body":    {"POST", "/v1/runs", token, `{"export":"` + strings.Repeat("x", 2<<20) + `"}`, 400},
		"another answer":      {"POST", "/v1/runs/x/answers?export=A", token, `{"answer":"progress","wait":"x"}`, 404},
		"no token":            {"GET", "/v1/me", "", "", 401},
		"no bearer":           {"GET", "/v1/me", "Basic eDp5", "", 401},
		"a wrong token":       {"GET", "/v1/me", "Bearer x.y.z", "", 401},
		"another method":      {"PATCH", "/v1/exports", token, "", 404},
		"another path":        {"GET", "/v1/secrets", token, "", 404},
		"dots":                {"GET", "/v1/exports/..%2f..%2fme", token, "", 404},
		"no connection":       {"POST", "/v1/runs", token, `{"definition":` + strings.Replace(definition, "sandbox", "nowhere", 1) + `}`, 403},
		"no such export":      {"GET", "/v1/exports/x", token, "", 404},
		"a negative number":   {"GET", "/v1/runs?limit=-1", token, "", 400},
		"an export with a /":  {"POST", "/v1/runs", token, `{"definition":` + strings.Replace(definition, `"A"`, `"A/B"`, 1) + `}`, 422},
		"a control character": {"POST", "/v1/runs", token, `{"definition":` + strings.Replace(definition, `"A"`, `"A\u001b[2J"`, 1) + `}`, 422},
	} {
		if got, text := ask(c.method, c.path, c.authorization, c.body); got != c.want {
			t.Errorf("%s: %d, want %d: %s", name, got, c.want, text)
		}
	}
	if got, text := ask("POST", "/v1/runs", token, `{"export":"x"}`, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); got != http.StatusForbidden {
		t.Errorf("another site's page: %d, %s", got, text)
	}
}

// TestAStartCanBeRepeated with the same key, by the same person, for the same thing.
func TestAStartCanBeRepeated(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	g.People("Once", 1, 10, 1)
	e := g.Of("Once")
	contributor, admin := g.As(schemas.RoleContributor), g.As(schemas.RoleAdministrator)
	in := gateway.StartRequest{Definition: &e, Key: "one"}
	first := g.Through(contributor, in)
	g.Done(first)
	again, err := contributor.Start(t.Context(), in)
	if err != nil || again.RunID != first.Run.RunID || again.Joined {
		t.Errorf("%+v, %v, want run %s", again, err, first.Run.RunID)
	}
	in.Full = true
	g.Refuses("the key for another thing", second(contributor.Start(t.Context(), in)), schemas.ErrorBadRequest, "idempotency key")
	if other := g.Through(admin, gateway.StartRequest{Definition: &e, Key: "one"}); other.Run.RunID == first.Run.RunID {
		t.Error("another person's key")
	}
	// The key is good although another run has begun and ended since.
	in.Full = false
	g.Until("the first run is listed", func() bool {
		all, err := admin.Runs(t.Context(), gateway.RunsRequest{Export: "Once", Limit: 10})
		return err == nil && len(all) == 2
	})
	if again, err := contributor.Start(t.Context(), in); err != nil || again.RunID != first.Run.RunID {
		t.Errorf("%+v, %v, want run %s", again, err, first.Run.RunID)
	}
	in.Full = true
	g.Refuses("the key for another thing, later", second(contributor.Start(t.Context(), in)), schemas.ErrorBadRequest, "idempotency key")
}

// TestOnePersonsPaceIsBounded, and holds up nobody else.
func TestOnePersonsPaceIsBounded(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	slow := httptest.NewServer(gateway.NewHandler(gateway.Options{
		Office: g.Host.Office(), Tokens: g.Provider.Tokens(), PerSecond: 0.0001, Burst: 3, Log: slog.New(slog.DiscardHandler),
	}))
	t.Cleanup(slow.Close)
	get := func(who string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, slow.URL+"/v1/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+g.Provider.Token(who, schemas.RoleViewer))
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusTooManyRequests && answer.Header.Get("Retry-After") == "" {
			t.Error("it does not say when to try again")
		}
		return answer.StatusCode
	}
	for i, want := range []int{200, 200, 200, 429, 429} {
		if got := get("ann"); got != want {
			t.Errorf("request %d: %d, want %d", i, got, want)
		}
	}
	if got := get("bob"); got != http.StatusOK {
		t.Errorf("another person: %d", got)
	}
}

// TestCostlyRequestsHoldUpNobody: while keys are tried at an Iterable that does not
// answer, runs are let in and people are answered.
func TestCostlyRequestsHoldUpNobody(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	g.People("Quick", 1, 10, 1)
	admin := g.As(schemas.RoleAdministrator)
	hung := make(chan struct{}, 100)
	release := make(chan struct{})
	stuck := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hung <- struct{}{}; <-release }))
	t.Cleanup(stuck.Close)
	t.Cleanup(func() { close(release) })
	g.Others += g.Connection("stuck", stuck.URL, "{}")
	g.WriteConnections("{}")
	g.Until("the worker has read the file", func() bool {
		all, err := admin.Connections(t.Context())
		return err == nil && len(all.Connections) == 3
	})
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	for i := range 4 { // two of each of two administrators
		token := g.Provider.Token(fmt.Sprint("administrator ", i%2), schemas.RoleAdministrator)
		c, err := remote.New(g.API, func(context.Context) (string, error) { return token, nil })
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = c.CheckConnection(ctx, "stuck") }()
		select { // those that begin together may share a request
		case <-hung:
		case <-time.After(world.Patience):
			t.Fatal("the check does not ask Iterable")
		}
	}
	_, err := admin.CheckConnection(t.Context(), "sandbox")
	if err == nil || !strings.Contains(err.Error(), "wait a moment") {
		t.Errorf("a fifth one: %v", err)
	}
	e := g.Of("Quick")
	g.Done(g.Through(admin, gateway.StartRequest{Definition: &e}))
}

// nothingInHistories reads every history as bytes, and finds no token, no secret and
// no key in it.
func nothingInHistories(g world.Guarded) {
	t := g.T
	secrets := []string{accesstest.Secret, sandbox.DefaultKey, "eyJ"} // what every token begins with
	histories := 0
	var page []byte
	for {
		list, err := g.Client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Namespace: "default", NextPageToken: page})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list.Executions {
			histories++
			events := g.Client.GetWorkflowHistory(t.Context(), e.Execution.WorkflowId, e.Execution.RunId, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
			for events.HasNext() {
				event, err := events.Next()
				if err != nil {
					t.Fatal(err)
				}
				data, err := proto.Marshal(event)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range secrets {
					if bytes.Contains(data, []byte(s)) {
						t.Fatalf("%s of %s tells a secret", event.EventType, e.Execution.WorkflowId)
					}
				}
			}
		}
		if page = list.NextPageToken; len(page) == 0 {
			break
		}
	}
	if histories < 2 {
		t.Errorf("looked into %d histories only", histories)
	}
}

// TestSourcesThatAreNotAllowed has a contributor with a good grant try to read what
// the connection does not allow, in every way there is to write it.
func TestSourcesThatAreNotAllowed(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	g.Generated(10)
	outside := filepath.Join(g.Dir, "private")
	if err := os.CopyFS(outside, os.DirFS(g.Path("segments"))); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(g.Path("segments/in"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, g.Path("segments/in/link")); err != nil {
		t.Fatal(err)
	}
	contributor := g.As(schemas.RoleContributor)
	for name, source := range map[string]string{
		"absolute path":      outside,
		"dots":               g.Path("segments") + "/../private",
		"dots in a pattern":  g.Path("segments") + "/*/../../private/*.parquet",
		"symbolic link":      g.Path("segments/in/link"),
		"pattern over links": g.Path("segments") + "/**/*.parquet",
		"encoded dots":       "file://" + g.Path("segments") + "/%2e%2e/private",
		"encoded slash":      "file://" + g.Path("segments") + "%2f..%2fprivate",
		"prefix of a name":   g.Path("segments") + "-not",
		"data root":          g.Path("data"),
		"bucket":             "s3://private/segment",
	} {
		t.Run(name, func(t *testing.T) {
			g := g
			g.World = g.In(t)
			e := g.Over(name, "sandbox")
			e.Segments[0].Source = source
			v := g.Through(contributor, gateway.StartRequest{Definition: &e})
			if w := g.Waiting(v); w.Type != schemas.ErrorSourceNotAllowed || !strings.Contains(w.Message, "allowedSources") {
				t.Errorf("%+v", w)
			}
			if _, err := contributor.Answer(t.Context(), v.Run, gateway.AnswerRequest{Answer: schemas.UpdateAbort, Wait: v.Waits()[0].ID}); err != nil {
				t.Error(err)
			}
		})
	}
	if n := g.Requests("lists/subscribe"); n != 0 {
		t.Errorf("%d requests", n)
	}
}
