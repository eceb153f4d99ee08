package commands

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"iterable-segment-export/internal/access/accesstest"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/host"
	"iterable-segment-export/internal/notify"
	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestRotatingTheSecret does it as docs/operating.md says, and then as nobody should: with
// the new secret alone, before the exports are granted again.
func TestRotatingTheSecret(t *testing.T) {
	t.Parallel()
	heard := make(chan schemas.Message, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m schemas.Message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		heard <- m
	}))
	t.Cleanup(hook.Close)
	metrics, err := observe.NewMetrics()
	if err != nil {
		t.Fatal(err)
	}
	w := world.New(t, sandbox.Config{}, false)
	w.Metrics, w.Notify = metrics, notify.Options{Allowed: []string{hook.URL}}
	w.Generated(50)
	text, err := os.ReadFile(w.WriteExports(world.Seldom, "segments"))
	if err != nil {
		t.Fatal(err)
	}
	file := w.Path("exports.yaml")
	if err := os.WriteFile(file, append(text, "    notify: [{url: "+hook.URL+"}]\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	s := w.Starter()
	secrets := func(all ...string) {
		t.Helper()
		if w.Host != nil {
			w.Host.Stop()
		}
		w.Secrets = all
		w.StartHost()
		s.Env = []string{"WORKER_SECRET=" + strings.Join(all, " ")}
	}
	const secondSecret, thirdSecret = "a-second-secret-of-32-characters-or-more", "a-third-secret-of-32-characters-or-more"

	secrets(accesstest.Secret)
	s.Want(0, "apply", file, "--yes")
	s.Contains(s.Want(0, "apply", file), "No changes.")
	s.Contains(s.Want(0, "doctor"), "ok       grants, Spring: granted to ", "valid until WORKER_SECRET changes")

	secrets(secondSecret, accesstest.Secret)
	s.Contains(examined(s, 0), "warning grants Spring: ", "until the older secret", "→ renew it: starter apply FILE")
	s.Contains(s.Want(0, "apply", file, "--yes"), `~ change "Spring"`, "+ grant: renewed: an older WORKER_SECRET signed it")
	s.Contains(s.Want(0, "apply", file), "No changes.")
	if found := examined(s, 0); found != "" {
		t.Errorf("after the renewal: %s", found)
	}

	secrets(thirdSecret)
	s.Contains(examined(s, 1), "wrong grants Spring: its scheduled runs fail: ", "WORKER_SECRET was changed")
	s.Contains(s.Want(0, "exports"), "not valid")
	w.Trigger("Spring")
	m := <-heard
	if m.Type != "run.failed" || m.Data.Export != "Spring" || !strings.Contains(m.Data.Message, "grant is not valid") || m.Data.Commands[1] != "starter doctor" {
		t.Errorf("%+v", m)
	}
	s.Contains(s.Want(1, "status", "Spring"), "starter apply FILE")
	w.Until("the failed run is counted", func() bool {
		answer := httptest.NewRecorder()
		metrics.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return strings.Contains(answer.Body.String(), `export_run_seconds_count{export="Spring",state="failed"} 1`)
	})

	s.Env = nil
	s.Contains(s.Want(1, "apply", w.WriteExports("0 5 29 2 *", "segments"), "--yes"), `could not change "Spring"`, "without WORKER_SECRET no other can be issued")
	s.Env = []string{"WORKER_SECRET=" + thirdSecret}
	s.Contains(s.Want(0, "apply", file, "--yes"), "+ grant: renewed: no secret of the workers has signed the grant")
	if found := examined(s, 0); found != "" {
		t.Errorf("at the end: %s", found)
	}
	w.Trigger("Spring")
	w.Until("a scheduled run is done", func() bool { n, _, _ := ended(history(s, "Spring")); return n == 1 })
}

// TestRotatingTheSecretAcrossWorkers does it as docs/operating.md says, with two workers that
// are replaced one by one. A run that waits meanwhile goes on with the new secret alone.
func TestRotatingTheSecretAcrossWorkers(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, false)
	s := w.Starter()
	const second, third = "a-second-secret-of-32-characters-or-more", "a-third-secret-of-32-characters-or-more"
	var workers [2]*host.Host
	replace := func(i int, secrets ...string) {
		if workers[i] != nil {
			workers[i].Stop()
		}
		w.Secrets = secrets
		w.StartHost()
		workers[i] = w.Host
	}
	signing := func(secrets ...string) world.Starter {
		s.Env = []string{"WORKER_SECRET=" + strings.Join(secrets, " ")}
		return s
	}
	for i := range workers {
		replace(i, accesstest.Secret)
	}
	source := w.People("Spring", 1, 30, 1)
	file := w.Path("exports.yaml")
	text := "exports:\n  - {name: Spring, connection: sandbox, email: email, ready: {settle: 0s}, segments: [{name: Spring, source: " + source + "}]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	signing(accesstest.Secret).Want(0, "apply", file, "--yes")
	s.Want(0, "run", "Spring")
	w.People("Spring", 1, 5, 1)
	waits := regexp.MustCompile(`starter approve "Spring" --wait (\S+)`).FindStringSubmatch(s.Want(3, "run", "Spring"))
	if waits == nil {
		t.Fatal("the run does not wait")
	}

	steps := [][]string{{accesstest.Secret}, {accesstest.Secret, second}, {second, accesstest.Secret}, {second}}
	for n, secrets := range steps[1:] {
		for i := range workers {
			replace(i, secrets...)
			for _, signer := range [][]string{steps[n], secrets} { // workers before and after the change
				s.Contains(signing(signer...).Want(3, "check", "Spring"), "starter approve")
			}
		}
		if n == 1 {
			s.Contains(s.Want(0, "apply", file, "--yes"), "+ grant: renewed: an older WORKER_SECRET signed it")
		}
		s.Contains(s.Want(0, "doctor"), "ok       grants, Spring")
	}
	s.Want(0, "approve", "Spring", "--wait", waits[1])
	s.Contains(s.Want(0, "watch", "Spring"), "done")
	if n := len(w.Members("Spring")); n != 5 {
		t.Errorf("%d are on the list", n)
	}
	w.Trigger("Spring")
	w.Until("a scheduled run is done", func() bool { n, _, _ := ended(history(s, "Spring")); return n == 1 })

	replace(0, third, second) // without the first step
	w.Until("a worker refuses what only another one can verify", func() bool {
		status, _, _ := signing(third, second).Call("check", "Spring")
		return status == 1
	})
}
