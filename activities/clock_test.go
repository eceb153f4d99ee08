package activities

import (
	"testing"
	"time"
)

func TestNothingEndsBeforeItBegins(t *testing.T) {
	for name, c := range map[string]struct {
		began time.Time
		now   bool // the end is this clock's
	}{
		"an hour ago":          {time.Now().Add(-time.Hour), true},
		"by a clock far ahead": {time.Now().Add(26 * time.Hour), false},
	} {
		if end := endOf(c.began); end.Before(c.began) || c.now == end.Equal(c.began) {
			t.Errorf("%s: began %s, ended %s", name, c.began, end)
		}
	}
}
