package trigger

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestTheExampleSigns runs the script of the examples against a server that verifies what
// it sends, and then refuses.
func TestTheExampleSigns(t *testing.T) {
	for _, program := range []string{"sh", "curl", "openssl", "od"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	status := http.StatusAccepted
	v := verifier(t, Options{Secrets: file(t, "nightly "+secret(1))})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		who, id, err := v.Webhook(r.Header, body)
		if err != nil || who != "nightly" || id != "msg-1" || r.URL.Path != `/v1/exports/Spring "\ campaign/runs` || string(body) != `{"export": "Spring \"\\ campaign"}` {
			t.Errorf("%q %q %v %s %s", who, id, err, r.URL, body)
		}
		if w.WriteHeader(status); status == http.StatusAccepted {
			_, _ = io.WriteString(w, `{"runId":"1"}`)
			return
		}
		_, _ = io.WriteString(w, `{"detail":"a run is under way"}`)
	}))
	defer server.Close()
	run := func() (string, error) {
		script := exec.Command("sh", "../../examples/triggers/start.sh", `Spring "\ campaign`, "msg-1")
		script.Env = append(os.Environ(), "GATEWAY="+server.URL, "SECRET_FILE="+file(t, secret(1)+"\n"))
		out, err := script.CombinedOutput()
		return string(out), err
	}
	if out, err := run(); err != nil || out != `{"runId":"1"}` {
		t.Errorf("%s, %v", out, err)
	}
	status = http.StatusConflict
	if out, err := run(); err == nil || !strings.Contains(out, "a run is under way") {
		t.Errorf("a refusal: %s, %v", out, err)
	}
}
