// Package doctor checks what runs need: Temporal, its namespace and search attributes,
// workers, the clocks, the data root, connections, and the grants, schedules, sources and runs
// of the applied exports. Each problem comes with its fix.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/dial"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// State is the severity of a finding.
type State string

// States, from best to worst.
const (
	OK State = "ok"
	// Skipped means that it could not be checked, because of another finding or a
	// missing permission.
	Skipped State = "skipped"
	// Warning means that runs work, but something else may not.
	Warning State = "warning"
	Wrong   State = "wrong"
)

// Names of the checks, in their order.
const (
	CheckTemporal    = "temporal"
	CheckNamespace   = "namespace"
	CheckAttributes  = "search attributes"
	CheckWorkers     = "workers"
	CheckClocks      = "clocks"
	CheckDataRoot    = "data root"
	CheckConnections = "connections"
	CheckGrants      = "grants"
	CheckSchedules   = "schedules"
	CheckSources     = "sources"
	CheckRuns        = "runs"
)

var order = []string{
	CheckTemporal, CheckNamespace, CheckAttributes, CheckWorkers, CheckClocks, CheckDataRoot, CheckConnections,
	CheckGrants, CheckSchedules, CheckSources, CheckRuns,
}

// Finding is the result of one check.
type Finding struct {
	// Check is one of the Check names. Subject is what was checked: a task queue, a
	// connection, a segment.
	Check   string `json:"check"`
	Subject string `json:"subject,omitempty"`
	State   State  `json:"state"`
	Found   string `json:"found"`
	// Fix says what to do about it, empty if there is nothing to do.
	Fix string `json:"fix,omitempty"`
}

// Sight is what the doctor reads besides Temporal.
type Sight interface {
	Connections(ctx context.Context) (schemas.ConnectionsAnswer, error)
	CheckConnection(ctx context.Context, connection string) (schemas.ConnectionCheck, error)
	// Sources reads the footers of an export's segments.
	Sources(ctx context.Context, e schemas.Export) ([]Source, error)
	// DataRoot writes to the data root, reads from it, and returns its URL.
	DataRoot(ctx context.Context) (string, error)
}

// Source is what the footers of a segment's files contain.
type Source struct {
	Segment string
	Files   int
	Rows    int64 // -1 if no footer has it
	// Error says why a run could not read the segment, empty if it could.
	Error string
}

// Doctor has what the checks need.
type Doctor struct {
	Session *operate.Session
	Sight   Sight
	// Applied returns the applied exports with the standing of their grants.
	Applied func(context.Context) ([]operate.Applied, error)
	// Who is the caller.
	Who schemas.Person
	// Address is the address of Temporal, for display.
	Address string
	// Told is an error as that person may read it.
	Told func(error) string
}

// answerTime bounds one check.
const answerTime = 20 * time.Second

// patient holds the findings of one Examine.
type patient struct {
	Doctor
	o        *operate.Session
	findings []Finding
}

func (p *patient) add(check, subject string, state State, found, fix string) {
	p.findings = append(p.findings, Finding{check, subject, state, found, fix})
}

func (p *patient) ok(check, subject, found string) { p.add(check, subject, OK, found, "") }

// skipRest adds Skipped for a check and all after it.
func (p *patient) skipRest(from, because string) {
	begun := false
	for _, check := range order {
		if begun = begun || check == from; begun {
			p.add(check, "", Skipped, because, "")
		}
	}
}

// Unreachable returns the findings if neither Temporal nor a gateway can be reached.
func Unreachable(err error, fix string) []Finding {
	p := &patient{}
	p.add(CheckTemporal, "", Wrong, err.Error(), fix)
	p.skipRest(CheckNamespace, "Temporal can't be reached")
	return p.findings
}

// Examine runs all checks, except those that a problem makes impossible.
func (d Doctor) Examine(ctx context.Context) []Finding {
	p := &patient{Doctor: d, o: d.Session}
	p.ok(CheckTemporal, "", p.server(ctx))
	if !p.namespace(ctx) {
		p.skipRest(CheckAttributes, "the namespace can't be used")
		return p.findings
	}
	p.attributes(ctx)
	if !p.workers(ctx) {
		p.skipRest(CheckClocks, "no worker polls")
		return p.findings
	}
	p.clocks(ctx)
	if p.dataRoot(ctx) {
		p.connections(ctx)
	} else {
		p.add(CheckConnections, "", Skipped, "their records are in the data root", "")
	}
	if applied, err := p.Applied(ctx); err != nil {
		p.add(CheckGrants, "", Wrong, p.Told(err), "see starter exports")
		p.add(CheckSchedules, "", Skipped, "the applied exports are not known", "")
		p.add(CheckSources, "", Skipped, "the applied exports are not known", "")
	} else {
		p.grants(applied)
		_ = p.o.Late(ctx, applied) // without it, when they start is of use
		p.schedules(applied, time.Now())
		p.sources(ctx, applied)
	}
	p.runs(ctx)
	return p.findings
}

// Healthy reports whether no finding is Wrong.
func Healthy(findings []Finding) bool {
	for _, f := range findings {
		if f.State == Wrong {
			return false
		}
	}
	return true
}

// server returns the address and version of Temporal.
func (p *patient) server(ctx context.Context) string {
	info, err := p.o.Client.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil || info.ServerVersion == "" {
		return p.Address
	}
	return fmt.Sprintf("%s, version %s", p.Address, info.ServerVersion)
}

// namespace reports whether the namespace exists. If Temporal does not allow the question,
// it is assumed to exist.
func (p *patient) namespace(ctx context.Context) bool {
	name := p.o.Namespace
	d, err := p.o.Client.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: name})
	var missing *serviceerror.NamespaceNotFound
	var notAllowed *serviceerror.PermissionDenied
	switch {
	case errors.As(err, &missing):
		p.add(CheckNamespace, name, Wrong, "the namespace does not exist", fmt.Sprintf(
			"set TEMPORAL_NAMESPACE to that of the workers, or create it: starter doctor --fix --namespace %s", schemas.ShellWord(name)))
		return false
	case errors.As(err, &notAllowed):
		p.add(CheckNamespace, name, Skipped, "no permission to read it: "+p.Told(err), "")
	case err != nil:
		p.add(CheckNamespace, name, Wrong, p.Told(err), "use the credentials of this namespace (TEMPORAL_API_KEY, TEMPORAL_TLS…)")
		return false
	default:
		p.ok(CheckNamespace, name, fmt.Sprintf("keeps ended runs for %s", days(d.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())))
	}
	return true
}

func days(d time.Duration) string {
	if d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}

func (p *patient) attributes(ctx context.Context) {
	all, err := dial.Attributes(ctx, p.o.Client, p.o.Namespace)
	if err != nil {
		p.add(CheckAttributes, "", Skipped, "no permission to list them: "+p.Told(err), "")
		return
	}
	fit := 0
	for _, a := range all {
		switch {
		case a.Fits():
			fit++
		case a.Has == "":
			p.add(CheckAttributes, a.Name, Wrong, "it is missing, so runs set no search attributes and can't be searched for by export or state", "starter doctor --fix")
		default:
			p.add(CheckAttributes, a.Name, Wrong, fmt.Sprintf("it has type %s and must be %s, so runs set no search attributes", a.Has, a.Type), "remove it and run starter doctor --fix, or use another namespace")
		}
	}
	if fit == len(all) {
		p.ok(CheckAttributes, "", fmt.Sprintf("all %d exist", fit))
	}
}

// queues are the task queues that every worker polls.
var queues = []operate.Queue{{Name: schemas.TaskQueue, Workflows: true}, {Name: schemas.TaskQueue}, {Name: schemas.AccessTaskQueue}, {Name: schemas.NotifyTaskQueue}}

// workers reports whether workers poll all queues.
func (p *patient) workers(ctx context.Context) bool {
	all := true
	for _, q := range queues {
		all = p.queue(ctx, CheckWorkers, q, "start a worker with this Temporal and namespace (worker --help); if one is running, its log says why it does not poll") && all
	}
	return all
}

// queue reports whether workers poll a task queue.
func (p *patient) queue(ctx context.Context, check string, q operate.Queue, fix string) bool {
	kind := "activities"
	if q.Workflows {
		kind = "workflows"
	}
	subject := fmt.Sprintf("task queue %s, %s", q.Name, kind)
	workers, err := p.o.Workers(ctx, q)
	if err != nil {
		p.add(check, subject, Skipped, "no permission to read it: "+p.Told(err), "")
		return true
	}
	f := polled(workers, time.Now())
	f.Check, f.Subject = check, subject
	if f.State == Wrong && f.Fix == "" {
		f.Fix = fix
	}
	p.findings = append(p.findings, f)
	return f.State == OK
}

// polled is the finding about a task queue with these workers. Temporal lists a worker for
// minutes after it has stopped. One that stopped less than a minute ago can't be told from one
// that waits for a task, so the finding says when each polled last.
func polled(workers []operate.Worker, now time.Time) Finding {
	var latest time.Time
	var idle *operate.Worker
	var alive []time.Duration // since their last poll
	for _, w := range workers {
		switch {
		case now.Sub(w.LastSeen) > pollEvery+maxSkew:
		case w.Idle:
			idle = &w
		default:
			alive = append(alive, max(0, now.Sub(w.LastSeen)))
		}
		if w.LastSeen.After(latest) {
			latest = w.LastSeen
		}
	}
	switch {
	case len(alive) > 0:
		last := console.Ago(slices.Min(alive))
		if first := console.Ago(slices.Max(alive)); first != last {
			last += " to " + first
		}
		return Finding{State: OK, Found: fmt.Sprintf("polled by %s, last %s ago", console.Things(len(alive), "worker"), last)}
	case idle != nil && idle.Build == "":
		return Finding{State: Wrong, Found: "the workers that poll it get no tasks, since a version of a worker deployment is current and they have none",
			Fix: "start workers with TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID (docs/temporal.md)"}
	case idle != nil:
		return Finding{State: Wrong, Found: fmt.Sprintf("the workers that poll it get no tasks, since their build %q is not the current one", idle.Build),
			Fix: fmt.Sprintf("temporal worker deployment set-current-version --deployment-name %s --build-id %s", schemas.ShellWord(idle.Deployment), schemas.ShellWord(idle.Build))}
	case len(workers) > 0:
		return Finding{State: Wrong, Found: fmt.Sprintf("no worker polls it; the last one did %s ago, by this machine's clock", console.Ago(now.Sub(latest)))}
	}
	return Finding{State: Wrong, Found: "no worker polls it"}
}
