package access

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/access/accesstest"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/emulators"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/trigger"
	"iterable-segment-export/schemas"
)

// triggered is a world with an export of a segment in a bucket, and a gateway that
// accepts what two programs sign.
type triggered struct {
	world.Guarded
	secrets map[string]string
}

func newTriggered(t *testing.T) triggered {
	t.Helper()
	w := world.New(t, sandbox.Config{}, false)
	w.Secrets = []string{accesstest.Secret}
	w.InBucket(emulators.S3(t))
	w.StartHost()
	g := triggered{Guarded: world.Guarded{World: w, Provider: accesstest.New(t)}, secrets: map[string]string{}}
	var lines strings.Builder
	for i, name := range []string{"airflow", "queue"} {
		g.secrets[name] = "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(i)}, 32))
		fmt.Fprintln(&lines, name, g.secrets[name])
	}
	g.secrets["forger"] = "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, 32))
	if err := os.WriteFile(w.Path("secrets"), []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if g.Triggers, err = trigger.New(trigger.Options{Secrets: w.Path("secrets")}); err != nil {
		t.Fatal(err)
	}
	g.ServeAPI()
	return g
}

// send sends a body that a program has signed, and returns the status and the answer.
func (g triggered) send(path, by, id string, at time.Time, body string) (int, []byte, error) {
	hook, err := standardwebhooks.NewWebhook(g.secrets[by])
	if err != nil {
		return 0, nil, err
	}
	signature, err := hook.Sign(id, at, []byte(body))
	if err != nil {
		return 0, nil, err
	}
	r, err := http.NewRequestWithContext(g.T.Context(), http.MethodPost, g.API+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	r.Header.Set("webhook-signature", signature)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

// must is send with a status that is expected.
func (g triggered) must(status int, path, by, id string, at time.Time, body string) []byte {
	g.T.Helper()
	got, text, err := g.send(path, by, id, at, body)
	if err != nil || got != status {
		g.T.Fatalf("%s by %s: %d %s, %v", path, by, got, text, err)
	}
	return text
}

// started counts the runs of an export by what has started them.
func (g triggered) started(export string) map[schemas.Trigger]int {
	g.T.Helper()
	all, err := g.Operator.History(g.T.Context(), export, 100)
	if err != nil {
		g.T.Fatal(err)
	}
	out := map[schemas.Trigger]int{}
	for _, v := range all {
		out[v.Trigger]++
	}
	return out
}

// TestProgramsStartRuns has a program start a run by a signed request, and a thousand
// events of a bucket make one run.
func TestProgramsStartRuns(t *testing.T) {
	t.Parallel()
	g := newTriggered(t)
	folder := t.TempDir()
	expected, err := generate.Segment(t.Context(), generate.Options{Rows: 200, Out: folder, Format: "parquet", Files: 2, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	g.Publish(folder)
	e := g.Export("Lake", "EmailAddress")
	e.Segments[0].Source = strings.Split(g.Sources, "?")[0]
	other := g.Export("Elsewhere", "EmailAddress")
	other.Segments[0].Source = strings.Split(g.Sources, "?")[0] + "/day=2"
	follower := g.Export("Follower", "EmailAddress")
	follower.Segments[0].Source, follower.After = e.Segments[0].Source, schemas.OneOrMore{"Lake"}
	admin := g.As(schemas.RoleAdministrator)
	file := schemas.Exports{Refresh: &schemas.Timing{Cron: schemas.OneOrMore{world.Seldom}}, Exports: []schemas.Export{e, other, follower}}
	if p, err := admin.Apply(t.Context(), gateway.PlanRequest{File: file}); err != nil || p.Failed > 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	now := time.Now()

	// What is forged or old is refused.
	const path, body = "/v1/exports/Lake/runs", `{"export": "Lake", "dag": "segments"}`
	g.must(http.StatusUnauthorized, path, "forger", "msg_1", now, body)
	g.must(http.StatusUnauthorized, path, "airflow", "msg_1", now.Add(-time.Hour), body)
	g.must(http.StatusNotFound, "/v1/exports/Nothing/runs", "airflow", "msg_0", now, `{"export": "Nothing"}`)
	g.must(http.StatusBadRequest, "/v1/exports/Elsewhere/runs", "airflow", "msg_1", now, body)
	if runs := g.started("Lake"); len(runs) > 0 {
		t.Fatalf("%v", runs)
	}

	// A message starts one run, however often it is sent.
	var first, again gateway.Started
	for _, out := range []*gateway.Started{&first, &again} {
		if err := json.Unmarshal(g.must(http.StatusAccepted, path, "airflow", "msg_1", now, body), out); err != nil {
			t.Fatal(err)
		}
		g.Done(g.Watch(out.Run))
	}
	if first != again || first.RunID == "" {
		t.Errorf("the same message started %+v and %+v", first, again)
	}
	g.Holds("Lake", expected)
	v, err := g.Operator.Look(t.Context(), first.Run)
	if want := (schemas.Trigger{Kind: schemas.TriggerEvent, Who: "airflow"}); err != nil || v.Trigger != want {
		t.Errorf("%+v, %v", v.Trigger, err)
	}

	g.storm(e)
	g.tokens(path)
}

// storm sends a thousand events while the export has a run that waits, and others that are
// not to start one.
func (g triggered) storm(e schemas.Export) {
	t := g.T
	t.Helper()
	event := func(key string) string {
		return fmt.Sprintf(`{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"segments"},"object":{"key":%q}}}]}`, key)
	}
	now := time.Now()
	g.must(http.StatusUnauthorized, "/v1/events", "forger", "event_0", now, event("lake/segments/day=1/x.parquet"))
	var senders errgroup.Group
	senders.SetLimit(50)
	for n := range 1000 {
		senders.Go(func() error {
			status, text, err := g.send("/v1/events", "queue", fmt.Sprintf("event_%d", n), now, event(fmt.Sprintf("lake/segments/day=1/part-%d.parquet", n)))
			if err == nil && (status != http.StatusAccepted || !bytes.Contains(text, []byte(`"export":"Lake"`)) || bytes.Contains(text, []byte("Elsewhere"))) {
				err = fmt.Errorf("event %d: %d %s", n, status, text)
			}
			return err
		})
	}
	if err := senders.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("1,000 events were accepted in %s", time.Since(now))
	g.storedOnce(now, event("lake/segments/day=1/part-0.parquet"), event("other/segments/a.parquet"))
	g.Until("the events' run is done", func() bool { return g.started("Lake")[schemas.Trigger{Kind: schemas.TriggerEvent, Who: "queue"}] > 0 })
	_ = g.Client.GetWorkflow(t.Context(), schemas.TriggeredWorkflowID("Lake"), "").Get(t.Context(), nil)
	if runs := g.started("Lake"); runs[schemas.Trigger{Kind: schemas.TriggerEvent, Who: "queue"}] != 1 {
		t.Errorf("a thousand events made these runs: %v", runs)
	}
	if v, ok := g.Last(e.Name); !ok || v.State != schemas.StateDone {
		t.Errorf("%+v", v)
	}
	if runs := g.started("Elsewhere"); len(runs) > 0 {
		t.Errorf("%v", runs)
	}
	g.Until("the run of the export after it is done", func() bool { v, ok := g.Last("Follower"); return ok && v.State == schemas.StateDone })
	// It reads the same folder, and events start only what it is after.
	if runs := g.started("Follower"); len(runs) != 1 || runs[schemas.Trigger{Kind: schemas.TriggerEvent, Who: "queue"}] != 1 {
		t.Errorf("after the run for a thousand events ran: %v", runs)
	}
}

// storedOnce checks that an event that is sent again, and one of another bucket's folder,
// tell no export.
func (g triggered) storedOnce(at time.Time, again, elsewhere string) {
	g.T.Helper()
	for id, body := range map[string]string{"event_0": again, "event_x": elsewhere} {
		if text := g.must(http.StatusAccepted, "/v1/events", "queue", id, at, body); string(text) != `{"exports":[]}` {
			g.T.Errorf("%s: %s", id, text)
		}
	}
}

// tokens starts runs with tokens of the identity provider.
func (g triggered) tokens(path string) {
	g.T.Helper()
	for role, want := range map[schemas.Role]int{"": http.StatusUnauthorized, schemas.RoleViewer: http.StatusForbidden, schemas.RoleContributor: http.StatusAccepted} {
		r, err := http.NewRequestWithContext(g.T.Context(), http.MethodPost, g.API+path, nil)
		if err != nil {
			g.T.Fatal(err)
		}
		if role != "" {
			r.Header.Set("Authorization", "Bearer "+g.Provider.Token("the "+role, role))
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			g.T.Fatal(err)
		}
		var started gateway.Started
		err = json.NewDecoder(answer.Body).Decode(&started)
		answer.Body.Close()
		if answer.StatusCode != want {
			g.T.Errorf("%q: %d", role, answer.StatusCode)
		}
		if want == http.StatusAccepted {
			if err != nil {
				g.T.Fatal(err)
			}
			g.Done(g.Watch(started.Run))
		}
	}
}
