package trigger

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
)

// TestTheExampleSigns runs the script of the examples against a server that verifies what
// it sends.
func TestTheExampleSigns(t *testing.T) {
	for _, program := range []string{"sh", "curl", "openssl", "od"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
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
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"runId":"1"}`)
	}))
	defer server.Close()
	script := exec.Command("sh", "../../examples/triggers/start.sh", `Spring "\ campaign`, "msg-1")
	script.Env = append(os.Environ(), "GATEWAY="+server.URL, "SECRET_FILE="+file(t, secret(1)+"\n"))
	out, err := script.CombinedOutput()
	if err != nil || string(out) != `{"runId":"1"}` {
		t.Errorf("%s, %v", out, err)
	}
}
