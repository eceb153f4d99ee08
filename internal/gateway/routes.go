package gateway

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/doctor"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// route is one operation of the API.
type route struct {
	// name is the operation's id, pattern its method and path.
	name, pattern, summary string
	// least is the role that it takes at least, and over whether it also takes the right to
	// use the connection that it is about, which the Local asks for.
	least schemas.Role
	over  bool
	// commands are the starter's that it decides about.
	commands string
	// query and header are its parameters beside those in the path.
	query, header []string
	// in and out are values of the types of its bodies, nil where it has none; kind is
	// the media type of out where that is not JSON.
	in, out any
	kind    string
	// costly operations take long; few of them are under way at a time.
	costly bool
	// looks, where it is not 0, is how many of what the parameter limit asks for count as
	// one request of a person's pace.
	looks int
	serve func(l *Local, w http.ResponseWriter, r *http.Request) error
}

// answers makes what serves a route without a body.
func answers[Out any](do func(l *Local, r *http.Request) (Out, error)) func(*Local, http.ResponseWriter, *http.Request) error {
	return func(l *Local, w http.ResponseWriter, r *http.Request) error {
		out, err := do(l, r)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, out)
	}
}

// asks makes what serves a route with a body. Fields that it does not have are refused:
// they would be left undone without a word.
func asks[In, Out any](do func(l *Local, r *http.Request, in In) (Out, error)) func(*Local, http.ResponseWriter, *http.Request) error {
	return func(l *Local, w http.ResponseWriter, r *http.Request) error {
		var in In
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		d.DisallowUnknownFields()
		err := d.Decode(&in)
		if err == nil && d.More() {
			err = errors.New("there is more than one value")
		}
		if err != nil {
			return access.No(schemas.ErrorBadRequest, "the body can't be read as JSON of this operation (is the starter of another version?): %v", err)
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

// flag reads a query parameter that is true or false.
func flag(r *http.Request, name string) bool { return r.URL.Query().Get(name) == "true" }

func number(r *http.Request, name string, otherwise int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, access.No(schemas.ErrorBadRequest, "%s=%q: write a number", name, text)
	}
	return n, nil
}

// runOf finds the run that a path names. With the name of its export no search is needed.
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

// onRun makes what serves a route of one run.
func onRun[Out any](do func(l *Local, r *http.Request, run operate.Run) (Out, error)) func(*Local, http.ResponseWriter, *http.Request) error {
	return answers(func(l *Local, r *http.Request) (out Out, err error) {
		run, err := runOf(l, r)
		if err != nil {
			return out, err
		}
		return do(l, r, run)
	})
}

// mostRuns is the most runs that one request lists.
const mostRuns = 1000

// ofRun are the parameters of every route of a run.
var ofRun = []string{"export", "check"}

// done is the answer where there is nothing to say.
type done struct{}

// Took names the segment, or the run's export, that took an answer.
type Took struct {
	Took string `json:"took"`
}

// routes are all operations. They are the one place that says which role may do what.
var routes = []route{
	{name: "me", pattern: "GET /v1/me", summary: "Whom the gateway takes the caller for", least: schemas.RoleViewer, commands: "whoami", out: Me{},
		serve: answers(func(l *Local, r *http.Request) (Me, error) { return l.Me(r.Context()) })},

	{name: "listExports", pattern: "GET /v1/exports", summary: "The exports that were applied", least: schemas.RoleViewer, commands: "exports", out: []operate.Applied{},
		serve: answers(func(l *Local, r *http.Request) ([]operate.Applied, error) { return list(l.Exports(r.Context())) })},
	{name: "listExportNames", pattern: "GET /v1/names", summary: "The names of the exports that were applied", least: schemas.RoleViewer, out: []string{},
		serve: answers(func(l *Local, r *http.Request) ([]string, error) { return list(l.Names(r.Context())) })},
	{name: "getExport", pattern: "GET /v1/exports/{export}", summary: "One export that was applied", least: schemas.RoleViewer, out: operate.Applied{},
		serve: answers(func(l *Local, r *http.Request) (operate.Applied, error) {
			return l.Export(r.Context(), r.PathValue("export"))
		})},
	{name: "planExports", pattern: "POST /v1/plans", summary: "What applying a file of exports would do", least: schemas.RoleContributor, commands: "duplicate", in: PlanRequest{}, out: Plan{}, costly: true,
		serve: asks(func(l *Local, r *http.Request, in PlanRequest) (Plan, error) { return l.Plan(r.Context(), in) })},
	{name: "applyExports", pattern: "POST /v1/exports", summary: "Make the exports and schedules be as a file says", least: schemas.RoleContributor, over: true, commands: "apply", in: PlanRequest{}, out: Plan{}, costly: true,
		serve: asks(func(l *Local, r *http.Request, in PlanRequest) (Plan, error) { return l.Apply(r.Context(), in) })},
	{name: "removeExport", pattern: "DELETE /v1/exports/{export}", summary: "Remove an export, and what is kept of its people", least: schemas.RoleContributor, over: true, commands: "remove", query: []string{"deleteLists"}, out: schemas.RemoveAnswer{},
		serve: answers(func(l *Local, r *http.Request) (schemas.RemoveAnswer, error) {
			return l.Remove(r.Context(), r.PathValue("export"), RemoveRequest{DeleteLists: flag(r, "deleteLists")})
		})},
	{name: "moveExport", pattern: "POST /v1/exports/{export}/move", summary: "Give an export's name to another connection", least: schemas.RoleContributor, over: true, commands: "move", in: MoveRequest{}, out: schemas.NameRecord{},
		serve: asks(func(l *Local, r *http.Request, in MoveRequest) (schemas.NameRecord, error) {
			return l.Move(r.Context(), r.PathValue("export"), in)
		})},
	{name: "scheduleExport", pattern: "POST /v1/exports/{export}/schedule", summary: "Pause, resume, trigger or backfill the schedule of an export", least: schemas.RoleContributor, over: true, commands: "pause resume trigger backfill", in: ScheduleRequest{}, out: done{},
		serve: asks(func(l *Local, r *http.Request, in ScheduleRequest) (done, error) {
			return done{}, l.Schedule(r.Context(), r.PathValue("export"), in)
		})},

	{name: "startRun", pattern: "POST /v1/runs", summary: "Start a run or a check, or join the one under way", least: schemas.RoleContributor, over: true, commands: "run check", header: []string{"Idempotency-Key"}, in: StartRequest{}, out: Started{},
		serve: asks(func(l *Local, r *http.Request, in StartRequest) (Started, error) {
			in.Key = r.Header.Get("Idempotency-Key")
			if len(in.Key) > maxKey {
				return Started{}, access.No(schemas.ErrorBadRequest, "the Idempotency-Key has more than %d bytes", maxKey)
			}
			return l.Start(r.Context(), in)
		})},
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
	{name: "getRun", pattern: "GET /v1/runs/{run}", summary: "How a run stands, by its id or as the newest of an export", least: schemas.RoleViewer, commands: "status show", query: ofRun, out: operate.View{},
		serve: onRun(func(l *Local, r *http.Request, run operate.Run) (operate.View, error) {
			return l.Look(r.Context(), run)
		})},
	{name: "getRunInput", pattern: "GET /v1/runs/{run}/input", summary: "What a run was started with", least: schemas.RoleViewer, query: ofRun, out: schemas.RunInput{},
		serve: onRun(func(l *Local, r *http.Request, run operate.Run) (schemas.RunInput, error) {
			return l.Input(r.Context(), run)
		})},
	{name: "followRun", pattern: "GET /v1/runs/{run}/events", summary: "Follow a run by server-sent events, until it has ended", least: schemas.RoleViewer, commands: "watch", query: append([]string{"stopAtWait"}, ofRun...), out: "", kind: "text/event-stream",
		serve: follow},
	{name: "answerRun", pattern: "POST /v1/runs/{run}/answers", summary: "Answer a run that waits", least: schemas.RoleContributor, over: true, commands: "approve retry abort", query: ofRun, in: AnswerRequest{}, out: Took{},
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
	{name: "getRejects", pattern: "GET /v1/runs/{run}/rejects", summary: "The rows that a run did not send, one JSON object a line", least: schemas.RoleContributor, over: true, commands: "rejects", query: append([]string{"segment", "reason", "limit"}, ofRun...), out: Reject{}, kind: "application/x-ndjson", costly: true,
		serve: sendRejects},
	{name: "getReport", pattern: "GET /v1/runs/{run}/report", summary: "A run's report, a page of HTML", least: schemas.RoleContributor, over: true, commands: "report", query: ofRun, out: "", kind: "text/html; charset=utf-8",
		serve: sendReport},
	{name: "getExamples", pattern: "GET /v1/runs/{run}/examples", summary: "The examples of a check, by segment", least: schemas.RoleContributor, over: true, query: ofRun, out: map[string]schemas.Examples{},
		serve: onRun(func(l *Local, r *http.Request, run operate.Run) (map[string]schemas.Examples, error) {
			return l.Examples(r.Context(), run)
		})},

	{name: "listConnections", pattern: "GET /v1/connections", summary: "The connections, as far as the caller may see them", least: schemas.RoleViewer, commands: "connections", out: Connections{},
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

	{name: "setup", pattern: "POST /v1/setup", summary: "Make the search attributes that the namespace lacks", least: schemas.RoleAdministrator, commands: "setup", out: Setup{},
		serve: answers(func(l *Local, r *http.Request) (Setup, error) { return l.Setup(r.Context()) })},
	{name: "examine", pattern: "GET /v1/doctor", summary: "Whether everything is there that runs need", least: schemas.RoleViewer, commands: "doctor", out: []doctor.Finding{}, costly: true,
		serve: answers(func(l *Local, r *http.Request) ([]doctor.Finding, error) { return l.Doctor(r.Context()) })},
}

// list has JSON say [] and not null.
func list[T any](all []T, err error) ([]T, error) {
	if all == nil {
		all = []T{}
	}
	return all, err
}

// sendReport serves a page that names and files of others are part of, so it may do
// nothing in a browser but be looked at.
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

// sendRejects streams rows. An error after the first one ends the stream with an object
// that says so.
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
	out, began := json.NewEncoder(w), false
	err = l.Rejects(r.Context(), run, RejectsRequest{Segment: q.Get("segment"), Reason: q.Get("reason"), Limit: limit}, func(row Reject) error {
		if !began {
			w.Header().Set("Content-Type", "application/x-ndjson")
		}
		began = true
		if err := r.Context().Err(); err != nil { // who reads slowly
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

// follow serves a run's views as server-sent events: view and trouble while it goes on,
// and end for the last view.
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
	v, err := l.looker().Watch(ctx, run, followEvery, flag(r, "stopAtWait"), func(v operate.View, problem error) {
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
