package access

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/schemas"
)

// TestOneOfTwoMovesWins: two people move an export's name at the same time, each to another connection,
// or one removes the export meanwhile. Who comes second is refused, and changes nothing.
func TestOneOfTwoMovesWins(t *testing.T) {
	ctx := t.Context()
	key := dataroot.NameKey("Spring")
	for what, c := range map[string]struct {
		meanwhile func(g *Gate) error
		kind      schemas.ErrorType
		owner     string
	}{
		"moved elsewhere": {func(g *Gate) error {
			_, err := g.Move(ctx, "Spring", "marketing", "owners", "bob")
			return err
		}, schemas.ErrorChanged, "owners"},
		"moved there, too": {func(g *Gate) error {
			_, err := g.Move(ctx, "Spring", "marketing", "other", "bob")
			return err
		}, "", "other"},
		"removed": {func(g *Gate) error { return g.Release(ctx, "Spring") }, schemas.ErrorNameTaken, ""},
		"removed, and applied elsewhere": {func(g *Gate) error {
			if err := g.Release(ctx, "Spring"); err != nil {
				return err
			}
			return g.Claim(ctx, "Spring", "owners", "bob")
		}, schemas.ErrorChanged, "owners"},
		"removed, and applied again": {func(g *Gate) error {
			if err := g.Release(ctx, "Spring"); err != nil {
				return err
			}
			return g.Claim(ctx, "Spring", "marketing", "bob")
		}, "", "other"},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		ann, bob := gateAt(t, dir), gateAt(t, dir)
		ann.keys = [][]byte{[]byte("a key of grants")}
		if err := ann.Claim(ctx, "Spring", "marketing", "ann"); err != nil {
			t.Fatal(err)
		}
		first, revoked := true, false
		ann.root.Around = func(_ context.Context, at string, _, do func() error) error {
			switch {
			case at != key:
				revoked = true
			case first: // between her look and her write
				first, revoked = false, false // what is granted from now on has to be revoked again
				if err := c.meanwhile(bob); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			return do()
		}
		if _, err := ann.Move(ctx, "Spring", "marketing", "other", "ann"); c.kind == "" && err != nil || c.kind != "" && !IsRefused(err, c.kind) {
			t.Errorf("%s: %v", what, err)
		}
		if c.kind == "" && what != "moved there, too" && !revoked {
			t.Errorf("%s: the grants of meanwhile are not revoked", what)
		}
		r, ok, err := bob.Owner(ctx, "Spring")
		if err != nil || ok != (c.owner != "") || r.Connection != c.owner || ok && c.kind != "" && r.By != "bob" || slices.Contains(r.Before, "other") {
			t.Errorf("%s: the name belongs to %+v, %v", what, r, err)
		}
	}
}
