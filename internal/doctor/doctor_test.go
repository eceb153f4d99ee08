package doctor

import (
	"errors"
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
