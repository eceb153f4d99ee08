package gateway

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/doctor"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/people"
	"iterable-segment-export/internal/report"
	"iterable-segment-export/schemas"
)

// route is an operation of the API.
type route struct {
	// name is the operation's ID, pattern its method and path.
	name, pattern, summary string
	// least is the lowest role that may call it. over reports whether the caller must also
	// be allowed to use the connection concerned, which the Local checks.
	least schemas.Role
	over  bool
	// commands are the starter's commands that need it, separated by ", ".
	commands string
	// query and header are its parameters besides those in the path.
	query, header []string
	// in and out are values of the types of its bodies, nil if it has none. kind is the
	// media type of out if that is not JSON.
	in, out any
	kind    string
	// status is that of an answer without a problem; 0 is 200.
	status int
	// costly operations are slow; only a few run at a time.
	costly bool
	// within bounds a request; 0 is answerTime.
	within time.Duration
	// looks, where it is not 0, is how many of what the parameter limit asks for count as
	// one request of a person's pace.
	looks int
	serve func(l *Local, w http.ResponseWriter, r *http.Request) error
}

// answers serves a route without a request body.
func answers[Out any](do func(l *Local, r *http.Request) (Out, error)) func(*Local, http.ResponseWriter, *http.Request) error {
	return func(l *Local, w http.ResponseWriter, r *http.Request) error {
		out, err := do(l, r)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, out)
	}
}

// asks serves a route with a request body. It refuses unknown fields, which would
// otherwise be ignored silently.
func asks[In, Out any](do func(l *Local, r *http.Request, in In) (Out, error)) func(*Local, http.ResponseWriter, *http.Request) error {
	return func(l *Local, w http.ResponseWriter, r *http.Request) error {
		var in In
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		d.DisallowUnknownFields()
		err := d.Decode(&in)
		if err == nil && d.More() {
			err = errors.New("more than one value")
		}
		if err != nil {
			return access.No(schemas.ErrorBadRequest, "the request body is not valid for this operation (is the starter another version?): %v", err)
		}
		out, err := do(l, r, in)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, out)
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data)
	return nil
}

// flag reads a boolean query parameter.
func flag(r *http.Request, name string) bool { return r.URL.Query().Get(name) == "true" }

func number(r *http.Request, name string, otherwise int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, access.No(schemas.ErrorBadRequest, "invalid %s %q: write a whole number from 0", name, text)
	}
	return n, nil
}

// runOf returns the run that a path names. With the name of its export it need not search.
func runOf(l *Local, r *http.Request) (operate.Run, error) {
	id, export := r.PathValue("run"), r.URL.Query().Get("export")
	if export == "" {
		return l.Find(r.Context(), id)
	}
	run := operate.Run{Export: export, WorkflowID: schemas.RunWorkflowID(export), RunID: id}
	if flag(r, "check") {
		run.WorkflowID = schemas.CheckWorkflowID(export)
	}
	return run, nil
}

// onRun serves a route of one run.
func onRun[Out any](do func(l *Local, r *http.Request, run operate.Run) (Out, error)) func(*Local, http.ResponseWriter, *http.Request) error {
	return answers(func(l *Local, r *http.Request) (out Out, err error) {
		run, err := runOf(l, r)
		if err != nil {
			return out, err
		}
		return do(l, r, run)
	})
}

// idempotencyKey returns the idempotency key of a request, empty if it has none.
func idempotencyKey(r *http.Request) (string, error) {
	key := r.Header.Get("Idempotency-Key")
	if len(key) > maxKey {
		return "", access.No(schemas.ErrorBadRequest, "the Idempotency-Key has more than %d bytes", maxKey)
	}
	return key, nil
}

// mostRuns is the most runs that one request returns.
const mostRuns = 1000

// ofRun are the query parameters of every route of a run.
var ofRun = []string{"export", "check"}

// done is an empty response.
type done struct{}

// Took names the segment, or the run's export, that was answered.
type Took struct {
	Took string `json:"took"`
}

// routes are all operations. Only this table says which role may do what.
var routes = []route{
	{name: "me", pattern: "GET /v1/me", summary: "The caller's name and role", least: schemas.RoleViewer, commands: "whoami", out: Me{},
		serve: answers(func(l *Local, r *http.Request) (Me, error) { return l.Me(r.Context()) })},

	{name: "listExports", pattern: "GET /v1/exports", summary: "The applied exports", least: schemas.RoleViewer, commands: "exports", out: []operate.Applied{},
		serve: answers(func(l *Local, r *http.Request) ([]operate.Applied, error) { return list(l.Exports(r.Context())) })},
	{name: "listExportNames", pattern: "GET /v1/names", summary: "The names of the applied exports", least: schemas.RoleViewer, out: []string{},
		serve: answers(func(l *Local, r *http.Request) ([]string, error) { return list(l.Names(r.Context())) })},
	{name: "getExport", pattern: "GET /v1/exports/{export}", summary: "One applied export", least: schemas.RoleViewer, out: operate.Applied{},
		serve: answers(func(l *Local, r *http.Request) (operate.Applied, error) {
			return l.Export(r.Context(), r.PathValue("export"))
		})},
	{name: "planExports", pattern: "POST /v1/plans", summary: "What applying a file of exports would do", least: schemas.RoleContributor, in: PlanRequest{}, out: Plan{}, costly: true,
		serve: asks(func(l *Local, r *http.Request, in PlanRequest) (Plan, error) { return l.Plan(r.Context(), in) })},
	{name: "applyExports", pattern: "POST /v1/exports", summary: "Apply a file of exports", least: schemas.RoleContributor, over: true, commands: "apply", in: PlanRequest{}, out: Plan{}, costly: true,
		serve: asks(func(l *Local, r *http.Request, in PlanRequest) (Plan, error) { return l.Apply(r.Context(), in) })},
	{name: "removeExport", pattern: "DELETE /v1/exports/{export}", summary: "Remove an export and its data", least: schemas.RoleContributor, over: true, commands: "remove", query: []string{"deleteLists"}, out: schemas.RemoveAnswer{},
		serve: answers(func(l *Local, r *http.Request) (schemas.RemoveAnswer, error) {
			return l.Remove(r.Context(), r.PathValue("export"), RemoveRequest{DeleteLists: flag(r, "deleteLists")})
		})},
	{name: "moveExport", pattern: "POST /v1/exports/{export}/move", summary: "Move an export to another connection", least: schemas.RoleContributor, over: true, commands: "move", in: MoveRequest{}, out: schemas.NameRecord{},
		serve: asks(func(l *Local, r *http.Request, in MoveRequest) (schemas.NameRecord, error) {
			return l.Move(r.Context(), r.PathValue("export"), in)
		})},
	{name: "scheduleExport", pattern: "POST /v1/exports/{export}/schedule", summary: "Pause or resume the schedule of an export", least: schemas.RoleContributor, over: true, commands: "pause, resume", in: ScheduleRequest{}, out: done{},
		serve: asks(func(l *Local, r *http.Request, in ScheduleRequest) (done, error) {
			return done{}, l.Schedule(r.Context(), r.PathValue("export"), in)
		})},

	{name: "startRun", pattern: "POST /v1/runs", summary: "Start a run or a check, or join the one under way", least: schemas.RoleContributor, over: true, commands: "run, check", header: []string{"Idempotency-Key"}, in: StartRequest{}, out: Started{},
		serve: asks(func(l *Local, r *http.Request, in StartRequest) (Started, error) {
			var err error
			if in.Key, err = idempotencyKey(r); err != nil {
				return Started{}, err
			}
			return l.Start(r.Context(), in)
		})},
	{name: "triggerRun", pattern: "POST /v1/exports/{export}/runs", summary: "Start a run of an applied export that waits for its data. A signature by the Standard Webhooks specification can take the place of the token", least: schemas.RoleContributor, over: true, header: []string{"Idempotency-Key", "webhook-id", "webhook-timestamp", "webhook-signature"}, out: Started{}, status: http.StatusAccepted,
		serve: func(l *Local, w http.ResponseWriter, r *http.Request) error {
			key, err := idempotencyKey(r)
			if err != nil {
				return err
			}
			started, err := l.Start(r.Context(), StartRequest{Export: r.PathValue("export"), AwaitData: true, Key: key})
			if err != nil {
				return err
			}
			return writeJSON(w, http.StatusAccepted, started)
		}},
	{name: "listRuns", pattern: "GET /v1/runs", summary: "The newest runs", least: schemas.RoleViewer, commands: "runs", query: []string{"export", "limit", "underWay", "brief"}, out: []operate.View{}, looks: 20,
		serve: answers(func(l *Local, r *http.Request) ([]operate.View, error) {
			limit, err := number(r, "limit", 20)
			if err != nil {
				return nil, err
			}
			return list(l.Runs(r.Context(), RunsRequest{
				Export: r.URL.Query().Get("export"), Limit: min(cmp.Or(limit, 20), mostRuns), UnderWay: flag(r, "underWay"), Brief: flag(r, "brief"),
			}))
		})},
	{name: "getRun", pattern: "GET /v1/runs/{run}", summary: "The state of a run, by its ID or as the latest run of an export", least: schemas.RoleViewer, commands: "status", query: ofRun, out: operate.View{},
		serve: onRun(func(l *Local, r *http.Request, run operate.Run) (operate.View, error) {
			return l.Look(r.Context(), run)
		})},
	{name: "getRunInput", pattern: "GET /v1/runs/{run}/input", summary: "What a run was started with", least: schemas.RoleViewer, query: ofRun, out: schemas.RunInput{},
		serve: onRun(func(l *Local, r *http.Request, run operate.Run) (schemas.RunInput, error) {
			return l.Input(r.Context(), run)
		})},
	{name: "followRun", pattern: "GET /v1/runs/{run}/events", summary: "Follow a run by server-sent events until it has ended", least: schemas.RoleViewer, query: append([]string{"stopAtWait"}, ofRun...), out: "", kind: "text/event-stream",
		serve: follow},
	{name: "answerRun", pattern: "POST /v1/runs/{run}/answers", summary: "Answer a run that waits", least: schemas.RoleContributor, over: true, commands: "approve, retry, abort", query: ofRun, in: AnswerRequest{}, out: Took{},
		serve: asks(func(l *Local, r *http.Request, in AnswerRequest) (Took, error) {
			run, err := runOf(l, r)
			if err != nil {
				return Took{}, err
			}
			took, err := l.Answer(r.Context(), run, in)
			return Took{took}, err
		})},
	{name: "cancelRun", pattern: "POST /v1/runs/{run}/cancel", summary: "Ask a run to stop", least: schemas.RoleContributor, over: true, commands: "cancel", query: ofRun, out: done{},
		serve: onRun(func(l *Local, r *http.Request, run operate.Run) (done, error) {
			return done{}, l.Cancel(r.Context(), run)
		})},
	{name: "getRejects", pattern: "GET /v1/runs/{run}/rejects", summary: "The rows that a run did not send, one JSON object per line", least: schemas.RoleContributor, over: true, commands: "rejects", query: append([]string{"segment", "reason", "limit"}, ofRun...), out: Reject{}, kind: "application/x-ndjson", costly: true,
		serve: sendRejects},
	{name: "getRecord", pattern: "GET /v1/runs/{run}/record", summary: "What became of each row of a run's segment, as Parquet", least: schemas.RoleContributor, over: true, commands: "record", query: append([]string{"segment"}, ofRun...), out: "", kind: parquetType, costly: true,
		serve: sendRecord},
	{name: "getReport", pattern: "GET /v1/runs/{run}/report", summary: "A run's report as HTML", least: schemas.RoleContributor, over: true, commands: "report", query: ofRun, out: "", kind: "text/html; charset=utf-8",
		serve: sendReport},
	{name: "getOverview", pattern: "GET /v1/overview", summary: "The state of the exports over the connections that the caller may use, with the sizes of their lists", least: schemas.RoleContributor, out: report.Overview{}, costly: true,
		serve: answers(func(l *Local, r *http.Request) (report.Overview, error) { return l.Overview(r.Context()) })},
	{name: "getExamples", pattern: "GET /v1/runs/{run}/examples", summary: "The examples of a check, by segment", least: schemas.RoleContributor, over: true, query: ofRun, out: map[string]schemas.Examples{},
		serve: onRun(func(l *Local, r *http.Request, run operate.Run) (map[string]schemas.Examples, error) {
			return l.Examples(r.Context(), run)
		})},

	{name: "listConnections", pattern: "GET /v1/connections", summary: "The connections that the caller may see", least: schemas.RoleViewer, commands: "connections", out: Connections{},
		serve: answers(func(l *Local, r *http.Request) (Connections, error) { return l.Connections(r.Context()) })},
	{name: "checkConnection", pattern: "POST /v1/connections/{connection}/check", summary: "Try a connection's key", least: schemas.RoleAdministrator, out: schemas.ConnectionCheck{}, costly: true,
		serve: answers(func(l *Local, r *http.Request) (schemas.ConnectionCheck, error) {
			return l.CheckConnection(r.Context(), r.PathValue("connection"))
		})},
	{name: "connect", pattern: "PUT /v1/connections/{connection}/consent", summary: "Agree to the transfer over a connection", least: schemas.RoleAdministrator, commands: "connect", in: ConnectRequest{}, out: schemas.ConsentRecord{},
		serve: asks(func(l *Local, r *http.Request, in ConnectRequest) (schemas.ConsentRecord, error) {
			return l.Connect(r.Context(), r.PathValue("connection"), in)
		})},
	{name: "disconnect", pattern: "DELETE /v1/connections/{connection}/consent", summary: "Withdraw the consent to a connection", least: schemas.RoleAdministrator, commands: "disconnect", query: []string{"detach"}, out: Disconnected{},
		serve: answers(func(l *Local, r *http.Request) (Disconnected, error) {
			return l.Disconnect(r.Context(), r.PathValue("connection"), DisconnectRequest{Detach: flag(r, "detach")})
		})},

	{name: "findPerson", pattern: "POST /v1/people/find", summary: "On which lists a person is, and what became of them in past runs", least: schemas.RoleAdministrator, commands: "find", in: people.FindRequest{}, out: people.Found{}, costly: true, within: forgetTime,
		serve: asks(func(l *Local, r *http.Request, in people.FindRequest) (people.Found, error) {
			return l.FindPerson(r.Context(), in)
		})},
	{name: "forgetPerson", pattern: "POST /v1/people/forget", summary: "Remove a person from the data root", least: schemas.RoleAdministrator, commands: "find --forget", in: people.ForgetRequest{}, out: people.ForgetAnswer{}, costly: true, within: forgetTime,
		serve: asks(func(l *Local, r *http.Request, in people.ForgetRequest) (people.ForgetAnswer, error) {
			return l.ForgetPerson(r.Context(), in)
		})},

	{name: "audit", pattern: "GET /v1/audit", summary: "Who did what, since a time", least: schemas.RoleAdministrator, commands: "audit", query: []string{"since"}, out: []schemas.AuditEntry{}, costly: true,
		serve: answers(func(l *Local, r *http.Request) ([]schemas.AuditEntry, error) {
			since, err := time.Parse(time.RFC3339Nano, r.URL.Query().Get("since"))
			if err != nil {
				return nil, access.No(schemas.ErrorBadRequest, "since must be a time such as 2026-03-01T00:00:00Z")
			}
			return list(l.Audit(r.Context(), since))
		})},

	{name: "setup", pattern: "POST /v1/setup", summary: "Create the search attributes that the namespace lacks", least: schemas.RoleAdministrator, out: Setup{},
		serve: answers(func(l *Local, r *http.Request) (Setup, error) { return l.Setup(r.Context()) })},
	{name: "examine", pattern: "GET /v1/doctor", summary: "Whether everything that runs need is in place", least: schemas.RoleViewer, commands: "doctor", out: []doctor.Finding{}, costly: true,
		serve: answers(func(l *Local, r *http.Request) ([]doctor.Finding, error) { return l.Doctor(r.Context()) })},
}

// list makes JSON have [] instead of null.
func list[T any](all []T, err error) ([]T, error) {
	if all == nil {
		all = []T{}
	}
	return all, err
}

// sendReport serves a page that contains names from outside, so the browser may not run
// or load anything for it.
func sendReport(l *Local, w http.ResponseWriter, r *http.Request) error {
	run, err := runOf(l, r)
	if err != nil {
		return err
	}
	page, err := l.Report(r.Context(), run)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:")
	_, _ = w.Write(page)
	return nil
}

// sendRejects streams rows. If an error follows the first row, the last object has it.
func sendRejects(l *Local, w http.ResponseWriter, r *http.Request) error {
	run, err := runOf(l, r)
	if err != nil {
		return err
	}
	limit, err := number(r, "limit", 0)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	return l.stream(w, r, func(yield func(Reject) error) error {
		return l.Rejects(r.Context(), run, RejectsRequest{Segment: q.Get("segment"), Reason: q.Get("reason"), Limit: limit}, yield)
	})
}

// stream writes rows until the request's time is over.
func (l *Local) stream(w http.ResponseWriter, r *http.Request, rows func(yield func(Reject) error) error) error {
	out, began := json.NewEncoder(w), false
	err := rows(func(row Reject) error {
		if !began {
			w.Header().Set("Content-Type", "application/x-ndjson")
		}
		began = true
		if err := r.Context().Err(); err != nil { // the client reads slowly
			return err
		}
		return out.Encode(row)
	})
	switch {
	case err != nil && !began:
		return err
	case err != nil:
		_ = out.Encode(map[string]Problem{"problem": problemOf(err).forPerson(l.who)})
	case !began:
		w.Header().Set("Content-Type", "application/x-ndjson")
	}
	return nil
}

// follow serves a run's views as server-sent events: view and trouble while it is under
// way, and end with the last view.
func follow(l *Local, w http.ResponseWriter, r *http.Request) error {
	run, err := runOf(l, r)
	if err != nil {
		return err
	}
	if _, err := l.Look(r.Context(), run); errors.Is(err, operate.ErrNoRun) {
		return err
	}
	ctx := r.Context()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	to := http.NewResponseController(w)
	last := ""
	say := func(event string, v any) {
		data, err := json.Marshal(v)
		if text := event + string(data); err == nil && (text != last || event == "end") {
			last = text
			fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, data)
			_ = to.Flush()
		}
	}
	v, err := l.reader().Watch(ctx, run, followEvery, flag(r, "stopAtWait"), func(v operate.View, problem error) {
		if problem != nil {
			say("trouble", problemOf(problem).forPerson(l.who))
			return
		}
		say("view", v)
	})
	if err == nil {
		say("end", v)
	} else if ctx.Err() == nil {
		say("trouble", problemOf(err).forPerson(l.who))
	}
	return nil
}
