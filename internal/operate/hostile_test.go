package operate

import (
	"fmt"
	"testing"
	"time"

	"iterable-segment-export/schemas"
)

// TestAHostilePlanIsMadeSoon: a file of a megabyte has thousands of segments with several lists, each of
// which is compared with all others. That takes seconds, not hours.
func TestAHostilePlanIsMadeSoon(t *testing.T) {
	half := schemas.Split{Groups: map[string]string{"a": "50%", "b": "50%"}}
	var file schemas.Exports
	for i := range 60 {
		e := planned(t, fmt.Sprint("e", i), "S")
		e.Segments = nil
		for j := range 100 {
			e.Segments = append(e.Segments, schemas.Segment{Name: fmt.Sprint("s", i, "-", j), Source: "x", Split: &half})
		}
		file.Exports = append(file.Exports, e)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := Plan(&file, nil, false, false)
		ended <- err
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the plan goes on and on")
	}
}
