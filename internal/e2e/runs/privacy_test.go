package runs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/proto"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/access/accesstest"
	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/devstack"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Words that are nowhere but in the segments and in the key.
const (
	canaryValid   = "quetzalvalid"
	canaryInvalid = "quetzalinvalid"
	canaryDomain  = "quetzaldomain"
	canaryUser    = "quetzaluser"
	canaryField   = "quetzalfield"
	canaryNested  = "quetzalnested"
	canaryNever   = "quetzalnever" // on the suppression list
	canaryTried   = "quetzaltried" // only after starter run --only
	canaryKey     = "quetzalkey0123456789abcdef012345"
)

// ear keeps the bodies of all requests that a server gets.
type ear struct {
	*httptest.Server
	mu    sync.Mutex
	heard []byte
}

func listen(t *testing.T) *ear {
	e := &ear{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.heard = append(append(e.heard, r.URL.String()...), body...)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *ear) all() []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return bytes.Clone(e.heard)
}

// canaries writes a segment in which everything that can go wrong with a row does.
func canaries(w *world.World, name string) {
	w.T.Helper()
	type row struct {
		Email any      `json:"email"`
		ID    any      `json:"id"`
		City  string   `json:"city"`
		Tags  []string `json:"tags"`
		Plan  string   `json:"plan"`
	}
	var rows []row
	add := func(email, id any) {
		rows = append(rows, row{email, id, fmt.Sprintf("%s %d", canaryField, len(rows)), []string{canaryNested}, []string{"basic", "plus"}[len(rows)%2]})
	}
	for i := range 400 {
		add(fmt.Sprintf("%s.%d@%s.example.com", canaryValid, i, canaryDomain), fmt.Sprintf("%s-%d", canaryUser, i))
	}
	for i, email := range []any{
		canaryInvalid, canaryInvalid + " 2@example.com", canaryInvalid + "@" + canaryDomain, "@" + canaryDomain + ".com",
		canaryInvalid + "@@example.com", strings.Repeat(canaryInvalid, 20) + "@example.com", nil, "",
	} {
		add(email, fmt.Sprintf("%s-invalid-%d", canaryUser, i))
	}
	add(canaryValid+".1@"+canaryDomain+".example.com", canaryUser+"-1") // a second time
	for range 4 {
		add(canaryInvalid+"@"+canaryDomain, nil)
	}
	add(canaryValid+".99@example.com", strings.Repeat(canaryUser, 30))
	rows[7].City = strings.Repeat(canaryField, 500_000)
	text, err := json.Marshal(rows)
	if err != nil {
		w.T.Fatal(err)
	}
	w.Table(name, []arrow.Field{
		{Name: "email", Type: world.TextColumn, Nullable: true}, {Name: "id", Type: world.TextColumn, Nullable: true},
		{Name: "city", Type: world.TextColumn}, {Name: "tags", Type: arrow.ListOf(world.TextColumn)},
		{Name: "plan", Type: world.TextColumn},
	}, string(text))
}

// TestNobodyLeavesTheirPlace has a worker run exports in which whatever can go wrong
// does, and looks for people and the key in all that comes out of it.
func TestNobodyLeavesTheirPlace(t *testing.T) {
	t.Parallel()
	h := newHunt(canaryValid, canaryInvalid, canaryDomain, canaryUser, canaryField, canaryNested, canaryNever, canaryTried, canaryKey)
	w := world.New(t, sandbox.Config{
		Rate:    -1, // requests of ten profiles each, hundreds of them
		Project: sandbox.HybridProject,
		Keys:    map[string]sandbox.KeyType{canaryKey: sandbox.ServerKey},
		Fields:  map[string]string{"clash": "long"},
	}, false)
	dir := t.TempDir()
	w.StartTemporalWith(devstack.Options{DataDir: dir, FrontendAddr: "127.0.0.1:0"})
	hook, traces := listen(t), listen(t)
	if err := os.WriteFile(w.Path("key"), []byte(canaryKey), 0o600); err != nil {
		t.Fatal(err)
	}
	err := os.WriteFile(w.Path("connections.yaml"), fmt.Appendf(nil, `connections:
  - name: canary
    baseURL: %s
    apiKey: {file: %q}
    projectType: hybrid
    allowedSources: [%q]
    limits: {requestsPerSecond: 1000, subscribersPerRequest: 10}
    suppress: [{name: Never, source: %q, email: email, userID: id}]
    consent: {acceptedBy: tester, acceptedAt: 2026-01-01T00:00:00Z, statement: v1}
`, w.URL, w.Path("key"), w.Sources, filepath.Join(w.Sources, "Never")), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	health := world.FreeAddr(t)
	cmd := exec.Command(world.Build(t, "worker"))
	cmd.Env = []string{
		"LOG_LEVEL=debug", "HEALTH_ADDR=" + health, "NOTIFY_ALLOWED=" + hook.URL,
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + traces.URL, "OTEL_BSP_SCHEDULE_DELAY=100",
	}
	w.ProcessOf("worker.log", cmd)

	p := &eventful{Starter: w.Starter(), hook: hook.URL}
	p.everything()
	p.midway(h, dir)
	p.asked()
	heard := p.remotely()

	// The words are where they belong: or this test would find nothing anywhere.
	rejects := p.Want(0, "rejects", "Eventful")
	for _, word := range []string{canaryInvalid, canaryDomain, canaryUser} {
		if !strings.Contains(rejects, word) {
			t.Errorf("starter rejects says nothing of %s", word)
		}
	}
	if people := w.Members("Eventful"); len(people) < 40 || !slices.ContainsFunc(people, func(p string) bool { return strings.Contains(p, canaryValid) && strings.Contains(p, canaryUser) }) {
		t.Errorf("on the list are %d", len(people))
	}

	// A check masks its examples but for their domain; reports say which domains are
	// rejected most.
	people := newHunt(canaryValid, canaryInvalid, canaryUser, canaryField, canaryNested, canaryNever, canaryTried, canaryKey)
	people.clean(t, "what the starter said", p.said.Bytes())
	people.clean(t, "the gateway's log, or a URL", heard)
	overview, err := os.ReadFile(w.Path("overview.html"))
	if err != nil || !bytes.Contains(overview, []byte("Eventful")) {
		t.Errorf("the overview of all exports: %v", err)
	}
	h.clean(t, "the overview", overview)
	answer, err := http.Get("http://" + health + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || !bytes.Contains(metrics, []byte(`export_rejects_total{reason="no_tld"}`)) {
		t.Errorf("the metrics lack rejects, %v", err)
	}
	h.clean(t, "a metric", metrics)
	w.Until("spans were sent", func() bool { return bytes.Contains(traces.all(), []byte("lists/subscribe")) })
	h.clean(t, "a trace", traces.all())
	w.Until("the webhook was called", func() bool { return bytes.Contains(hook.all(), []byte("run.done")) })
	h.clean(t, "a webhook", hook.all())
	log, err := os.ReadFile(w.Path("worker.log"))
	if err != nil || bytes.Count(log, []byte("\n")) < 20 {
		t.Errorf("the log has %d lines, %v", bytes.Count(log, []byte("\n")), err)
	}
	h.clean(t, "the worker's log", log)
	if n := huntInTemporal(w, h); n < 15 {
		t.Errorf("%d histories", n)
	}
	h.stateIsClean(w, dir)

	// Where people may be, nobody else may look.
	beside := map[string]int{"linked": 0, path.Base(dataroot.ListsKey(schemas.RunRef{})): 0, path.Base(dataroot.SuppressionCountKey("canary", "Never")): 0} // of snapshots, and of a connection
	for name, data := range files(w, w.DataRoot) {
		h.clean(t, "the name of "+name, []byte(strings.TrimPrefix(name, w.DataRoot)))
		switch base := path.Base(name); {
		case strings.HasPrefix(base, "report."):
			people.clean(t, name, data)
		case slices.Contains(slices.Collect(maps.Keys(beside)), base):
			h.clean(t, name, data)
			beside[base]++
		case base == path.Base(dataroot.OverviewKey), base == path.Base(dataroot.PastRunsKey("", "")), base == dataroot.RunRecordFile,
			strings.HasPrefix(name, filepath.Join(w.DataRoot, dataroot.AuditDir)), strings.HasPrefix(name, filepath.Join(w.DataRoot, dataroot.SuppressionDir)):
			h.clean(t, name, data)
		}
	}
	for name, n := range beside {
		if n == 0 {
			t.Errorf("no run has left a file %q", name)
		}
	}
	w.NothingIsLeft()
}

// eventful is an operator whose exports run into everything.
type eventful struct {
	world.Starter
	hook string
	said bytes.Buffer // all that the starter wrote
}

// say runs a command line of the starter and keeps what it writes.
func (p *eventful) say(args ...string) int {
	p.T.Helper()
	status, out, errOut := p.Call(args...)
	fmt.Fprintf(&p.said, "%s\n%s\n%s\n", strings.Join(args, " "), out, errOut)
	return status
}

func (p *eventful) wants(status int, args ...string) {
	p.T.Helper()
	if got := p.say(args...); got != status {
		p.T.Fatalf("starter %s: status %d, want %d\n%s", strings.Join(args, " "), got, status, p.said.String())
	}
}

// quietly is say without the arguments, which may have what the answer may not.
func (p *eventful) quietly(status int, args ...string) string {
	p.T.Helper()
	got, out, errOut := p.Call(args...)
	if got != status {
		p.T.Errorf("starter %s: status %d, want %d\n%s%s", args[0], got, status, out, errOut)
	}
	fmt.Fprintf(&p.said, "%s\n%s\n", out, errOut)
	return out
}

// asked makes an operator name people: in a search, a deletion and a condition.
func (p *eventful) asked() {
	p.T.Helper()
	person, gone := fmt.Sprintf("%s.5@%s.example.com", canaryValid, canaryDomain), fmt.Sprintf("%s.6@%s.example.com", canaryValid, canaryDomain)
	for _, who := range []string{person, canaryUser + "-5", fmt.Sprintf("%s.300@%s.example.com", canaryValid, canaryDomain), canaryNever} {
		p.quietly(0, "find", who, "--history")
		p.quietly(0, "find", who, "-o", "json")
	}
	if out := p.quietly(0, "find", person, "--history"); !strings.Contains(out, "Eventful") || !strings.Contains(out, "added") {
		p.T.Errorf("find says %s", out)
	}
	if out := p.quietly(0, "find", gone, "--forget", "--yes"); !strings.Contains(out, "snapshot") || !strings.Contains(out, "record") || !strings.Contains(out, "another address or user ID") {
		p.T.Errorf("find --forget says %s", out)
	}
	if out := p.quietly(0, "audit"); !strings.Contains(out, "forgot") || !strings.Contains(out, "searched") {
		p.T.Errorf("audit says %s", out)
	}
	p.quietly(0, "record", "Eventful", "--out", p.Path("rows.parquet"))
	text := fmt.Sprintf("exports:\n  - name: Choosy\n    connection: canary\n    email: email\n    schedule: off\n    segments: [{name: Choosy, source: %q, where: {column: city, notEquals: %q}}]\n",
		filepath.Join(p.Sources, "Eventful"), person)
	if err := os.WriteFile(p.Path("choosy.yaml"), []byte(text), 0o600); err != nil {
		p.T.Fatal(err)
	}
	if status, _, errOut := p.Call("apply", p.Path("choosy.yaml"), "--yes"); status == 0 || !strings.Contains(errOut, "address") {
		p.T.Errorf("a condition with an address is applied: %d, %s", status, errOut)
	}
}

// remotely asks about people through a gateway, and returns all of its log and the URLs that it was asked.
func (p *eventful) remotely() []byte {
	p.T.Helper()
	store, err := config.OpenConnections(p.Path("connections.yaml"), slog.New(slog.DiscardHandler))
	if err != nil {
		p.T.Fatal(err)
	}
	gate, err := access.New(p.Root, nil)
	if err != nil {
		p.T.Fatal(err)
	}
	provider := accesstest.New(p.T)
	tokens, err := access.NewTokens(access.TokenOptions{Issuer: provider.Issuer, Audience: accesstest.Audience, RoleClaim: "roles"})
	if err != nil {
		p.T.Fatal(err)
	}
	var heard lockedBuffer
	log := slog.New(slog.NewJSONHandler(&heard, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h := gateway.NewHandler(gateway.Options{Tokens: tokens, PerSecond: 1000, Burst: 1000, Log: log, Office: &gateway.Office{
		Client: p.Client, Namespace: "default", Temporal: p.Temporal, Log: log,
		Gate:  func(context.Context) (*access.Gate, error) { return gate, nil },
		Known: func() (gateway.ConnectionSource, error) { return store, nil },
		Root:  func(context.Context) (*storage.Root, error) { return p.Root, nil },
	}})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(&heard, r.Method, r.URL)
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	local := p.Env
	defer func() { p.Env = local }()
	p.Env = []string{"EXPORT_API=" + server.URL, "EXPORT_TOKEN=" + provider.Token("the administrator", schemas.RoleAdministrator), "HOME=" + p.World.Dir, "XDG_CONFIG_HOME=" + p.World.Dir}
	person := fmt.Sprintf("%s.8@%s.example.com", canaryValid, canaryDomain)
	if out := p.quietly(0, "find", person, "--history"); !strings.Contains(out, "Eventful") {
		p.T.Errorf("through a gateway, find says %s", out)
	}
	p.quietly(0, "find", canaryUser+"-9", "-o", "json")
	if out := p.quietly(0, "find", person, "--forget", "--yes"); !strings.Contains(out, "snapshot") {
		p.T.Errorf("through a gateway, find --forget says %s", out)
	}
	all := heard.all()
	for _, want := range []string{"/v1/people/find", "/v1/people/forget", "findPerson", "forgetPerson"} {
		if !bytes.Contains(all, []byte(want)) {
			p.T.Errorf("the gateway has not heard of %s:\n%s", want, all)
		}
	}
	return all
}

// lockedBuffer is a buffer that several goroutines may write to.
type lockedBuffer struct {
	mu   sync.Mutex
	data []byte
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data = append(b.data, p...)
	return len(p), nil
}

func (b *lockedBuffer) all() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.data)
}

// answers gives an export's run the answer that it waits for.
func (p *eventful) answers(answer, export string) {
	p.T.Helper()
	var v operate.View
	_, out, _ := p.Call("status", export, "-o", "json")
	if err := json.Unmarshal([]byte(out), &v); err != nil || len(v.Waits()) != 1 {
		p.T.Fatalf("%s waits for %+v, %v", export, v.Waits(), err)
	}
	p.wants(0, answer, export, "--wait", v.Waits()[0].ID)
}

func (p *eventful) fault(f sandbox.Fault) {
	p.T.Helper()
	if err := p.Sandbox.AddFaults(f); err != nil {
		p.T.Fatal(err)
	}
}

// everything makes runs of every kind.
func (p *eventful) everything() {
	t := p.T
	for _, name := range []string{"Eventful", "Waiting", "Damaged", "Clashing"} {
		canaries(p.World, name)
	}
	p.never(300)
	damaged := filepath.Join(p.Sources, "Damaged", "rows.arrow")
	if whole, err := os.ReadFile(damaged); err != nil || os.WriteFile(damaged, whole[:len(whole)*3/5], 0o600) != nil {
		t.Fatal(err)
	}
	file := p.Path("exports.yaml")
	text := "exports:\n"
	for name, more := range map[string]string{
		"Eventful": "    fields: [{column: city}, {column: tags}]\n    guardrails: {maxRejectedShare: 1}\n    record: all\n" +
			"    notify: [{url: " + p.hook + "/hook, on: [waiting, done, failed]}]\n",
		"Waiting":  "    fields: [{column: city}]\n    guardrails: {maxRejectedShare: 0.01}\n",
		"Damaged":  "    fields: [{column: city}]\n",
		"Clashing": "    fields: [{column: city, as: clash}]\n    guardrails: {maxRejectedShare: 1}\n",
	} {
		text += fmt.Sprintf("  - name: %s\n    connection: canary\n    email: email\n    userID: id\n    schedule: off\n%s    segments: [{name: %s, source: %q}]\n",
			name, more, name, filepath.Join(p.Sources, name))
	}
	text += fmt.Sprintf(choosing+each, filepath.Join(p.Sources, "Eventful"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.wants(0, "apply", file, "--yes")
	for _, name := range []string{"Eventful", "Waiting", "Damaged", "Clashing", "Choosing", "Each"} {
		p.say("check", name)
	}

	tried := p.Want(0, "run", "Eventful", "--only", canaryTried+"@example.com,"+canaryValid+".5@"+canaryDomain+".example.com")
	p.Contains(tried, canaryTried, canaryValid+".5@", "the segment does not have this person", "Iterable accepted the profile")

	tried = p.Want(0, "run", "Choosing", "--segment", "Choosing", "--limit", "3")
	p.Contains(tried, canaryValid, "Iterable accepted the profile")

	p.wants(0, "run", "Each")
	p.never(300, 301, 302) // members of both lists
	p.wants(0, "run", "Each")
	p.never(300)

	// Iterable names people in what it says is wrong.
	person := canaryValid + ".3@" + canaryDomain + ".example.com"
	says := fmt.Sprintf("profile %s (%s-3) can't have %s", person, canaryUser, canaryField)
	for _, status := range []int{500, 429, 400} {
		p.fault(sandbox.Fault{Endpoint: "lists/subscribe", Kind: "status", Status: status, Count: 2, Code: "BadParams", Message: says})
	}
	p.fault(sandbox.Fault{Endpoint: "lists/subscribe", Kind: "drop", Skip: 8, Count: 1})
	for i, mark := range []string{"forgotten", "conflict", "invalidData"} {
		who := fmt.Sprintf("%s.%d@%s.example.com", canaryValid, 20+i, canaryDomain)
		p.Sandbox.Mark(mark, who, fmt.Sprintf("%s-%d", canaryUser, 20+i))
	}
	p.wants(0, "run", "Eventful")
	p.fault(sandbox.Fault{Endpoint: "lists/subscribe", Kind: "status", Status: 403, Count: 1, Code: "Forbidden", Message: says})
	p.wants(3, "run", "Eventful", "--full")
	p.answers("retry", "Eventful")
	p.wants(0, "watch", "Eventful")
	p.wants(3, "run", "Waiting")
	p.answers("abort", "Waiting")
	p.wants(3, "run", "Damaged")
	p.answers("abort", "Damaged")
	p.wants(3, "run", "Choosing")
	if said := p.said.String(); !strings.Contains(said, "set forEach to another column") {
		t.Errorf("no run has waited because of its values: %s", said)
	}
	p.answers("abort", "Choosing")
	p.say("run", "Clashing")
	p.say("approve", "Clashing")
	for _, args := range [][]string{
		{"exports"}, {"runs"}, {"show", "Eventful"}, {"show", "Waiting"}, {"status", "Eventful"}, {"status", "Damaged", "--output", "json"},
		{"runs", "--output", "json"}, {"connections"}, {"connections", "--output", "json"}, {"doctor"}, {"report", "Eventful", "--out", p.Path("report.html")}, {"report", "--all", "--out", p.Path("overview.html")},
		{"run", "--segment", canaryless, "--source", filepath.Join(p.Sources, "Eventful"), "--email", "nosuch", "--connection", "canary"},
		{"cancel", canaryless},
	} {
		p.say(args...)
	}
}

// never writes the suppression list, with some people of the segments.
func (p *eventful) never(people ...int) {
	var never []string
	for i := range 40 {
		never = append(never, fmt.Sprintf(`{"email": "%s.%d@%s.example.com", "id": "%s-%d"}`, canaryNever, i, canaryDomain, canaryNever, i))
	}
	for _, i := range people {
		never = append(never, fmt.Sprintf(`{"email": "%s.%d@%s.example.com"}`, canaryValid, i, canaryDomain))
	}
	never = append(never, fmt.Sprintf(`{"email": "%s"}`, canaryNever))
	p.Table("Never", []arrow.Field{{Name: "email", Type: world.TextColumn, Nullable: true}, {Name: "id", Type: world.TextColumn, Nullable: true}}, "["+strings.Join(never, ",")+"]")
}

// choosing is an export that selects rows, divides them, and changes their values. Each row has its
// own value of the column for which there would be a list.
const choosing = `  - name: Choosing
    connection: canary
    email: email
    userID: id
    schedule: off
    fields: [{column: city, transform: [trim, lowerCase], default: nowhere}, {value: spring, as: campaign}]
    dedupe: {keep: none}
    guardrails: {maxRejectedShare: 1}
    segments:
      - name: Choosing
        source: &rows %q
        where: {column: city, isNull: false}
        split: {groups: {A: 40%%, B: 40%%, control: 20%%}, holdout: [control]}
      - {name: "In {city}", source: *rows, forEach: city, maxLists: 5}
`

// each is an export with a list for each value of a column that has few.
const each = `  - name: Each
    connection: canary
    email: email
    userID: id
    schedule: off
    fields: [{column: city}]
    record: all
    guardrails: {maxRejectedShare: 1}
    segments: [{name: "With {plan}", source: *rows, forEach: plan, maxLists: 5}]
`

// canaryless names an export whose e-mail column is missing.
const canaryless = "Columnless"

// midway looks at a run while a request is under way, at what it has told Temporal of
// itself, and stops it.
func (p *eventful) midway(h *hunt, dir string) {
	p.fault(sandbox.Fault{Endpoint: "lists/subscribe", Kind: "hang", Skip: 30})
	p.wants(0, "run", "Eventful", "--full", "--detach")
	p.Until("an upload has told how far it is", func() bool {
		d, err := p.Client.DescribeWorkflowExecution(p.T.Context(), schemas.SegmentWorkflowID("Eventful", "Eventful"), "")
		if err != nil || d.WorkflowExecutionInfo.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
			return false
		}
		for _, a := range d.PendingActivities {
			if a.HeartbeatDetails != nil {
				data, err := proto.Marshal(d)
				if err != nil {
					p.T.Fatal(err)
				}
				h.clean(p.T, "a run under way", data)
				return a.ActivityType.Name == schemas.ActivityUploadBatches
			}
		}
		return false
	})
	p.say("status", "Eventful")
	h.stateIsClean(p.World, dir)
	run, err := p.Operator.Find(p.T.Context(), "Eventful")
	if err != nil {
		p.T.Fatal(err)
	}
	p.wants(0, "cancel", "Eventful")
	p.Sandbox.ClearFaults()
	p.Watch(run)
}

// huntInTemporal looks through all that Temporal gives of every workflow, and counts
// them.
func huntInTemporal(w *world.World, h *hunt) (histories int) {
	w.T.Helper()
	ctx := w.T.Context()
	var page []byte
	for {
		list, err := w.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: "default", NextPageToken: page})
		if err != nil {
			w.T.Fatal(err)
		}
		for _, e := range list.Executions {
			histories++
			what := "the history of " + e.Execution.WorkflowId
			d, err := w.Client.DescribeWorkflowExecution(ctx, e.Execution.WorkflowId, e.Execution.RunId)
			if err != nil {
				w.T.Fatal(err)
			}
			for _, m := range []proto.Message{e, d} {
				data, err := proto.Marshal(m)
				if err != nil {
					w.T.Fatal(err)
				}
				h.clean(w.T, "what Temporal says of "+e.Execution.WorkflowId, data)
			}
			for events := w.Client.GetWorkflowHistory(ctx, e.Execution.WorkflowId, e.Execution.RunId, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
				event, err := events.Next()
				if err != nil {
					w.T.Fatal(err)
				}
				data, err := proto.Marshal(event)
				if err != nil {
					w.T.Fatal(err)
				}
				h.clean(w.T, what, data)
			}
		}
		if page = list.NextPageToken; len(page) == 0 {
			return histories
		}
	}
}

// stateIsClean looks through the files of Temporal's own database.
func (h *hunt) stateIsClean(w *world.World, dir string) {
	w.T.Helper()
	size := 0
	err := filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		size += len(data)
		h.clean(w.T, "Temporal's file "+filepath.Base(name), data)
		return err
	})
	if err != nil || size < 100_000 {
		w.T.Errorf("Temporal's files have %d bytes, %v", size, err)
	}
}
