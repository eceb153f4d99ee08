// Package ledgertest leaves in a data root what a run does that ended at some point.
package ledgertest

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"testing"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/schemas"
)

// Export is the export of those runs.
var Export = schemas.Export{Name: "Spring", Connection: "sandbox", Email: "Mail", Fields: schemas.Fields{All: true}, Settings: schemas.Settings{OnInvalid: schemas.InvalidReject}}

// PendingKey returns the key of the marker of an attempt's staged files.
func PendingKey(run schemas.RunRef, attempt string) string {
	return ledger.Key(run, dataroot.PendingPrefix+run.RunID+"-"+attempt+".json")
}

// Remember writes the next snapshot, of one member, and returns its key.
func Remember(t testing.TB, l *ledger.Ledger, run schemas.RunRef, list int64, address string) string {
	t.Helper()
	u := snapshot.NewUpdate("", 0)
	m := Member(address)
	if err := u.Put(&m); err != nil {
		t.Fatal(err)
	}
	h := ledger.NewHeader(run, Export, list, schemas.ProjectEmail)
	old, err := l.Open(t.Context(), run, h)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	old.Close()
	if err := l.Publish(t.Context(), run, u, ledger.Opened{Version: old.Version}, h); err != nil {
		t.Fatal(err)
	}
	return ledger.Key(run, dataroot.SnapshotName(old.Version+1))
}

// Attempt is the attempt at staging of those runs.
const Attempt = "0123456789abcdef0123456789abcdef"

// Member returns a member of the list.
func Member(address string) snapshot.Member {
	return snapshot.Member{Key: batch.KeyHash([]byte(address), nil, schemas.ProjectEmail), Fields: 100, Email: []byte(address)}
}

// Sent is what a run has staged of a kind, and of which batches it has the answer.
type Sent struct {
	Kind     string
	People   []string // one a batch
	Answered int      // the first so many
	Begun    bool     // requests may have been made for all of them
}

// LeaveBehind leaves what a run does that ended while it sent people.
func LeaveBehind(t testing.TB, l *ledger.Ledger, run schemas.RunRef, list int64, all ...Sent) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(l.Sign(t.Context(), schemas.StageInput{Run: run, Export: Export, Connection: schemas.ConnectionInfo{ProjectType: schemas.ProjectEmail}}, nil))
	in := schemas.UploadInput{Run: run, Attempt: Attempt, ListID: list}
	must(l.Root.WriteJSON(t.Context(), PendingKey(run, Attempt), ledger.Pending{RunID: run.RunID, Attempt: Attempt, ListID: list}))
	for _, kind := range []string{schemas.Subscribe, schemas.Unsubscribe} {
		file, err := l.Root.Create(t.Context(), path.Join(dataroot.StagedDir(run, Attempt), ledger.StagedName(kind)))
		must(err)
		w, err := batch.NewWriter(file, batch.Limits{Profiles: 1, BodyBytes: 4 << 20},
			batch.Options{Body: batch.BodyOptions{ListID: list}, Unsubscribe: kind == schemas.Unsubscribe})
		must(err)
		for _, s := range all {
			if s.Kind != kind {
				continue
			}
			for _, who := range s.People {
				m := Member(who)
				must(w.Append(batch.Profile{Email: m.Email, Key: m.Key, Fields: m.Fields}))
			}
			if in.Kind, in.End = kind, len(s.People); s.Begun {
				must(l.WriteAnswered(t.Context(), in, "1", schemas.UploadProgress{Next: s.Answered, Counts: schemas.UploadCounts{Sent: int64(s.Answered)}}))
			}
		}
		must(w.Close())
		must(file.Close())
	}
}

// Entries returns the addresses that the snapshot has, with their hashes.
func Entries(t testing.TB, l *ledger.Ledger, run schemas.RunRef, list int64) map[string]uint64 {
	t.Helper()
	o, err := l.Open(t.Context(), run, ledger.NewHeader(run, Export, list, schemas.ProjectEmail))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	found := map[string]uint64{}
	if err := o.Each(t.Context(), func(m *snapshot.Member) error { found[string(m.Email)] = m.Fields; return nil }); err != nil {
		t.Fatal(err)
	}
	return found
}

// SameEntries fails the test unless the snapshot holds just these.
func SameEntries(t testing.TB, l *ledger.Ledger, run schemas.RunRef, list int64, want map[string]uint64) {
	t.Helper()
	if got := Entries(t, l, run, list); !maps.Equal(got, want) {
		t.Errorf("the snapshot has %v, want %v", got, want)
	}
}
