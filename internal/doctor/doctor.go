// Package doctor finds out whether everything is there that runs need: Temporal, its
// namespace and search attributes, workers, their connections, sources and data root,
// and clocks that agree. Each finding that is not well says how to mend it.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// State is how a finding is.
type State string

// States, from the best to the worst.
const (
	OK State = "ok"
	// Skipped: it could not be looked at, because of another finding or for want of
	// a right.
	Skipped State = "skipped"
	// Warning: runs work, and something else may not.
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
	CheckSources     = "sources"
)

var order = []string{CheckTemporal, CheckNamespace, CheckAttributes, CheckWorkers, CheckClocks, CheckDataRoot, CheckConnections, CheckSources}

// Finding is what one look at one thing found.
type Finding struct {
	// Check is one of the Check names, Subject what of it was looked at: a task
	// queue, a connection, a segment.
	Check   string `json:"check"`
	Subject string `json:"subject,omitempty"`
	State   State  `json:"state"`
	Found   string `json:"found"`
	// Mend says what to do about it, empty where there is nothing to do.
	Mend string `json:"mend,omitempty"`
}

// Sight is what a doctor sees beside Temporal.
type Sight interface {
	Connections(ctx context.Context) (schemas.ConnectionsAnswer, error)
	CheckConnection(ctx context.Context, connection string) (schemas.ConnectionCheck, error)
	// Sources looks at the footers of an export's segments.
	Sources(ctx context.Context, e schemas.Export) ([]Source, error)
	// DataRoot writes to the data root and reads from it, and returns where it is.
	DataRoot(ctx context.Context) (string, error)
}

// Source is what the footers of a segment's files say.
type Source struct {
	Segment string
	Files   int
	Rows    int64 // -1 where no footer says so
	// Error says why a run could not read it; empty if it could.
	Error string
}

// Doctor is what the checks need.
type Doctor struct {
	Operator *operate.Operator
	Sight    Sight
	// Who wants to know.
	Who schemas.Person
	// Address is where Temporal is, for people.
	Address string
	// Told is an error as that person may read it.
	Told func(error) string
}

// answerTime bounds how long one thing is waited for.
const answerTime = 20 * time.Second

// patient is the state of one examination.
type patient struct {
	Doctor
	o        *operate.Operator
	findings []Finding
}

func (p *patient) add(check, subject string, state State, found, mend string) {
	p.findings = append(p.findings, Finding{check, subject, state, found, mend})
}

func (p *patient) ok(check, subject, found string) { p.add(check, subject, OK, found, "") }

// skipRest notes that nothing was found out about a check and those after it.
func (p *patient) skipRest(from, because string) {
	begun := false
	for _, check := range order {
		if begun = begun || check == from; begun {
			p.add(check, "", Skipped, because, "")
		}
	}
}

// Unreachable is what a doctor finds where there is no Temporal, or no gateway, to ask.
func Unreachable(what string, err error, mend string) []Finding {
	p := &patient{}
	p.add(what, "", Wrong, err.Error(), mend)
	p.skipRest(CheckNamespace, "Temporal is out of reach")
	return p.findings
}

// Examine looks at everything, as far as one thing does not hide another.
func (d Doctor) Examine(ctx context.Context) []Finding {
	p := &patient{Doctor: d, o: d.Operator}
	p.ok(CheckTemporal, "", p.server(ctx))
	if !p.namespace(ctx) {
		p.skipRest(CheckAttributes, "there is no namespace to look into")
		return p.findings
	}
	p.attributes(ctx)
	if !p.workers(ctx) {
		p.skipRest(CheckClocks, "no worker listens")
		return p.findings
	}
	p.clocks(ctx)
	if p.dataRoot(ctx) {
		p.connections(ctx)
	} else {
		p.add(CheckConnections, "", Skipped, "what is known of them is in the data root", "")
	}
	p.sources(ctx)
	return p.findings
}

// Healthy tells whether nothing is wrong.
func Healthy(findings []Finding) bool {
	for _, f := range findings {
		if f.State == Wrong {
			return false
		}
	}
	return true
}

// server says which Temporal answers.
func (p *patient) server(ctx context.Context) string {
	info, err := p.o.Client.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil || info.ServerVersion == "" {
		return p.Address
	}
	return fmt.Sprintf("%s, version %s", p.Address, info.ServerVersion)
}

// namespace tells whether it is there; where that may not be asked, it is taken to be.
func (p *patient) namespace(ctx context.Context) bool {
	name := p.o.Namespace
	d, err := p.o.Client.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: name})
	var missing *serviceerror.NamespaceNotFound
	var notAllowed *serviceerror.PermissionDenied
	switch {
	case errors.As(err, &missing):
		p.add(CheckNamespace, name, Wrong, "there is no such namespace", fmt.Sprintf(
			"set TEMPORAL_NAMESPACE to the workers', or make it: temporal operator namespace create --namespace %s --retention 720h", name))
		return false
	case errors.As(err, &notAllowed):
		p.add(CheckNamespace, name, Skipped, "it may not be looked at: "+p.Told(err), "")
	case err != nil:
		p.add(CheckNamespace, name, Wrong, p.Told(err), "see whether the credentials are those of this namespace (TEMPORAL_API_KEY, TEMPORAL_TLS…)")
		return false
	default:
		p.ok(CheckNamespace, name, fmt.Sprintf("keeps runs that have ended for %s", days(d.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())))
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
	all, err := operate.Attributes(ctx, p.o.Client, p.o.Namespace)
	if err != nil {
		p.add(CheckAttributes, "", Skipped, "they may not be looked at: "+p.Told(err), "")
		return
	}
	fit := 0
	for _, a := range all {
		switch {
		case a.Fits():
			fit++
		case a.Has == "":
			p.add(CheckAttributes, a.Name, Wrong, "it is missing, so runs set none and can't be searched for by export or state", "starter setup")
		default:
			p.add(CheckAttributes, a.Name, Wrong, fmt.Sprintf("it is of type %s and should be %s, so runs set none", a.Has, a.Type), "remove it and run starter setup, or use another namespace")
		}
	}
	if fit == len(all) {
		p.ok(CheckAttributes, "", fmt.Sprintf("all %d are there", fit))
	}
}

// queues are those that every worker listens to.
var queues = []operate.Queue{{Name: schemas.TaskQueue, Workflows: true}, {Name: schemas.TaskQueue}, {Name: schemas.AccessTaskQueue}}

// workers looks who listens.
func (p *patient) workers(ctx context.Context) bool {
	all := true
	for _, q := range queues {
		all = p.queue(ctx, CheckWorkers, q, "start one against this Temporal and namespace (worker --help); one that runs already says in its log why it does not listen") && all
	}
	return all
}

// queue looks who listens to a task queue.
func (p *patient) queue(ctx context.Context, check string, q operate.Queue, mend string) bool {
	kind := "activities"
	if q.Workflows {
		kind = "workflows"
	}
	subject := fmt.Sprintf("task queue %s, %s", q.Name, kind)
	workers, err := p.o.Workers(ctx, q)
	switch {
	case err != nil:
		p.add(check, subject, Skipped, "it may not be looked at: "+p.Told(err), "")
	case len(workers) == 0:
		p.add(check, subject, Wrong, "no worker listens", mend)
		return false
	case len(workers) == 1:
		p.ok(check, subject, "1 worker listens")
	default:
		p.ok(check, subject, fmt.Sprintf("%d workers listen", len(workers)))
	}
	return true
}
