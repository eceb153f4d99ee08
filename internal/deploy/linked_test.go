package deploy

import (
	"os/exec"
	"strings"
	"testing"
)

// TestWhatIsLinked wants Temporal's server in no program that is deployed, and no
// cloud's services in the development server that nothing here uses: each takes
// minutes to compile.
func TestWhatIsLinked(t *testing.T) {
	for program, without := range map[string][]string{
		"worker":           {"go.temporal.io/server/", "github.com/temporalio/ui-server/"},
		"starter":          {"go.temporal.io/server/", "github.com/temporalio/ui-server/"},
		"worker/dev/stack": {"k8s.io/", "cloud.google.com/go/run/", "github.com/aws/aws-sdk-go-v2/service/lambda", "github.com/aws/aws-sdk-go-v2/service/ecs", "github.com/aws/aws-sdk-go-v2/service/bedrock"},
	} {
		cmd := exec.Command("go", "list", "-deps", "./"+program)
		cmd.Dir = root
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(program, err)
		}
		if n := strings.Count(string(out), "\n"); program == "worker/dev/stack" && (n > 1750 || n < 1650) {
			t.Errorf("%s consists of %d packages; README.md says 1,700", program, n)
		}
		for name := range strings.Lines(string(out)) {
			for _, w := range without {
				if strings.HasPrefix(name, w) {
					t.Errorf("%s links %s", program, name)
				}
			}
		}
	}
}
