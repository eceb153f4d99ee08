package access

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// roleRow is a row of the table in docs/access.md, which is made of the gateway's routes.
var roleRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|([^|]*)\\|([^|]*)\\|([^|]*)\\|$")

// typedFor are the arguments that every command of the table is tried with, for an export
// over a connection, of the file of it alone.
func typedFor(command, export, connection, file string) []string {
	switch command {
	case "audit", "connections", "doctor", "exports", "runs", "whoami":
		return []string{command}
	case "abort", "approve", "retry":
		return []string{command, export, "--wait", "000000000000-1"}
	case "apply":
		return []string{command, file, "--yes"}
	case "connect":
		return []string{command, connection, "--agree"}
	case "disconnect":
		return []string{command, connection}
	case "find --forget":
		return []string{"find", "ann@example.com", "--forget", "--yes"}
	case "move":
		return []string{command, export, "spare"}
	case "remove":
		return []string{command, export, "--yes"}
	}
	return []string{command, export}
}

// TestEveryCommandTakesItsRole types every command as people of every role, for an export
// over a connection that is shared and for one over a connection that is not, and compares
// what is refused with the table.
func TestEveryCommandTakesItsRole(t *testing.T) {
	t.Parallel()
	// Fast: it makes some lists one after the other, and is about who may.
	g := world.NewGuardedOver(t, sandbox.Config{Fast: true})
	g.Others += g.Connection("spare", g.URL, "{}")
	g.WriteConnections("{}")
	admin := g.As(schemas.RoleAdministrator)
	g.Until("the worker has read the file", func() bool {
		all, err := admin.Connections(t.Context())
		return err == nil && len(all.Connections) == 3
	})
	files, connections := map[string]string{}, map[string]string{"Mine": "sandbox", "Theirs": "owners"}
	// begin applies both exports, and runs them.
	begin := func() {
		for name, connection := range connections {
			g.People(name, 1, 5, 1)
			e := g.Of(name)
			e.Connection = connection
			file := schemas.Exports{Refresh: &schemas.Timing{Cron: schemas.OneOrMore{world.Seldom}}, Exports: []schemas.Export{e}}
			if p, err := admin.Apply(t.Context(), gateway.PlanRequest{File: file}); err != nil || p.Failed > 0 {
				t.Fatalf("%+v, %v", p, err)
			}
			g.Done(g.Through(admin, gateway.StartRequest{Export: name}))
			files[name] = g.Path(name + ".yaml")
			text := "refresh: {cron: \"" + world.Seldom + "\"}\nexports:\n  - {name: " + name + ", connection: " + connection + ", email: email, segments: [{name: " + name + ", source: " + jsonOf(t, e.Segments[0].Source) + "}]}\n"
			if err := os.WriteFile(files[name], []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	begin()
	page, err := os.ReadFile(filepath.Join(repository, "docs/access.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := roleRow.FindAllStringSubmatch(string(page), -1)
	if len(rows) < 20 {
		t.Fatalf("the table has %d commands", len(rows))
	}
	s := g.Starter()
	s.Dir = t.TempDir()
	try := func(command string, role schemas.Role, export, connection string) string {
		s.Env = []string{"EXPORT_API=" + g.API, "HOME=" + g.Dir, "XDG_CONFIG_HOME=" + g.Dir}
		if role != "" {
			s.Env = append(s.Env, "EXPORT_TOKEN="+g.Provider.Token("the "+role, role))
		}
		_, out, errOut := s.Call(typedFor(command, export, connection, files[export])...)
		said := out + errOut
		switch {
		case strings.Contains(said, "needs a token"):
			return "who?"
		case strings.Contains(said, "but this needs"):
			return "but this needs"
		case strings.Contains(said, "is not shared with contributors") && command != "doctor": // which says so of one export
			return "is not shared with contributors"
		}
		t.Logf("starter %s of %s as a %s: %s", command, export, role, said)
		return ""
	}
	roles := []schemas.Role{schemas.RoleViewer, schemas.RoleContributor, schemas.RoleAdministrator}
	for _, row := range rows {
		command := row[1]
		for _, done := range []bool{true, false} { // nothing to do, then something
			for name := range files {
				if command != "resume" && command != "pause" {
					continue
				}
				if err := admin.Schedule(t.Context(), name, gateway.ScheduleRequest{Paused: (command == "pause") == done}); err != nil {
					t.Fatal(err)
				}
				if got := try(command, schemas.RoleViewer, name, connections[name]); got != "but this needs" {
					t.Errorf("starter %s as a viewer, nothing to do: %t: %q", command, done, got)
				}
			}
		}
		if got := try(command, "", "Mine", "sandbox"); got != "who?" {
			t.Errorf("starter %s without a token: %q", command, got)
		}
		for i, role := range roles {
			cell := strings.TrimSpace(row[2+i])
			refused := map[string]string{"Theirs": map[string]string{"": "but this needs", "if shared": "is not shared with contributors"}[cell]}
			if cell == "if shared" {
				refused["Mine"] = ""
			}
			for export, want := range refused {
				if got := try(command, role, export, connections[export]); got != want {
					t.Errorf("starter %s of %s as a %s: refused with %q, want %q", command, export, role, got, want)
				}
			}
		}
		if command == "remove" || command == "move" { // an administrator has done it
			for name := range files {
				_, _ = admin.Remove(t.Context(), name, gateway.RemoveRequest{})
			}
			begin()
		}
	}
}
