package simulate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"iterable-segment-export/schemas"
)

// text is how a run sends the column of texts.
type text struct {
	transform []string
	as        string // what written becomes
	nulls     string // Field.Nulls, or defaults
}

// The values of a row's n whose text is not null, and the text of the first.
const (
	aText       = 1
	anEmptyText = 2
	written     = " " + mark + "  ann-LEE "
)

const defaults, byDefault = "default", `"nobody"`

func drawText(r *rand.Rand) *text {
	if !chance(r, 0.3) {
		return nil
	}
	forms := []text{
		{nil, written, ""}, {[]string{"trim"}, "zq  ann-LEE", ""}, {[]string{"emptyToNull", "collapseSpaces"}, "zq ann-LEE", ""},
		{[]string{"trim", "emptyToNull", "titleCase"}, "Zq  Ann-Lee", ""}, {[]string{"lowerCase"}, " zq  ann-lee ", ""}, {[]string{"trim", "upperCase"}, "ZQ  ANN-LEE", ""},
	}
	t := forms[r.IntN(len(forms))]
	t.nulls = []string{"", schemas.NullsOmit, schemas.NullsSend, defaults}[r.IntN(4)]
	return &t
}

func (t text) field(as string) schemas.Field {
	f := schemas.Field{Column: "t", As: as, Transform: t.transform, Nulls: t.nulls}
	if t.nulls == defaults {
		f.Nulls, f.Default = "", byDefault
	}
	return f
}

// sent returns what the project has after a row of that n was sent, "" where nothing is demanded.
func (t *text) sent(n int) string {
	switch {
	case t == nil:
		return ""
	case n == aText:
		return strconv.Quote(t.as)
	case n == anEmptyText && !slices.Contains(t.transform, "emptyToNull"):
		return `""`
	case t.nulls == defaults:
		return byDefault
	case t.nulls == schemas.NullsSend:
		return "null"
	}
	return "" // it keeps what it has
}

func (t *text) String() string { return fmt.Sprintf("%v, nulls %q", t.transform, t.nulls) }
