package access

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"iterable-segment-export/internal/devstack"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// The attacks of those who have a token, and of those who may read Temporal. What holds
// off each is in the table of docs/security.md.

// shrunk runs an export over the administrators' connection to its end, and once more
// with fewer people, so that a guardrail has it wait with people's data staged.
func shrunk(g world.Guarded, name string) operate.View {
	g.T.Helper()
	admin := g.As(schemas.RoleAdministrator)
	e := g.Of(name)
	e.Connection = "owners"
	g.People(name, 1, 50, 1)
	g.Done(g.Through(admin, gateway.StartRequest{Definition: &e}))
	g.People(name, 1, 5, 1)
	v := g.Through(admin, gateway.StartRequest{Definition: &e})
	g.WaitsWith(v, schemas.ErrorGuardrail)
	return v
}

// members are how many are on the lists of a sandbox.
func members(s *sandbox.Server) (n int) {
	for _, l := range s.Stats(true).Lists {
		n += l.Size
	}
	return n
}

// TestAGrantOfTheSameNameReachesNothing: a contributor has an export of the name of an
// administrators' one, and knows the ID of its waiting run. Neither do its people reach the
// contributor's project, nor the contributor's rows its list.
func TestAGrantOfTheSameNameReachesNothing(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	waiting := shrunk(g, "Payroll")
	contributor := g.As(schemas.RoleContributor)
	mine := g.Of("Payroll")
	for _, in := range []gateway.StartRequest{{Definition: &mine}, {Definition: &mine, Full: true}, {Definition: &mine, Check: true}} {
		g.Refuses("run it over my connection", second(contributor.Start(t.Context(), in)), schemas.ErrorNameTaken, "owners")
	}
	// An own run that is called as the other's: its ID in a request is not part of the API.
	other := g.Of("Payroll")
	other.Name = "Mine"
	v := g.Through(contributor, gateway.StartRequest{Definition: &other})
	g.Done(v)
	for _, forged := range []operate.Run{
		{Export: "Mine", WorkflowID: schemas.RunWorkflowID("Mine"), RunID: waiting.Run.RunID},
		{Export: "Payroll/Payroll", RunID: waiting.Run.RunID},
		{Export: "Payroll%2FPayroll", RunID: waiting.Run.RunID},
		{Export: "../Payroll", RunID: waiting.Run.RunID},
		{Export: "Payroll", RunID: v.Run.RunID},
	} {
		if err := second(contributor.Report(t.Context(), forged)); !errors.Is(err, operate.ErrNoRun) {
			t.Errorf("the report of %+v: %v", forged, err)
		}
		if err := second(contributor.Answer(t.Context(), forged, gateway.AnswerRequest{Answer: schemas.UpdateApprove, Wait: waiting.Waits()[0].ID})); !errors.Is(err, operate.ErrNoRun) {
			t.Errorf("an answer to %+v: %v", forged, err)
		}
	}
	// The reverse: rows of mine into their list, by its id and by its name.
	list := g.Owners.Stats(true).Lists[0].ID
	other.Name, other.Segments[0].ListID = "By id", list
	byID := g.Through(contributor, gateway.StartRequest{Definition: &other})
	if byID.State == schemas.StateDone {
		t.Errorf("%+v", byID)
	}
	if n := members(g.Owners); n != 50 {
		t.Errorf("their list has %d members, and had 50", n)
	}
	if n := members(g.Sandbox); n != 5 {
		t.Errorf("my project has %d members; 5 are mine", n)
	}
	if _, err := g.As(schemas.RoleAdministrator).Answer(t.Context(), waiting.Run, gateway.AnswerRequest{Answer: schemas.UpdateAbort, Wait: waiting.Waits()[0].ID}); err != nil {
		t.Errorf("their run does not wait any more: %v", err)
	}
}

// TestASegmentCopiedFromHistorySendsNobody: an export ran, and then its connection was
// shared no more, its consent withdrawn, or it was removed. Its segment's input is read in
// Temporal, and started again as it is.
func TestASegmentCopiedFromHistorySendsNobody(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	admin, contributor := g.As(schemas.RoleAdministrator), g.As(schemas.RoleContributor)
	for name, forbid := range map[string]func(export string){
		"Unshared": func(string) {
			g.Allow("administrators")
			g.Until("the worker has read the file", func() bool {
				all, err := contributor.Connections(t.Context())
				return err == nil && len(all.Connections) == 0
			})
		},
		"Withdrawn": func(string) {
			if _, err := admin.Disconnect(t.Context(), "sandbox", gateway.DisconnectRequest{Detach: true}); err != nil {
				t.Fatal(err)
			}
		},
		"Removed": func(export string) {
			if _, err := admin.Remove(t.Context(), export, gateway.RemoveRequest{}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		g.Allow("administrators, contributors")
		if _, err := admin.Connect(t.Context(), "sandbox", gateway.ConnectRequest{Statement: schemas.ConsentStatementSHA256()}); err != nil {
			t.Fatal(err)
		}
		g.Until("it is shared", func() bool {
			all, err := contributor.Connections(t.Context())
			return err == nil && len(all.Connections) == 1
		})
		g.People(name, 1, 10, 1)
		e := g.Of(name)
		g.Done(g.Through(contributor, gateway.StartRequest{Definition: &e}))
		events := g.Client.GetWorkflowHistory(t.Context(), schemas.SegmentWorkflowID(name, name), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		first, err := events.Next()
		if err != nil {
			t.Fatal(err)
		}
		var in schemas.SegmentInput
		if err := converter.GetDefaultDataConverter().FromPayloads(first.GetWorkflowExecutionStartedEventAttributes().Input, &in); err != nil {
			t.Fatal(err)
		}
		in.Full = false
		forbid(name)
		sent := g.Requests("lists/subscribe")
		// Who has a token or the UI has no way to start it; this takes the third kind.
		run, err := g.Client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "copied/" + name, TaskQueue: schemas.TaskQueue}, schemas.WorkflowExportSegment, in)
		if err != nil {
			t.Fatal(err)
		}
		refused := ""
		g.Until("it is refused", func() bool {
			var p schemas.Progress
			d, err := g.Client.DescribeWorkflowExecution(t.Context(), run.GetID(), "")
			if err == nil && d.WorkflowExecutionInfo.CloseTime != nil {
				err = run.Get(t.Context(), nil)
				refused = fmt.Sprint(err)
				return true
			}
			value, err := g.Client.QueryWorkflow(t.Context(), run.GetID(), "", schemas.QueryProgress)
			if err == nil && value.Get(&p) == nil && p.Waiting != nil {
				refused = p.Waiting.Type + p.Waiting.Message
			}
			return refused != ""
		})
		if !regexp.MustCompile("Grant|NotAllowed|NoConnection|was not admitted|revoked").MatchString(refused) {
			t.Errorf("%s: %s", name, refused)
		}
		if n := g.Requests("lists/subscribe"); n != sent {
			t.Errorf("%s: %d requests", name, n-sent)
		}
		_ = g.Client.TerminateWorkflow(t.Context(), run.GetID(), "", "the test is over")
	}
}

// TestSendingStopsOnceItMayNoMore: a run is in the middle of what it sends when its
// connection is shared no more, or the consent is withdrawn.
func TestSendingStopsOnceItMayNoMore(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	admin, contributor := g.As(schemas.RoleAdministrator), g.As(schemas.RoleContributor)
	const people, each = 3000, 10
	// At 4 a second, 10 requests are made between two looks. More are for a machine that is so
	// busy that looks are late.
	const most = 40
	g.Others += g.Connection("spare", g.URL, "{}")
	g.WriteConnections(fmt.Sprintf("{requestsPerSecond: 4, subscribersPerRequest: %d}", each))
	g.Until("the worker has read the file", func() bool {
		all, err := admin.Connections(t.Context())
		return err == nil && len(all.Connections) == 3
	})
	g.People("Long", 1, people, 1)
	e := g.Of("Long")
	started, err := contributor.Start(t.Context(), gateway.StartRequest{Definition: &e})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind          schemas.ErrorType
		forbid, allow func()
	}{
		{schemas.ErrorNotAllowed, func() { g.Allow("administrators") }, func() { g.Allow("administrators, contributors") }},
		{schemas.ErrorNoConnection, func() {
			if _, err := admin.Disconnect(t.Context(), "sandbox", gateway.DisconnectRequest{Detach: true}); err != nil {
				t.Fatal(err)
			}
		}, func() {}},
	} {
		before := g.Requests("lists/subscribe")
		g.Until("something is sent", func() bool { return g.Requests("lists/subscribe") > before })
		c.forbid()
		sent := g.Requests("lists/subscribe")
		ctx, cancel := context.WithTimeout(t.Context(), world.Patience)
		defer cancel()
		v, err := admin.Watch(ctx, started.Run, true, nil)
		if err != nil {
			t.Fatal(err)
		}
		g.WaitsWith(v, c.kind)
		if n := g.Requests("lists/subscribe") - sent; n > most {
			t.Errorf("%d requests after it was forbidden, want at most %d", n, most)
		}
		wait := v.Waits()[0].ID
		c.allow()
		answer := schemas.UpdateRetry
		if c.kind == schemas.ErrorNoConnection {
			answer = schemas.UpdateAbort
		}
		g.Until("the answer is taken", func() bool {
			return second(contributor.Answer(t.Context(), started.Run, gateway.AnswerRequest{Answer: answer, Wait: wait})) == nil
		})
	}
}

// TestNothingTellsWhichConnectionsThereAre: a contributor gets the same answer for a
// connection that is not shared as for one that there is not.
func TestNothingTellsWhichConnectionsThereAre(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	contributor := g.As(schemas.RoleContributor)
	said := map[string]string{}
	for _, connection := range []string{"owners", "owner", "nowhere"} {
		e := g.Over("A", connection)
		err := second(contributor.Start(t.Context(), gateway.StartRequest{Definition: &e}))
		g.Refuses("start", err, schemas.ErrorNotAllowed, connection)
		p, err := contributor.Apply(t.Context(), gateway.PlanRequest{File: schemas.Exports{Exports: []schemas.Export{e}}})
		if err != nil || p.Failed != 1 {
			t.Errorf("%+v, %v", p, err)
		}
		said[connection] = strings.ReplaceAll(p.Steps[0].Error, connection, "NAME")
	}
	if said["owners"] != said["owner"] || said["owners"] != said["nowhere"] {
		t.Errorf("the answers differ: %q", said)
	}
	// An export of mine, one of theirs, and one that there is not, to each of them.
	clear(said)
	admin := g.As(schemas.RoleAdministrator)
	theirs := g.Over("Theirs", "owners")
	if p, err := admin.Apply(t.Context(), gateway.PlanRequest{File: schemas.Exports{Exports: []schemas.Export{g.Of("Mine"), theirs}}}); err != nil || p.Failed > 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, export := range []string{"Mine", "Theirs", "None"} {
		for _, connection := range []string{"owners", "owner", "nowhere"} {
			err := second(contributor.Move(t.Context(), export, gateway.MoveRequest{Connection: connection}))
			g.Refuses("move", err, schemas.ErrorNotAllowed, connection)
			said[strings.ReplaceAll(err.Error(), connection, "NAME")] = export
		}
	}
	if len(said) != 1 {
		t.Errorf("the answers to a move differ: %q", said)
	}
	g.Refuses("move theirs here", second(contributor.Move(t.Context(), "Theirs", gateway.MoveRequest{Connection: "sandbox"})), schemas.ErrorNotAllowed, "owners")
	// A start that is refused takes no name.
	refused := g.Over("Clash", "owners")
	g.Refuses("start over another connection", second(contributor.Start(t.Context(), gateway.StartRequest{Definition: &refused})), schemas.ErrorNotAllowed, "not shared")
	e := g.Over("Clash", "sandbox")
	if p, err := admin.Apply(t.Context(), gateway.PlanRequest{File: schemas.Exports{Exports: []schemas.Export{g.Of("Mine"), theirs, e}}}); err != nil || p.Failed > 0 {
		t.Errorf("the name was taken by what was refused: %+v, %v", p, err)
	}
}

// TestOnlyAdministratorsHandOverListsOfOtherConnections: a contributor neither takes the
// list of an administrators' export in the same project, nor approves that an
// administrator's run does.
func TestOnlyAdministratorsHandOverListsOfOtherConnections(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	admin, contributor := g.As(schemas.RoleAdministrator), g.As(schemas.RoleContributor)
	g.Others += strings.Replace(g.Connection("spare", g.URL, "{}"), "administrators, contributors", "administrators", 1)
	g.WriteConnections("{requestsPerSecond: 1000}")
	g.Until("the worker has read the file", func() bool {
		all, err := admin.Connections(t.Context())
		return err == nil && len(all.Connections) == 3
	})
	g.People("VIP", 1, 10, 1)
	theirs, mine, shared := g.Of("Theirs"), g.Of("Mine"), g.Of("Shared")
	theirs.Connection = "spare"
	for _, e := range []*schemas.Export{&theirs, &mine, &shared} {
		e.Segments = g.Of("VIP").Segments
	}
	g.Done(g.Through(admin, gateway.StartRequest{Definition: &theirs}))
	v := g.Through(contributor, gateway.StartRequest{Definition: &mine})
	g.WaitsWith(v, schemas.ErrorNotAllowed)
	v = g.Through(admin, gateway.StartRequest{Definition: &shared})
	g.WaitsWith(v, schemas.ErrorListForeign)
	approve := gateway.AnswerRequest{Answer: schemas.UpdateApprove, Wait: v.Waits()[0].ID}
	g.Refuses("approve", second(contributor.Answer(t.Context(), v.Run, approve)), schemas.ErrorNotAllowed, "only an administrator")
	if _, err := admin.Answer(t.Context(), v.Run, approve); err != nil {
		t.Error(err)
	}
}

// TestAContributorDoesNotApproveADoubtfulSuppressionList, which administrators own: one that has lost
// most of its entries. Whoever may use the connection has the list read again.
func TestAContributorDoesNotApproveADoubtfulSuppressionList(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	admin, contributor := g.As(schemas.RoleAdministrator), g.As(schemas.RoleContributor)
	g.Others += g.Connection("careful", g.URL, "{}") + "    suppress: [{name: Complaints, source: segments/Never, email: email}]\n"
	g.WriteConnections("{}")
	g.Until("the worker has read the file", func() bool {
		all, err := admin.Connections(t.Context())
		return err == nil && len(all.Connections) == 3
	})
	g.People("VIP", 1, 10, 1)
	g.People("Never", 901, 910, 1)
	e := g.Of("VIP")
	e.Connection = "careful"
	g.Done(g.Through(contributor, gateway.StartRequest{Definition: &e}))
	g.People("Never", 901, 901, 1)
	v := g.Through(contributor, gateway.StartRequest{Definition: &e})
	g.WaitsWith(v, schemas.ErrorSuppressionDoubtful, "has 1 entries")
	answer := func(s gateway.Service, answer string) error {
		return second(s.Answer(t.Context(), v.Run, gateway.AnswerRequest{Answer: answer, Wait: v.Waits()[0].ID}))
	}
	g.Refuses("approve", answer(contributor, schemas.UpdateApprove), schemas.ErrorNotAllowed, "only an administrator")
	if err := answer(contributor, schemas.UpdateRetry); err != nil {
		t.Fatal(err)
	}
	first := v.Waits()[0].ID
	g.Until("the run waits again", func() bool {
		again, err := contributor.Look(t.Context(), v.Run)
		if err != nil || len(again.Waits()) != 1 || again.Waits()[0].ID == first {
			return false
		}
		v = again
		return true
	})
	g.Refuses("approve", answer(contributor, schemas.UpdateApprove), schemas.ErrorNotAllowed, "only an administrator")
	if err := answer(admin, schemas.UpdateApprove); err != nil {
		t.Error(err)
	}
}

// TestTroubleInsideIsNotTold to those who don't administer the gateway: it names folders
// and hosts.
func TestTroubleInsideIsNotTold(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	g.People("A", 1, 3, 1)
	e := g.Of("A")
	v := g.Through(g.As(schemas.RoleContributor), gateway.StartRequest{Definition: &e})
	office := *g.Host.Office()
	office.Root = func(context.Context) (*storage.Root, error) {
		return nil, errors.New("open /srv/hidden: permission denied")
	}
	office.Temporal = "temporal.hidden:7233"
	var log bytes.Buffer
	office.Log = slog.New(slog.NewTextHandler(&log, nil))
	server := httptest.NewServer(gateway.NewHandler(gateway.Options{
		Office: &office, Tokens: g.Provider.Tokens(), PerSecond: 1000, Burst: 1000, Log: office.Log,
	}))
	t.Cleanup(server.Close)
	g.API = server.URL
	for role, told := range map[schemas.Role]bool{schemas.RoleContributor: false, schemas.RoleAdministrator: true} {
		err := second(g.As(role).Report(t.Context(), v.Run))
		if err == nil || strings.Contains(err.Error(), "/srv/hidden") != told {
			t.Errorf("a %s is told %v", role, err)
		}
		found, err := g.As(role).Doctor(t.Context())
		if text := jsonOf(t, found); err != nil || strings.Contains(text, "/srv/hidden") != told || strings.Contains(text, "temporal.hidden") != told {
			t.Errorf("a %s is told by the doctor %s, %v", role, text, err)
		}
	}
	server.Close()
	if strings.Count(log.String(), "/srv/hidden") != 4 {
		t.Errorf("the log says %s", log.String())
	}
}

// TestFollowingIsBounded: nobody keeps all connections of the gateway busy; and what
// follows one run tells of no other.
func TestFollowingIsBounded(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	waiting := shrunk(g, "Payroll")
	follow := func(role schemas.Role) (int, *bufio.Reader) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.API+"/v1/runs/"+waiting.Run.RunID+"/events?export=Payroll", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+g.Provider.Token("the "+role, role))
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		return answer.StatusCode, bufio.NewReader(answer.Body)
	}
	for i := range 11 {
		status, body := follow(schemas.RoleViewer)
		if want := map[bool]int{true: http.StatusOK, false: http.StatusTooManyRequests}[i < 10]; status != want {
			t.Fatalf("stream %d: %d, want %d", i, status, want)
		}
		if line, err := body.ReadString('\n'); i < 10 && (err != nil || !strings.HasPrefix(line, "event: ")) {
			t.Fatalf("%q, %v", line, err)
		}
	}
	if status, _ := follow(schemas.RoleAdministrator); status != http.StatusOK {
		t.Errorf("another person: %d", status)
	}
	for _, other := range []string{"Payrol", "Payroll/Payroll", ""} {
		err := second(g.As(schemas.RoleContributor).Watch(t.Context(), operate.Run{Export: other, RunID: waiting.Run.RunID + "0"}, true, nil))
		if !errors.Is(err, operate.ErrNoRun) {
			t.Errorf("following %q: %v", other, err)
		}
	}
}

// TestNoRequestHidesInAnother sends what proxies and servers have disagreed about, with a
// second request inside of it. Exactly one is answered.
func TestNoRequestHidesInAnother(t *testing.T) {
	t.Parallel()
	g := world.NewGuarded(t)
	auth := "Authorization: Bearer " + g.Provider.Token("the viewer", schemas.RoleViewer) + "\r\n"
	const hidden = "GET /v1/names HTTP/1.1\r\nHost: x\r\n%s\r\n"
	second := fmt.Sprintf(hidden, auth)
	for name, request := range map[string]string{
		"two lengths":              "POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: " + fmt.Sprint(len(second)) + "\r\n\r\n" + second,
		"a length and chunks":      "POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second,
		"two encodings":            "POST /v1/runs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + second,
		"an odd encoding":          "POST /v1/runs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n" + second,
		"a space before the colon": "POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length : " + fmt.Sprint(len(second)) + "\r\n\r\n" + second,
		"a huge body":              "POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + strings.Repeat("x", 2_999_999-len(second)) + "\n" + second,
		"a huge body for a GET":    "GET /v1/me HTTP/1.1\r\nHost: x\r\n" + auth + "Content-Length: 3000000\r\n\r\n" + strings.Repeat("x", 2_999_999-len(second)) + "\n" + second,
		"two hosts":                "GET /v1/me HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + second,
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(g.API, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(world.Patience))
		go func() { // it may not want all of it
			_, _ = io.WriteString(c, request)
			_ = c.(*net.TCPConn).CloseWrite()
		}()
		answers, names := 0, 0
		for r := bufio.NewReader(c); ; answers++ {
			answer, err := http.ReadResponse(r, nil)
			if err != nil {
				break
			}
			body, _ := io.ReadAll(answer.Body)
			if answer.StatusCode == http.StatusOK && bytes.HasPrefix(body, []byte("[")) {
				names++
			}
			if answer.Close {
				answers++
				break
			}
		}
		c.Close()
		if answers != 1 || names != 0 {
			t.Errorf("%s: %d answers, %d of them to what was hidden", name, answers, names)
		}
	}
}

// TestWhoMayReadTemporalChangesNothing: the UI of the examples has its write actions
// disabled, and its server refuses what a page would not offer.
func TestWhoMayReadTemporalChangesNothing(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, false)
	w.StartTemporalWith(devstack.Options{FrontendAddr: "127.0.0.1:0", UIAddr: "127.0.0.1:0", UIReadOnly: true})
	w.StartHost()
	w.People("Waiting", 1, 0, 1)
	v := w.Run(w.Of("Waiting"))
	w.WaitsWith(v, schemas.ErrorGuardrail)
	base := w.Stack.UIURL() + "/api/v1/namespaces/default"
	run := base + "/workflows/export%2FWaiting"
	var csrf *http.Cookie
	ask := func(method, url, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if csrf != nil {
			r.AddCookie(csrf)
			r.Header.Set("X-CSRF-TOKEN", csrf.Value)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		for _, c := range answer.Cookies() {
			if c.Name == "_csrf" {
				csrf = c
			}
		}
		text, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(text)
	}
	if status, text := ask("GET", run, ""); status != http.StatusOK || csrf == nil {
		t.Fatalf("it can't be looked at: %d, %s", status, text)
	}
	update := jsonOf(t, map[string]any{"request": map[string]any{"input": map[string]any{"name": schemas.UpdateApprove}}})
	for _, c := range []struct{ method, url, body string }{
		{"POST", run + "/cancel", "{}"},
		{"POST", run + "/terminate", "{}"},
		{"POST", run + "/reset", "{}"},
		{"POST", run + "/signal/x", "{}"},
		{"POST", run + "/update/" + schemas.UpdateApprove, update},
		{"POST", base + "/workflows/mine", `{"workflowType":{"name":"ExportSegment"},"taskQueue":{"name":"segment-export"}}`},
		{"POST", base + "/workflows/query/terminate", "{}"},
		{"POST", base + "/schedules/export%2FWaiting", "{}"},
		{"POST", base + "/schedules/export%2FWaiting/patch", `{"patch":{"triggerImmediately":{}}}`},
		{"POST", base + "/schedules/export%2FWaiting/update", "{}"},
		{"DELETE", base + "/schedules/export%2FWaiting", ""},
		{"POST", base + "/batch-operations/x", "{}"},
		{"POST", w.Stack.UIURL() + "/api/v1/namespaces", `{"namespace":"mine"}`},
	} {
		if status, text := ask(c.method, c.url, c.body); status != http.StatusMethodNotAllowed && status != http.StatusNotFound {
			t.Errorf("%s %s: %d, %s", c.method, c.url, status, text)
		}
	}
	again, err := w.Operator.Look(t.Context(), v.Run)
	if err != nil || again.State != schemas.StateWaiting || again.Waits()[0].ID != v.Waits()[0].ID {
		t.Errorf("%+v, %v", again, err)
	}
}
