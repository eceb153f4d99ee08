package doctor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// TestClocks sets one clock or the other wrong.
func TestClocks(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	for name, c := range map[string]struct {
		temporal, worker time.Time
		want             string // of the clocks that are wrong
	}{
		"all agree":               {at(time.Second), at(2 * time.Second), ""},
		"a little apart":          {at(10 * time.Second), at(-5 * time.Second), ""},
		"this machine is slow":    {at(2 * time.Minute), at(2*time.Minute + time.Second), "Temporal and this machine: at least 1m57s apart"},
		"this machine is fast":    {at(-time.Hour), at(-time.Hour), "Temporal and this machine: at least 1h0m0s apart"},
		"the worker is fast":      {at(time.Second), at(time.Minute), "worker and Temporal: at least 56s apart"},
		"the worker is slow":      {at(time.Second), at(-time.Minute), "worker and Temporal: at least 1m1s apart"},
		"Temporal's is different": {at(-time.Minute), at(time.Second), "Temporal and this machine: at least 1m0s apart; worker and Temporal: at least 58s apart"},
	} {
		t.Run(name, func(t *testing.T) {
			var p patient
			p.clocks(answered{Examination: schemas.Examination{Started: c.temporal, Now: c.worker}, asked: noon, told: at(3 * time.Second)})
			var wrong []string
			for _, f := range p.findings {
				if f.State != OK {
					found, _, _ := strings.Cut(f.Found, ",")
					wrong = append(wrong, f.Subject+": "+found)
					if f.Mend == "" {
						t.Errorf("how to mend it is not said: %+v", f)
					}
				}
			}
			if got := strings.Join(wrong, "; "); got != c.want || len(p.findings) != 2 {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestNoTemporal finds one thing wrong, and looks at nothing else.
func TestNoTemporal(t *testing.T) {
	d := Doctor{Dial: func(context.Context) (*operate.Operator, func(), error) { return nil, nil, errors.New("out of reach") }}
	findings := d.Examine(t.Context())
	if Healthy(findings) || len(findings) != len(order) || findings[0].State != Wrong || findings[0].Mend == "" {
		t.Errorf("%+v", findings)
	}
	for _, f := range findings[1:] {
		if f.State != Skipped {
			t.Errorf("%+v", f)
		}
	}
}
