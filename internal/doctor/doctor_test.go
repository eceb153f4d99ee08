package doctor

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// TestClocks sets one clock wrong. A worker asks for work once a minute.
func TestClocks(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for ahead, want := range map[time.Duration]State{
		0: OK, time.Second: OK, time.Minute: OK, 80 * time.Second: OK, 2 * time.Minute: Wrong,
		-10 * time.Second: OK, -time.Minute: Wrong,
	} {
		var p patient
		p.clock(noon, noon.Add(ahead))
		if f := p.findings[0]; f.State != want || f.State == Wrong && f.Fix == "" {
			t.Errorf("%s ahead: %+v, want %s", ahead, f, want)
		}
	}
}

// TestNoTemporal finds one thing wrong, and looks at nothing else.
func TestNoTemporal(t *testing.T) {
	findings := Unreachable(errors.New("out of reach"), "start it")
	if Healthy(findings) || len(findings) != len(order) || findings[0].State != Wrong || findings[0].Fix == "" {
		t.Errorf("%+v", findings)
	}
	for _, f := range findings[1:] {
		if f.State != Skipped {
			t.Errorf("%+v", f)
		}
	}
}

// TestTheHelpNamesEveryCheck, in its first paragraph.
func TestTheHelpNamesEveryCheck(t *testing.T) {
	page, err := os.ReadFile("../../docs/commands.md") // generated from the help
	if err != nil {
		t.Fatal(err)
	}
	_, help, _ := strings.Cut(string(page), "\n## starter doctor\n\n")
	help, _, _ = strings.Cut(help, "\n\n")
	help = strings.ToLower(strings.ReplaceAll(help, "\n", " "))
	for _, check := range order {
		if !strings.Contains(help, check) {
			t.Errorf("the help of starter doctor does not name the check of %s: %s", check, help)
		}
	}
}
