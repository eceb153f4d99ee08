package gateway

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/schemas"
)

// anybodys are commands that need no role.
var anybodys = []string{"completion", "login"}

// TestTheTableOfRoles compares the table of commands and roles in docs/access.md with the
// routes. UPDATE_DOCS=1 writes it. TestEveryCommandTakesItsRole tries it.
func TestTheTableOfRoles(t *testing.T) {
	const page, begin, end = "../../docs/access.md", "<!-- The table of routes, by: UPDATE_DOCS=1 go test ./internal/gateway -->\n", "\n<!-- end -->"
	roles := []schemas.Role{schemas.RoleViewer, schemas.RoleContributor, schemas.RoleAdministrator}
	var rows []string
	named := slices.Clone(anybodys)
	for _, rt := range routes {
		for command := range strings.SplitSeq(rt.commands, ", ") {
			if command == "" {
				continue
			}
			named = append(named, command)
			row := fmt.Sprintf("| `%s` |", command)
			for _, role := range roles {
				switch {
				case !access.AtLeast(role, rt.least):
					row += " |"
				case rt.over && role != schemas.RoleAdministrator:
					row += " if shared |"
				default:
					row += " yes |"
				}
			}
			rows = append(rows, row)
		}
	}
	slices.Sort(rows)
	want := begin + "\n| command | viewer | contributor | administrator |\n| --- | --- | --- | --- |\n" + strings.Join(rows, "\n") + "\n" + end
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile("(?s)" + regexp.QuoteMeta(begin) + ".*?" + regexp.QuoteMeta(end)).Find(text)
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(page, []byte(strings.Replace(string(text), string(got), want, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(got) != want {
		t.Errorf("the table of roles is stale; update it with: UPDATE_DOCS=1 go test ./internal/gateway")
	}
	commands, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range regexp.MustCompile(`(?m)^## starter (\w+)`).FindAllStringSubmatch(string(commands), -1) {
		if n := len(slices.DeleteFunc(slices.Clone(named), func(s string) bool { return s != c[1] })); n != 1 {
			t.Errorf("%d routes are for starter %s, want 1", n, c[1])
		}
	}
}
