package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Without the connections or the data root, a program does not know what an export would send
// again, whether fields are mapped or not, and says so.
func TestForeseeWithoutConnectionsOrDataRoot(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "connections.yaml")
	if err := os.WriteFile(file, []byte("connections:\n  - {name: crm, region: us, apiKey: {env: CRM_KEY}, projectType: email}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	root := func(context.Context) (*storage.Root, error) {
		return nil, errors.New("open the data root: no such folder")
	}
	exports := []schemas.Export{
		{Name: "Plain", Connection: "crm", Segments: []schemas.Segment{{Name: "A", Source: "a.parquet"}}},
		{Name: "Mapped", Connection: "crm", Fields: schemas.Fields{All: true}, Segments: []schemas.Segment{{Name: "A", Source: "a.parquet"}}},
	}
	for connections, want := range map[string]schemas.Foreseen{
		filepath.Join(folder, "missing.yaml"): {Unknown: "what a run would create or send again is not known: "},
		file:                                  {NoRecords: "what a run would send again is not fully known: open the data root: no such folder"},
	} {
		for i, f := range (Direct{Connections: connections, Root: root}).Office().Foresee(t.Context(), exports) {
			if !strings.Contains(f.Unknown, want.Unknown) || f.NoRecords != want.NoRecords {
				t.Errorf("export %q: %+v, want %+v", exports[i].Name, f, want)
			}
			if more := strings.Contains(f.Unknown, `because segment "A" can't be read`); more != (connections == file && i == 1) {
				t.Errorf("export %q: %q", exports[i].Name, f.Unknown)
			}
		}
	}
}
