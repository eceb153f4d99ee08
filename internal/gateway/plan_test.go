package gateway

import (
	"testing"

	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// TestWhatAPlanCanNotForesee: without a data root nothing is unknown of an export that is created.
func TestWhatAPlanCanNotForesee(t *testing.T) {
	for _, c := range []struct {
		verb string
		of   schemas.Foreseen
		want string
	}{
		{operate.VerbCreate, schemas.Foreseen{NoRecords: "no data root"}, ""},
		{operate.VerbCreate, schemas.Foreseen{Unknown: "no file", NoRecords: "no data root"}, "no file"},
		{operate.VerbChange, schemas.Foreseen{NoRecords: "no data root"}, "no data root"},
		{operate.VerbChange, schemas.Foreseen{Unknown: "no file", NoRecords: "no data root"}, "no file; no data root"},
		{operate.VerbChange, schemas.Foreseen{}, ""},
	} {
		if got := unforeseen(c.verb, c.of); got != c.want {
			t.Errorf("%s, %+v: %q, want %q", c.verb, c.of, got, c.want)
		}
	}
}
