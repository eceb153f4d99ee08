package schemas

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestThePageOfReasons wants docs/rejects.md to explain every reason in its own
// words, and none that there is not.
func TestThePageOfReasons(t *testing.T) {
	page, err := os.ReadFile("../docs/rejects.md")
	if err != nil {
		t.Fatal(err)
	}
	for reason, sentence := range sentences {
		if row := fmt.Sprintf("| `%s` | %s |\n", reason, sentence); !strings.Contains(string(page), row) {
			t.Errorf("docs/rejects.md lacks %s", row)
		}
	}
	if have := strings.Count(string(page), "\n| `"); have != len(sentences) {
		t.Errorf("docs/rejects.md explains %d reasons of %d", have, len(sentences))
	}
}
