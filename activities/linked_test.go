package activities

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/ledger/ledgertest"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/suppression"
	"iterable-segment-export/schemas"
)

// TestSuppressedByAnIdentifierThatTheRowLacks: another row, or the last run, has it.
func TestSuppressedByAnIdentifierThatTheRowLacks(t *testing.T) {
	ann, bob := identity{"ann@example.com", "u1"}, identity{"bob@example.com", "u2"}
	byAddress, byID := []identity{{ann.email, ""}}, []identity{{"", ann.userID}}
	type counts struct{ suppressed, removals, suppressedRemovals, adds, updates, unchanged, duplicates, rejected int64 }
	for name, c := range map[string]struct {
		project             string
		list, members, rows []identity
		want                counts
	}{
		"the address is missing": {
			schemas.ProjectUserID, byAddress, []identity{ann, bob}, []identity{{"", "u1"}, bob},
			counts{suppressed: 1, removals: 1, suppressedRemovals: 1, unchanged: 1},
		},
		"the address is missing, in a hybrid project": {
			schemas.ProjectHybrid, byAddress, []identity{ann, bob}, []identity{{"", "u1"}, bob},
			counts{suppressed: 1, removals: 1, suppressedRemovals: 1, unchanged: 1},
		},
		"the address is invalid": {
			schemas.ProjectUserID, byAddress, []identity{ann, bob}, []identity{{"ann@", "u1"}, bob},
			counts{suppressed: 1, removals: 1, suppressedRemovals: 1, unchanged: 1},
		},
		"the invalid address is on the list": {
			schemas.ProjectUserID, []identity{{"ann@x", ""}, {"eve@example.com", ""}}, []identity{{"", "u1"}, bob}, []identity{{" Ann@x", "u1"}, bob},
			counts{suppressed: 1, removals: 1, suppressedRemovals: 1, unchanged: 1},
		},
		"a later row has the address": {
			schemas.ProjectUserID, byAddress, nil, []identity{{"", "u1"}, ann, bob},
			counts{suppressed: 2, adds: 1},
		},
		"an earlier row has the address": {
			schemas.ProjectUserID, byAddress, nil, []identity{ann, {"", "u1"}, {"else@example.com", "u1"}, bob},
			counts{suppressed: 3, adds: 1},
		},
		"the user ID is new": {
			schemas.ProjectEmail, byID, []identity{{ann.email, ""}, bob}, []identity{ann, bob},
			counts{suppressed: 1, removals: 1, suppressedRemovals: 1, unchanged: 1},
		},
		"the user ID is new, in a hybrid project": {
			schemas.ProjectHybrid, byID, []identity{{ann.email, ""}, bob}, []identity{ann, bob},
			counts{suppressed: 1, removals: 1, suppressedRemovals: 1, unchanged: 1},
		},
		"the user ID is missing, in a hybrid project": {
			schemas.ProjectHybrid, byID, []identity{ann, bob}, []identity{{ann.email, ""}, bob},
			counts{suppressed: 1, removals: 1, suppressedRemovals: 1, unchanged: 1},
		},
		"a later row has the user ID, in a hybrid project": {
			schemas.ProjectHybrid, byID, nil, []identity{{ann.email, ""}, ann, bob},
			counts{suppressed: 2, adds: 1},
		},
		"the address is another one now": {
			schemas.ProjectUserID, byAddress, []identity{ann, bob}, []identity{{"new@example.com", "u1"}, bob},
			counts{updates: 1, unchanged: 1},
		},
		"the user ID is another person's": {
			schemas.ProjectUserID, byAddress, []identity{ann, bob}, []identity{{ann.email, "u3"}, bob},
			counts{suppressed: 1, removals: 1, suppressedRemovals: 1, unchanged: 1},
		},
		"nothing is listed": {
			schemas.ProjectHybrid, []identity{{"eve@example.com", ""}}, []identity{ann, bob}, []identity{{ann.email, ""}, {"", "u2"}},
			counts{adds: 1, updates: 1},
		},
	} {
		for _, mode := range []string{schemas.ModeMirror, schemas.ModeAppend} {
			t.Run(name+", "+mode, func(t *testing.T) {
				_, m, err := stageBoth(t, mode, c.project, c.members, nil, c.rows, c.list)
				if err != nil {
					t.Fatal(err)
				}
				got := counts{m.Suppressed, m.Removals, m.SuppressedRemovals, m.Adds, m.Updates, m.Unchanged, m.Duplicates, m.Rejected[schemas.ReasonSyntax]}
				if got != c.want {
					t.Errorf("%+v, want %+v", got, c.want)
				}
			})
		}
	}
}

// stageBoth stages rows that have both identifiers mapped, with one suppression list of both.
func stageBoth(t *testing.T, mode, project string, members, unconfirmed, rows, list []identity) (*bench, schemas.Manifest, error) {
	t.Helper()
	return stageAfter(t, mode, project, members, unconfirmed, rows, func(folder string) []schemas.Suppression {
		writeIdentities(t, filepath.Join(folder, "never.arrow"), list)
		return []schemas.Suppression{{Name: "Never", Source: folder, Email: "Mail", UserID: "Id"}}
	})
}

// TestSuppressedMembersThatMayBeOnTheListAreRemoved: an earlier run asked Iterable to add them
// and got no answer. They count beside the members.
func TestSuppressedMembersThatMayBeOnTheListAreRemoved(t *testing.T) {
	ann, bob, eve := identity{"ann@example.com", ""}, identity{"bob@example.com", ""}, identity{"eve@example.com", ""}
	for _, mode := range []string{schemas.ModeMirror, schemas.ModeAppend} {
		for name, rows := range map[string][]identity{"in the segment": {ann, bob}, "not in the segment": {bob}} {
			t.Run(mode+", "+name, func(t *testing.T) {
				_, m, err := stageBoth(t, mode, schemas.ProjectEmail, []identity{bob}, []identity{ann, eve}, rows, []identity{ann})
				if err != nil {
					t.Fatal(err)
				}
				if m.Removals != 1 || m.SuppressedRemovals != 1 || m.UnconfirmedRemovals != 1 || m.RemoveBatches != 1 ||
					m.Members != 1 || m.UnconfirmedMembers != 2 || m.MembersRemoved() != 0 || m.Adds != 0 || m.Unchanged != 1 {
					t.Errorf("%+v", m)
				}
			})
		}
	}
}

// TestARemovedMemberStaysSuppressed: the run after the removal no longer finds the address in
// the snapshot.
func TestARemovedMemberStaysSuppressed(t *testing.T) {
	ann, bob := identity{"ann@example.com", "u1"}, identity{"bob@example.com", "u2"}
	var list string
	b, m, err := stageAfter(t, schemas.ModeMirror, schemas.ProjectUserID, []identity{ann, bob}, nil, []identity{{"", "u1"}, bob}, func(folder string) []schemas.Suppression {
		list = filepath.Join(folder, "never.arrow")
		writeIdentities(t, list, []identity{ann})
		return []schemas.Suppression{{Name: "Never", Source: folder, Email: "Mail"}}
	})
	if err != nil || m.SuppressedRemovals != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
	in := b.input
	b.change(t, in, func(u *snapshot.Update) error {
		return u.Remove(batch.KeyHash(nil, []byte("u1"), schemas.ProjectUserID))
	})
	for range 2 { // the second time the record of the first is all that is known
		if m, err = b.stageInput(in); err != nil || m.Suppressed != 1 || m.Adds != 0 || m.Removals != 0 || m.Unchanged != 1 {
			t.Errorf("after the removal: %+v, %v", m, err)
		}
	}
	key := ledger.Key(in.Run, "linked")
	if err := b.Root.Write(t.Context(), key, []byte("damaged")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.stageInput(in); err == nil || !strings.Contains(err.Error(), key) {
		t.Errorf("with a damaged record: %v", err)
	}
	if err := b.Root.DeletePrefix(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if m, err = b.stageInput(in); err != nil || m.Suppressed != 0 || m.Adds != 1 {
		t.Errorf("without the record: %+v, %v", m, err)
	}
}

// annIn returns what a row of Ann has that lacks the identifier that is not the project's key, the
// entry of a suppression list with that identifier, and a profile with the same key and another one.
func annIn(project string) (lacking, entry, other identity) {
	if project == schemas.ProjectEmail {
		return identity{movingAnn.email, ""}, identity{"", movingAnn.userID}, identity{movingAnn.email, "u7"}
	}
	return identity{"", movingAnn.userID}, identity{movingAnn.email, ""}, identity{"new@example.com", movingAnn.userID}
}

// removedAsSuppressed returns a list from which a run has removed Ann, whose row lacks an identifier,
// because of the entries of the suppression list in a file.
func removedAsSuppressed(t *testing.T, project string, entries ...identity) (b *bench, list string) {
	t.Helper()
	lacking, _, _ := annIn(project)
	b, m, err := stageBoth(t, schemas.ModeMirror, project, []identity{movingAnn, movingBob}, nil, []identity{lacking, movingBob}, entries)
	if err != nil || m.SuppressedRemovals != 1 {
		t.Fatalf("%s: %+v, %v", project, m, err)
	}
	b.change(t, b.input, func(u *snapshot.Update) error {
		return u.Remove(batch.KeyHash([]byte(movingAnn.email), []byte(movingAnn.userID), project))
	})
	c, err := b.Connections.Get("sandbox")
	if err != nil {
		t.Fatal(err)
	}
	return b, filepath.Join(c.Suppress[0].Source, "never.arrow")
}

// TestARepairedListSuppressesWhomItHadRemoved: a run that waits since the list is incomplete has staged
// its rows, and is staged again after the repair. What is known of the members that earlier runs have
// removed is still there.
func TestARepairedListSuppressesWhomItHadRemoved(t *testing.T) {
	for _, project := range []string{schemas.ProjectEmail, schemas.ProjectUserID, schemas.ProjectHybrid} {
		_, entry, other := annIn(project)
		b, list := removedAsSuppressed(t, project, entry, someone)
		stages := func(when string, suppressed int64, entries ...identity) {
			t.Helper()
			writeIdentities(t, list, entries)
			if m, err := b.stageInput(b.input); err != nil || m.Suppressed != suppressed || m.Adds != 1-suppressed {
				t.Errorf("%s, %s: %+v, %v", project, when, m, err)
			}
		}
		stages("the list is incomplete", 0, someone)
		stages("it is repaired", 1, entry, someone)

		m := snapshot.Member{Email: []byte(other.email), UserID: []byte(other.userID)}
		m.Key = batch.KeyHash(m.Email, m.UserID, project)
		b.change(t, b.input, func(u *snapshot.Update) error { return u.Doubt(&m) })
		stages("she was perhaps sent with another identifier", 1, entry, someone)
	}
}

// TestAnotherAddressEndsTheLink: the profile was sent with another address since, which is not
// on the list.
func TestAnotherAddressEndsTheLink(t *testing.T) {
	ann := identity{"ann@example.com", "u1"}
	b, m, err := stageBoth(t, schemas.ModeMirror, schemas.ProjectUserID, []identity{ann}, nil, []identity{{"", "u1"}, {"", "u2"}}, []identity{{ann.email, ""}, {"", "u9"}})
	if err != nil || m.Suppressed != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
	b.change(t, b.input, func(u *snapshot.Update) error {
		one := snapshot.Member{Email: []byte("new@example.com"), UserID: []byte("u1"), Fields: 7}
		one.Key = batch.KeyHash(one.Email, one.UserID, schemas.ProjectUserID)
		return u.Put(&one)
	})
	if m, err = b.stageInput(b.input); err != nil || m.Suppressed != 0 || m.Updates != 1 {
		t.Errorf("%+v, %v", m, err)
	}
}

// change publishes the next snapshot of the segment that was staged.
func (b *bench) change(t *testing.T, in schemas.StageInput, do func(*snapshot.Update) error) {
	t.Helper()
	h := ledger.NewHeader(in.Run, in.Export, in.ListID, in.Connection.ProjectType)
	old, err := b.Ledger().Open(t.Context(), in.Run, h)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	u := snapshot.NewUpdate("", 0)
	defer u.Close()
	if err := do(u); err != nil {
		t.Fatal(err)
	}
	if err := b.Ledger().Publish(t.Context(), in.Run, u, old, h); err != nil {
		t.Fatal(err)
	}
}

// moving is a segment with a list for each country, whose profiles move from one to another.
type moving struct {
	*dividing
	in    schemas.DivideInput
	out   schemas.DivideResult
	never string
}

var (
	movingAnn = identity{"ann@example.com", "u1"}
	movingBob = identity{"bob@example.com", "u2"}
	someone   = identity{"eve@example.com", "u9"}
)

// newMoving returns a segment of whose profiles a run has sent Ann, with both identifiers, to the list
// In NO.
func newMoving(t *testing.T, project string) *moving {
	d := &moving{dividing: newDividing(t, schemas.Export{UserID: "Id"}, schemas.Segment{Name: "In {Country}", ForEach: "Country"}), never: t.TempDir()}
	d.project, d.dividing.never = project, []schemas.Suppression{{Name: "Never", Source: d.never, Email: "Mail", UserID: "Id"}}
	d.suppress(someone)
	d.run(rowIn("NO", movingBob), rowIn("NO", movingAnn))
	d.members("In NO", movingAnn)
	return d
}

func rowIn(country string, who identity) string {
	text := func(s string) string {
		if s == "" {
			return "null"
		}
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf(`{"Mail":%s,"Id":%s,"Country":%q,"N":1,"Tags":null}`, text(who.email), text(who.userID), country)
}

func (d *moving) suppress(list ...identity) {
	writeIdentities(d.t, filepath.Join(d.never, "never.arrow"), append(list, someone))
}

// run divides the rows of the next run.
func (d *moving) run(rows ...string) {
	d.t.Helper()
	var err error
	if d.in, d.out, err = d.divide(append(countries(), arrow.Field{Name: "Id", Type: arrow.BinaryTypes.String, Nullable: true}), rows...); err != nil {
		d.t.Fatal(err)
	}
}

func (d *moving) part(list string) schemas.StageInput {
	in := schemas.StageInput{Run: d.in.Run, Export: d.in.Export, Connection: d.in.Connection, ListID: 7, Segment: d.in.Segment.Part(list), Info: d.in.Info, Divided: d.out.Manifest.Attempt}
	in.Run.Segment = list
	return in
}

// members replaces the snapshot of a list.
func (d *moving) members(list string, who ...identity) {
	d.t.Helper()
	in := d.part(list)
	ledgertest.Remember(d.t, d.Ledger(), in.Run, 7, "old@example.com")
	d.change(d.t, in, func(u *snapshot.Update) error {
		for _, one := range who {
			m := snapshot.Member{Email: []byte(one.email), UserID: []byte(one.userID), Fields: 7}
			m.Key = batch.KeyHash(m.Email, m.UserID, d.project)
			if err := u.Put(&m); err != nil {
				return err
			}
		}
		return u.Remove(ledgertest.Member("old@example.com").Key)
	})
}

// stages stages a list, and compares what is to be sent, suppressed and removed as suppressed.
func (d *moving) stages(when, list, want string) {
	d.t.Helper()
	m, err := d.stageInput(d.part(list))
	if got := fmt.Sprintf("%d sent, %d suppressed, %d removed", m.Adds+m.Updates, m.Suppressed, m.SuppressedRemovals); err != nil || got != want {
		d.t.Errorf("%s, %s: %s, want %s, %v", when, list, got, want, err)
	}
}

// TestALinkIsOfAllLists: what an earlier run knew of a profile is in the snapshot of its list. If the
// profile moves to another list of the segment with a row that lacks the suppressed identifier, it is
// removed from the old list, and not sent to the new one.
func TestALinkIsOfAllLists(t *testing.T) {
	for _, project := range []string{schemas.ProjectEmail, schemas.ProjectUserID, schemas.ProjectHybrid} {
		t.Run(project, func(t *testing.T) {
			lacking, entry, other := annIn(project)
			moves := []string{rowIn("NO", movingBob), rowIn("SE", lacking)}

			d := newMoving(t, project)
			d.suppress(entry)
			d.run(moves...)
			d.stages("suppressed before the run", "In NO", "1 sent, 0 suppressed, 1 removed")
			d.stages("suppressed before the run", "In SE", "0 sent, 1 suppressed, 0 removed")
			d.members("In NO", movingBob)
			for range 2 { // no snapshot has her any more
				d.run(moves...)
				d.stages("in later runs", "In SE", "0 sent, 1 suppressed, 0 removed")
			}
			d.members("In SE", other)
			d.run(moves...)
			d.stages("when she was sent with another identifier since", "In SE", "1 sent, 0 suppressed, 0 removed")

			d = newMoving(t, project)
			d.run(moves...)
			d.stages("suppressed while the run waits", "In NO", "1 sent, 0 suppressed, 0 removed")
			d.members("In NO", movingBob)
			d.suppress(entry)
			d.stages("suppressed while the run waits", "In SE", "0 sent, 1 suppressed, 0 removed")

			d = newMoving(t, project)
			d.run(moves...)
			d.members("In NO", movingBob)
			d.members("In SE", lacking)
			d.run(moves...)
			d.suppress(entry)
			want := "0 sent, 1 suppressed, 1 removed"
			if project == schemas.ProjectHybrid { // a snapshot knows only what the last row had
				want = "1 sent, 0 suppressed, 0 removed"
			}
			d.stages("suppressed after she has moved", "In SE", want)

			d = newMoving(t, project)
			d.run(rowIn("SE", movingBob), rowIn("SE", someone))
			d.suppress(entry)
			d.stages("suppressed after she has left", "In NO", "0 sent, 0 suppressed, 1 removed")
			d.members("In NO")
			files, err := d.Root.List(t.Context(), ledger.Key(d.part("In NO").Run, ""))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if strings.Contains(f.Name, dataroot.PendingPrefix) {
					if err := d.Root.DeletePrefix(t.Context(), f.Name); err != nil {
						t.Fatal(err)
					}
				}
			}
			if _, err := d.env.ExecuteActivity(schemas.ActivityCloseDivided, schemas.CloseDividedInput{
				Run: d.in.Run, Export: d.in.Export, Segment: d.in.Segment, Connection: d.in.Connection, Emptied: []string{"In NO"}, Done: true,
			}); err != nil {
				t.Fatal(err)
			}
			if known, err := d.dividedLists(t.Context(), d.in.Run); err != nil || fmt.Sprint(known.Lists, known.Emptied) != "[In SE] [In NO]" {
				t.Errorf("%+v, %v", known, err)
			}
			for range 2 {
				d.run(rowIn("SE", movingBob), rowIn("SE", lacking))
				d.stages("when she comes back to another list", "In SE", "1 sent, 1 suppressed, 0 removed")
			}
		})
	}
}

// TestARepairedListSuppressesOnAllLists: the rows are divided while the list is incomplete. After the
// repair only the lists are staged again, or another run follows.
func TestARepairedListSuppressesOnAllLists(t *testing.T) {
	for _, project := range []string{schemas.ProjectEmail, schemas.ProjectUserID, schemas.ProjectHybrid} {
		t.Run(project, func(t *testing.T) {
			lacking, entry, _ := annIn(project)
			moves := []string{rowIn("NO", movingBob), rowIn("SE", lacking)}
			removed := func() *moving { // as suppressed, from the list In NO
				d := newMoving(t, project)
				d.suppress(entry)
				d.run(moves...)
				d.stages("suppressed", "In NO", "1 sent, 0 suppressed, 1 removed")
				d.members("In NO", movingBob)
				d.suppress()
				return d
			}
			d := removed()
			d.run(moves...)
			d.stages("the list is incomplete", "In SE", "1 sent, 0 suppressed, 0 removed")
			d.suppress(entry)
			d.stages("it is repaired", "In SE", "0 sent, 1 suppressed, 0 removed")
			d.run(moves...)
			d.stages("in the next run", "In SE", "0 sent, 1 suppressed, 0 removed")

			d = removed()
			d.run(rowIn("NO", movingBob), rowIn("SE", someone))
			d.suppress(entry)
			d.run(moves...)
			d.stages("when she comes back", "In SE", "0 sent, 1 suppressed, 0 removed")
		})
	}
}

// TestALinkIsToWhatIsNotTheKey: a profile that was removed because both of its identifiers were on a
// list stays suppressed by the one that a row may lack.
func TestALinkIsToWhatIsNotTheKey(t *testing.T) {
	for _, project := range []string{schemas.ProjectEmail, schemas.ProjectUserID, schemas.ProjectHybrid} {
		_, entry, _ := annIn(project)
		b, list := removedAsSuppressed(t, project, identity{movingAnn.email, ""}, identity{"", movingAnn.userID})
		writeIdentities(t, list, []identity{entry})
		if m, err := b.stageInput(b.input); err != nil || m.Suppressed != 1 || m.Adds != 0 {
			t.Errorf("%s: once only %v is on the list: %+v, %v", project, entry, m, err)
		}
	}
}

// TestASuppressedAddressThatTheRowNoLongerHas: a member whose row lost its address, before the
// address came onto the list, is removed.
func TestASuppressedAddressThatTheRowNoLongerHas(t *testing.T) {
	ann := identity{"ann@example.com", "u1"}
	for project, want := range map[string]int64{schemas.ProjectUserID: 1, schemas.ProjectHybrid: 0} {
		b, m, err := stageBoth(t, schemas.ModeMirror, project, []identity{ann, {"", "u2"}}, nil, []identity{{"", "u1"}, {"bob@example.com", "u2"}}, []identity{{"eve@example.com", ""}})
		if err != nil || m.Updates != 2 {
			t.Fatalf("%+v, %v", m, err)
		}
		up := schemas.UploadInput{Run: b.input.Run, Attempt: m.Attempt, Kind: schemas.Subscribe, End: m.AddBatches}
		err = b.Ledger().WriteAnswered(t.Context(), up, "1", schemas.UploadProgress{Next: m.AddBatches})
		if err == nil {
			report := schemas.ExportReport{ListID: b.input.ListID, Manifest: m}
			err = b.Ledger().Commit(t.Context(), schemas.CommitInput{Run: b.input.Run, Export: b.input.Export, Connection: b.input.Connection, Report: report})
		}
		if err != nil {
			t.Fatal(err)
		}
		c, err := b.Connections.Get("sandbox")
		if err != nil {
			t.Fatal(err)
		}
		writeIdentities(t, filepath.Join(c.Suppress[0].Source, "never.arrow"), []identity{{ann.email, ""}})
		m, err = b.stageInput(b.input)
		if err != nil || m.Suppressed != want || m.SuppressedRemovals != want || m.Members != 2 {
			t.Errorf("%s: %+v, %v", project, m, err)
		}
	}
}

// TestATrialKnowsWhatTheListsKnew: a trial has a snapshot of its own, and does not send a profile that
// only the snapshot of a list knows by a suppressed identifier.
func TestATrialKnowsWhatTheListsKnew(t *testing.T) {
	for _, project := range []string{schemas.ProjectEmail, schemas.ProjectUserID, schemas.ProjectHybrid} {
		lacking, entry, other := annIn(project)
		d := newMoving(t, project)
		d.suppress(entry)
		stages := func(when string, sent, suppressed int64) {
			t.Helper()
			d.run(rowIn("NO", movingBob), rowIn("SE", lacking))
			m, err := d.stageTrial()
			if err != nil || m.Adds != sent || m.Suppressed != suppressed {
				t.Errorf("%s, %s: a trial stages %+v, %v", project, when, m, err)
			}
		}
		stages("a member of a list", 1, 1)
		d.members("In NO", movingBob)
		stages("removed from the list", 1, 1)
		d.run(rowIn("NO", movingBob), rowIn("SE", other))
		d.stages("staged by a run that waits", "In SE", "1 sent, 0 suppressed, 0 removed")
		stages("staged with another identifier, and not sent", 1, 1)
		d.members("In SE")
		d.change(t, d.part("In SE"), func(u *snapshot.Update) error {
			m := snapshot.Member{Email: []byte(other.email), UserID: []byte(other.userID)}
			m.Key = batch.KeyHash(m.Email, m.UserID, project)
			return u.Doubt(&m)
		})
		stages("perhaps sent with another identifier", 1, 1)
		d.members("In SE", other)
		stages("sent with another identifier since", 2, 0)

		b, _, err := stageBoth(t, schemas.ModeMirror, project, []identity{movingAnn, movingBob}, nil, []identity{lacking, movingBob}, []identity{entry})
		if err != nil {
			t.Fatal(err)
		}
		tried := trialOf(b.input, schemas.Trial{Limit: 10, Of: b.input.Run.Segment})
		for _, when := range []string{"a member", "removed"} {
			if m, err := b.stageInput(tried); err != nil || m.Adds != 1 || m.Suppressed != 1 {
				t.Errorf("%s, of one list, %s: a trial stages %+v, %v", project, when, m, err)
			}
			if when == "a member" {
				b.change(t, b.input, func(u *snapshot.Update) error {
					return u.Remove(batch.KeyHash([]byte(movingAnn.email), []byte(movingAnn.userID), project))
				})
			}
		}
	}
}

// trialOf returns the input of a trial of what a run stages.
func trialOf(in schemas.StageInput, of schemas.Trial) schemas.StageInput {
	in.Run.Export, in.Run.RunID, in.Run.Segment = schemas.TrialName(in.Run.Export), "trial", "People (trial)"
	in.Segment = schemas.Segment{Name: in.Run.Segment, Source: in.Segment.Source, Trial: &of}
	in.Export.Mode, in.ListID, in.Full, in.Divided = schemas.ModeAppend, 8, true, ""
	return in
}

// stageTrial stages a trial of the rows of the last run.
func (d *moving) stageTrial() (schemas.Manifest, error) {
	in := d.part("In NO")
	in.Segment = d.in.Segment
	return d.stageInput(trialOf(in, schemas.Trial{Limit: 10, Of: d.in.Segment.Name, ForEach: "Country"}))
}

// TestATrialKnowsWhatARunMovesMeanwhile: while a trial reads what the lists know, a run removes a
// suppressed member. Before, only the snapshot knows her; after, only the record beside it does.
func TestATrialKnowsWhatARunMovesMeanwhile(t *testing.T) {
	d := newMoving(t, schemas.ProjectUserID)
	d.suppress(identity{movingAnn.email, ""})
	d.run(rowIn("AA", movingBob), rowIn("SE", identity{"", "u1"}))
	if err := d.Root.DeletePrefix(t.Context(), ledger.Key(d.in.Run, "linked")); err != nil {
		t.Fatal(err)
	}
	// The snapshot of the first list is damaged. The warning is in the middle of the reading.
	if err := d.Root.Write(t.Context(), ledger.Key(d.part("In AA").Run, dataroot.SnapshotName(1)), []byte("damaged")); err != nil {
		t.Fatal(err)
	}
	warnings := 0
	d.Log = slog.New(onWarning{slog.DiscardHandler, func() {
		if warnings++; warnings > 1 {
			return
		}
		key, entry := batch.KeyHash(nil, []byte("u1"), d.project), suppression.Address([]byte(movingAnn.email))
		if err := d.Root.Write(t.Context(), ledger.Key(d.part("In NO").Run, "linked"), append(key[:], entry[:]...)); err != nil {
			t.Error(err)
		}
		d.members("In NO")
	}})
	if m, err := d.stageTrial(); err != nil || warnings == 0 || m.Adds != 1 || m.Suppressed != 1 {
		t.Errorf("%+v, %v, after %d warnings", m, err, warnings)
	}
}

// onWarning calls a function when something is logged as a warning.
type onWarning struct {
	slog.Handler
	do func()
}

func (onWarning) Enabled(context.Context, slog.Level) bool { return true }

func (h onWarning) Handle(_ context.Context, r slog.Record) error {
	if r.Level == slog.LevelWarn {
		h.do()
	}
	return nil
}
