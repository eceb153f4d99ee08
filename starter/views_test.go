package main

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

func TestLinksToTheUI(t *testing.T) {
	t.Setenv(uiEnv, "")
	for address, want := range map[string]string{
		"":                                     "http://127.0.0.1:8233",
		"localhost:7233":                       "http://127.0.0.1:8233",
		"[::1]:7233":                           "http://127.0.0.1:8233",
		"127.0.0.1:17233":                      "",
		"exports.a1b2c.tmprl.cloud:7233":       "https://cloud.temporal.io",
		"us-east-1.aws.api.temporal.io:7233":   "https://cloud.temporal.io",
		"temporal-frontend.temporal.svc:7233":  "",
		"temporal.example.com:7233/not-a-port": "",
	} {
		if got := uiURL(address); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
	t.Setenv(uiEnv, "https://temporal.example.com/")
	a := &app{ui: uiURL("temporal:7233")}
	if got, want := a.runURL(t.Context(), inSpace{}, operate.Run{WorkflowID: "export/Spring & Co", RunID: "1"}),
		"https://temporal.example.com/namespaces/my%20space/workflows/export%2FSpring%20&%20Co/1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	var out strings.Builder
	c := &cobra.Command{}
	c.SetOut(&out)
	c.SetContext(t.Context())
	a.showLinks(c, inSpace{}, "Ann's")
	line, _, _ := strings.Cut(strings.Split(out.String(), "\n")[2], "\n")
	link, err := url.Parse(strings.Fields(line)[1])
	if err != nil || link.Query().Get("query") != "ExportState = 'waiting' AND ExportName = 'Ann''s'" {
		t.Errorf("%v, %s", err, line)
	}
	out.Reset()
	if (&app{}).showLinks(c, inSpace{}, ""); out.Len() > 0 {
		t.Errorf("without a UI: %s", &out)
	}
}

// inSpace is a Service of a namespace.
type inSpace struct{ gateway.Service }

func (inSpace) Me(context.Context) (gateway.Me, error) { return gateway.Me{Namespace: "my space"}, nil }

// TestRunsShowWhatTheyWaitFor, also those of a segment, what is tried again, and why a scheduled start or the segments
// of a run were skipped.
func TestRunsShowWhatTheyWaitFor(t *testing.T) {
	wait := &schemas.Waiting{Step: "StageSegment", Message: "5 of 9 rows were rejected"}
	waits, skipped := operate.View{State: schemas.StateWaiting}, operate.View{State: schemas.StateSkipped, Error: "skipped: a run is under way"}
	waits.Run.Export, skipped.Run.Export = "Spring", "Newsletter"
	skipped.Run.WorkflowID, skipped.Run.RunID = schemas.ScheduledWorkflowID("Newsletter")+"-2026-11-26T04:00:00Z", "no run"
	waits.Segments = []operate.SegmentView{{Progress: schemas.Progress{Waiting: wait}}}
	waits.Segments[0].Run.Segment = "VIP"
	late := operate.View{State: schemas.StateSkipped, Run: operate.Run{Export: "Lake", WorkflowID: schemas.RunWorkflowID("Lake"), RunID: "run-of-lake"}}
	late.Segments = []operate.SegmentView{{Progress: schemas.Progress{State: schemas.StateSkipped}}}
	late.Segments[0].Run.Segment, late.Segments[0].Report.Error = "Lake people", "the data was not ready: no _SUCCESS"
	late.Segments[0].Report.StartedOver, late.Segments[0].Report.StartedOverFor = 2, "its files have changed"
	waits.Retrying = &operate.Retrying{Step: "Authorize", Attempt: 3, Message: "no disk"}
	var out strings.Builder
	c := &cobra.Command{}
	c.SetOut(&out)
	showHistory(c, []operate.View{waits, skipped, late})
	for _, want := range []string{"\"VIP\" waits at StageSegment: 5 of 9 rows were rejected; see: starter status \"Spring\"\n", "\"Newsletter\" skipped: a run is under way\n",
		"\"Spring\": Authorize has been failing since ", "(attempt 3): no disk; see: starter status \"Spring\"\n",
		", \"Lake people\": the run started over twice; the last time because of this: its files have changed\n",
		"0 of 1", "run-of-lake", "\"Lake people\" skipped: the data was not ready: no _SUCCESS\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "no run") {
		t.Errorf("a start that was skipped has a run:\n%s", &out)
	}
	if runs := ran([]operate.View{waits, skipped, late}); len(runs) != 2 || runs[1].Run.RunID != "run-of-lake" {
		t.Errorf("-o name lists %+v", runs)
	}
}

// damaged is a service whose records of connections can't be read.
type damaged struct {
	gateway.Service
	role schemas.Role
}

func (d damaged) Me(context.Context) (gateway.Me, error) {
	return gateway.Me{Person: schemas.Person{Name: "ann", Role: d.role}}, nil
}

func (damaged) Connections(context.Context) (gateway.Connections, error) {
	return gateway.Connections{}, errors.New("the consent to connection \"other\" is damaged")
}

// TestADamagedRecordKeepsNobodyFromConnecting: a new consent replaces a damaged one, and that of
// another connection does not matter.
func TestADamagedRecordKeepsNobodyFromConnecting(t *testing.T) {
	if err := mayConnect(t.Context(), damaged{role: schemas.RoleAdministrator}, "marketing"); err != nil {
		t.Error(err)
	}
	if err := mayConnect(t.Context(), damaged{role: schemas.RoleContributor}, "marketing"); err == nil || !strings.Contains(err.Error(), "needs administrator") {
		t.Errorf("a contributor: %v", err)
	}
}

// TestLimitsThatAreSet are shown beside those that were learned.
func TestLimitsThatAreSet(t *testing.T) {
	learned := map[string]schemas.LearnedLimits{"lists/subscribe": {RequestsPerSecond: 8.25, Profiles: 500}}
	for _, c := range []struct {
		set     schemas.Limits
		learned map[string]schemas.LearnedLimits
		want    string
	}{
		{schemas.Limits{}, nil, "not learned yet"},
		{schemas.Limits{}, learned, "lists/subscribe, learned: 8.2 requests/s, largest accepted 500 profiles"},
		{schemas.Limits{RequestsPerSecond: 5}, learned, "set: 5 requests/s\nlists/subscribe, learned: largest accepted 500 profiles"},
		{schemas.Limits{RequestsPerSecond: 2.5, SubscribersPerRequest: 100}, learned, "set: 2.5 requests/s of 100 profiles"},
		{schemas.Limits{MaxRequestsPerSecond: 40, MaxSubscribersPerRequest: 1000, MaxBodyBytes: 1000000}, nil, "set: at most 40 requests/s of at most 1000 profiles\nset: at most 1000000 bytes\nnot learned yet"},
	} {
		if got := limitsText(c.set, c.learned); got != c.want {
			t.Errorf("%+v: %q, want %q", c.set, got, c.want)
		}
	}
}

// two is a service with two exports: Spring has not run, and Gone has.
type two struct{ gateway.Service }

func (two) Find(_ context.Context, name string) (operate.Run, error) {
	if name == "Gone" {
		return operate.Run{Export: name}, nil
	}
	return operate.Run{}, operate.ErrNoRun
}

func (two) Export(_ context.Context, name string) (operate.Applied, error) {
	if name == "Spring" {
		return operate.Applied{}, nil
	}
	return operate.Applied{}, operate.ErrNotApplied
}

// TestRunsOfNoExport: a misspelt name has no empty table.
func TestRunsOfNoExport(t *testing.T) {
	for name, c := range map[string]struct {
		export string
		views  []operate.View
		want   error
	}{
		"of all":               {"", nil, nil},
		"not yet":              {"Spring", nil, nil},
		"not listed yet":       {"Gone", nil, nil},
		"listed, and released": {"Sprign", []operate.View{{}}, nil},
		"misspelt":             {"Sprign", nil, operate.ErrNoRun},
	} {
		if err := known(t.Context(), two{}, c.export, c.views); err != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestARunWithoutRejects may not have read anything.
func TestARunWithoutRejects(t *testing.T) {
	read := operate.SegmentView{Progress: schemas.Progress{Report: schemas.ExportReport{Manifest: schemas.Manifest{Read: 1}}}}
	for _, c := range []struct {
		state    string
		segments []operate.SegmentView
		want     string
	}{
		{schemas.StateCancelled, nil, "No row was rejected: the run ended before it had read the segment."},
		{schemas.StateCancelled, []operate.SegmentView{read}, "No row was rejected."},
		{schemas.StateDone, []operate.SegmentView{{}}, "No row was rejected."},
		{schemas.StateRunning, nil, `No row was rejected so far; the run has not ended: starter status "Spring"`},
	} {
		if got := noRejects(operate.View{Run: operate.Run{Export: "Spring"}, State: c.state, Segments: c.segments}); got != c.want {
			t.Errorf("%s: %q, want %q", c.state, got, c.want)
		}
	}
}
