package main

import (
	"math"
	"strings"
	"testing"
)

// A short run of what does not wait for limits finds a figure for each of its parts.
func TestScenariosMeasure(t *testing.T) {
	b := bench{rows: 2000, rounds: 1, newList: -1, out: t.TempDir()}
	if err := b.run(t.Context(), []string{"staging", "chosen", "memory", "large", "small"}); err != nil {
		t.Fatal(err)
	}
	if len(b.figures) != 9 {
		t.Errorf("%d figures, want 9", len(b.figures))
	}
	for _, f := range b.figures {
		if f.What == "" || f.Unit == "" || math.IsNaN(f.Measured) || f.Measured == 0 || f.FloorOf != "" && f.Floor <= 0 {
			t.Errorf("%+v", f)
		}
	}
}

func TestAnUnknownScenarioIsRefused(t *testing.T) {
	b := bench{rounds: 1, out: t.TempDir()}
	if err := b.run(t.Context(), []string{"fast"}); err == nil || !strings.Contains(err.Error(), "staging") {
		t.Error(err)
	}
}
