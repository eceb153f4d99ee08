package schemas

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
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

// TestEveryReasonHasASentence: a reject without one could not be asked for.
func TestEveryReasonHasASentence(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reasons.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	noRejects := []Reason{ReasonDuplicate, ReasonSuppressed, ReasonHoldout, ReasonNoValue}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := v.Type.(*ast.Ident); !ok || kind.Name != "Reason" {
			return true
		}
		text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found++
		if r := Reason(text); sentences[r] == "" && !slices.Contains(noRejects, r) {
			t.Errorf("%s has no sentence", r)
		}
		return true
	})
	if found < len(sentences) {
		t.Errorf("%d constants for %d sentences", found, len(sentences))
	}
}

// TestReasonsAreSorted, for those who list them.
func TestReasonsAreSorted(t *testing.T) {
	if all := Reasons(); len(all) == 0 || !slices.IsSorted(all) {
		t.Errorf("%q", all)
	}
}
