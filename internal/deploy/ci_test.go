package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestChecksRunTheCommandOfTheREADME wants .ci/run to test by the command that the
// README names, with nothing added: what passes there passes for a newcomer.
func TestChecksRunTheCommandOfTheREADME(t *testing.T) {
	const command = "go test ./..."
	for name, line := range map[string]string{"README.md": command, ".ci/run": `step "go test" ` + command} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains("\n"+string(text), "\n"+line+"\n") {
			t.Errorf("%s has no line %q", name, line)
		}
	}
}
