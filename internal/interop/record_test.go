package interop

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/emulators"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/schemas"
)

//go:embed npm/query.mjs
var queryScript []byte

// TestDuckDBAnswersFromTheRecord asks DuckDB every query of docs/record.md about files that this
// program has written.
func TestDuckDBAnswersFromTheRecord(t *testing.T) {
	packages, err := emulators.NPM("interop", manifest, lock)
	if err != nil {
		t.Skipf("DuckDB is not installed: %v", err)
	}
	program := filepath.Join(packages, "query.mjs")
	if err := os.WriteFile(program, queryScript, 0o600); err != nil {
		t.Fatal(err)
	}
	dir, at := t.TempDir(), time.Date(2026, 3, 2, 4, 0, 1, 500e6, time.UTC)
	row := func(email string, o schemas.Outcome, why schemas.Reason, n int64, request string) rejects.Row {
		r := rejects.Row{Email: []byte(email), Outcome: o, Reason: why, Request: request}
		if o != schemas.OutcomeRemoved {
			r.File, r.Row = "a.parquet", n
			if n >= 10 {
				r.File = "b.parquet"
			}
		}
		if request != "" {
			r.At = at
		}
		return r
	}
	today := []rejects.Row{
		row("ann@example.com", schemas.OutcomeSuppressed, "", 0, ""),
		row("bob@example.com", schemas.OutcomeAdded, "", 1, "add 0"), row("cat@example.com", schemas.OutcomeUpdated, "", 2, "add 0"),
		row("dan@example.org", schemas.OutcomeRefused, schemas.ReasonIterableInvalidEmail, 3, "add 0"),
		row("eve@example.com", schemas.OutcomeRemoved, schemas.ReasonLeft, 0, "remove 0"), row("fay@example.com", schemas.OutcomeRemoved, schemas.ReasonSuppressed, 0, "remove 0"),
		row("gus@example.con", schemas.OutcomeRejected, schemas.ReasonUnknownTLD, 10, ""), row("hal@nowhere.con", schemas.OutcomeRejected, schemas.ReasonUnknownTLD, 11, ""),
		row("", schemas.OutcomeRejected, schemas.ReasonMissing, 12, ""), row("bob@example.com", schemas.OutcomeDuplicate, schemas.ReasonDuplicate, 13, ""),
		row("", schemas.OutcomeForgotten, schemas.ReasonIterableForgotten, 4, ""),
	}
	today[2].Reason, today[2].Column = schemas.ReasonFieldLeftOut, "Score"
	writeRows(t, filepath.Join(dir, "rows.parquet"), schemas.IdentityPlain, today...)
	writeRows(t, filepath.Join(dir, "monday.parquet"), schemas.IdentityPlain, row("eve@example.com", schemas.OutcomeAdded, "", 0, "add 0"), row("bob@example.com", schemas.OutcomeAdded, "", 1, "add 0"))
	writeRows(t, filepath.Join(dir, "hashed.parquet"), schemas.IdentityHash, row("ann@example.com", schemas.OutcomeAdded, "", 0, "add 0"), row("bob@example.com", schemas.OutcomeUpdated, "", 1, "add 0"))

	page, err := os.ReadFile("../../docs/record.md")
	if err != nil {
		t.Fatal(err)
	}
	var queries []string
	for _, m := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllSubmatch(page, -1) {
		queries = append(queries, string(m[1]))
	}
	want := []string{
		`[{"outcome":"rejected","people":"3"},{"outcome":"removed","people":"2"},{"outcome":"added","people":"1"},{"outcome":"duplicate","people":"1"},{"outcome":"forgotten","people":"1"},{"outcome":"refused","people":"1"},{"outcome":"suppressed","people":"1"},{"outcome":"updated","people":"1"}]`,
		`[{"outcome":"suppressed","reason":null,"file":"a.parquet","row":"0"}]`,
		`[{"outcome":"added","time":"2026-03-02 04:00:01.5+00"}]`,
		`[{"email":"fay@example.com"}]`,
		`[{"reason":"unknown_tld","rows":"2"},{"reason":"iterable_invalid_email","rows":"1"},{"reason":"missing","rows":"1"}]`,
		`[{"file":"b.parquet","percent":75},{"file":"a.parquet","percent":0}]`,
		`[{"domain":"example.org","people":"1"}]`,
		`[{"email":"cat@example.com","column":"Score"}]`,
		`[{"request":"add 0","profiles":"3","answered":"2026-03-02 04:00:01.5+00"},{"request":"remove 0","profiles":"2","answered":"2026-03-02 04:00:01.5+00"}]`,
		`[{"email":"eve@example.com"}]`,
		`[{"file":"b.parquet","row":"10","email":"gus@example.con","reason":"unknown_tld"},{"file":"b.parquet","row":"11","email":"hal@nowhere.con","reason":"unknown_tld"},{"file":"b.parquet","row":"12","email":null,"reason":"missing"}]`,
	}
	if len(queries) != len(want) {
		t.Fatalf("docs/record.md has %d queries, and the test knows %d answers", len(queries), len(want))
	}
	in, err := json.Marshal(queries)
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", program, dir)
	var stderr bytes.Buffer
	node.Stdin, node.Stderr = bytes.NewReader(in), &stderr
	node.Env = append(os.Environ(), "TZ=UTC")
	out, err := node.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	var got []json.RawMessage
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	for i, answer := range got {
		if string(answer) != want[i] {
			t.Errorf("%s\ngot  %s\nwant %s", strings.TrimSpace(queries[i]), answer, want[i])
		}
	}
}

func writeRows(t *testing.T, name, identity string, all ...rejects.Row) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := rejects.NewRowWriter(f, identity)
	for _, r := range all {
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
