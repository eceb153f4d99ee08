package runs

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/people"
	"iterable-segment-export/internal/report"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// customer is a row of the table that the team's warehouse exports as Parquet.
type customer struct {
	Email      string    `parquet:"Email,optional"`
	FirstName  string    `parquet:"FirstName,optional,dict"`
	Country    string    `parquet:"Country,dict"`
	EmailOptIn bool      `parquet:"EmailOptIn"`
	UpdatedAt  time.Time `parquet:"UpdatedAt,timestamp(millisecond)"`
}

// complaint is a row of the suppression list.
type complaint struct {
	Email string `parquet:"Email"`
}

// quarter is a team with its warehouse, and what it knows of its customers.
type quarter struct {
	*world.World
	admin      *gateway.Local
	optedOut   map[int]bool
	suppressed map[int]bool
	last       int // the newest customer
}

// The team's file of exports. SOURCE is the folder of the warehouse's files.
const quarterExports = `
exports:
  - name: Newsletter
    connection: sandbox
    email: Email
    record: all
    dedupe: {by: UpdatedAt, keep: newest}
    fields:
      - {column: FirstName, transform: [trim, titleCase], default: there}
      - {value: 2026-spring, as: campaign}
    segments:
      - {name: Newsletter, source: "SOURCE/customers/*.parquet", where: {column: EmailOptIn, is: true}}
  - name: Spring
    connection: sandbox
    email: Email
    segments:
      - name: Norway
        source: SOURCE/customers/*.parquet
        where: {all: [{column: EmailOptIn, is: true}, {column: Country, equals: "NO"}]}
        split: {groups: {control: 10%, A: 45%, B: 45%}, holdout: [control]}
      - name: Sweden
        source: SOURCE/customers/*.parquet
        where: {all: [{column: EmailOptIn, is: true}, {column: Country, equals: SE}]}
  - name: Countries
    connection: sandbox
    email: Email
    segments:
      - {name: "Customers {Country}", source: SOURCE/customers/*.parquet, forEach: Country, where: {column: EmailOptIn, is: true}}
`

// optsIn reports whether a customer agreed to the newsletter. Three of four do.
func (q *quarter) optsIn(i int) bool { return i%4 != 3 && !q.optedOut[i] }

func norwegian(i int) bool { return i%2 == 0 }

// warehouse writes the customers, with one bad address, and an old row of customer 8 before
// the new one.
func (q *quarter) warehouse() {
	q.T.Helper()
	updated := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rows := []customer{
		{Email: "nobody@nowhere", Country: "SE", EmailOptIn: true, UpdatedAt: updated},
		{Email: world.Person(8), FirstName: "Old Name", Country: "NO", EmailOptIn: true, UpdatedAt: updated},
	}
	for i := 1; i <= q.last; i++ {
		c := customer{Email: world.Person(i), FirstName: " anne-marie ", Country: "SE", EmailOptIn: q.optsIn(i), UpdatedAt: updated.AddDate(0, 0, 1)}
		if norwegian(i) {
			c.Country = "NO"
		}
		rows = append(rows, c)
	}
	writeRows(q, "customers", rows)
}

// complaints writes the suppression list.
func (q *quarter) complaints() {
	q.T.Helper()
	rows := []complaint{{"complained@before.example.com"}}
	for _, i := range slices.Sorted(maps.Keys(q.suppressed)) {
		rows = append(rows, complaint{strings.ToUpper(world.Person(i))})
	}
	writeRows(q, "complaints", rows)
}

func writeRows[T any](q *quarter, folder string, rows []T) {
	q.T.Helper()
	dir := filepath.Join(q.Sources, folder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		q.T.Fatal(err)
	}
	if err := parquet.WriteFile(filepath.Join(dir, "part-0.parquet"), rows); err != nil {
		q.T.Fatal(err)
	}
}

// run runs an applied export to its end, or until it waits.
func (q *quarter) run(export string) operate.View {
	q.T.Helper()
	started, err := q.admin.Start(q.T.Context(), gateway.StartRequest{Export: export})
	if err != nil {
		q.T.Fatal(err)
	}
	return q.Watch(started.Run)
}

// month runs all exports, and compares the lists with what the team knows.
func (q *quarter) month(name string) (newsletter, spring operate.View) {
	q.T.Helper()
	newsletter, spring = q.run("Newsletter"), q.run("Spring")
	q.Done(newsletter)
	q.Done(spring)
	q.Done(q.run("Countries"))
	all := map[string][]string{}
	for i := 1; i <= q.last; i++ {
		if !q.optsIn(i) || q.suppressed[i] {
			continue
		}
		all["Newsletter"] = append(all["Newsletter"], world.Person(i))
		if norwegian(i) {
			all["Norway"] = append(all["Norway"], world.Person(i))
		} else {
			all["Sweden"] = append(all["Sweden"], world.Person(i))
		}
	}
	all["Customers NO"], all["Customers SE"] = all["Norway"], all["Sweden"]
	for _, list := range []string{"Newsletter", "Sweden", "Customers NO", "Customers SE"} {
		if have := q.Members(list); !slices.Equal(have, all[list]) {
			q.T.Errorf("%s: the list %q has %d members, want %d", name, list, len(have), len(all[list]))
		}
	}
	a, b := q.Members("Norway/A"), q.Members("Norway/B")
	sent := append(slices.Clone(a), b...)
	for _, address := range sent {
		if !slices.Contains(all["Norway"], address) {
			q.T.Errorf("%s: %s is in a group, and should not be sent", name, address)
		}
	}
	control := len(all["Norway"]) - len(sent)
	if control == 0 || control > len(all["Norway"])/4 || len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) }) {
		q.T.Errorf("%s: %d in A, %d in B and %d in the control group", name, len(a), len(b), control)
	}
	return newsletter, spring
}

// groups returns the group of each Norwegian customer on a list.
func (q *quarter) groups() map[string]string {
	q.T.Helper()
	of := map[string]string{}
	for _, group := range []string{"A", "B"} {
		for _, address := range q.Members("Norway/" + group) {
			of[address] = group
		}
	}
	return of
}

// find returns the lists that a customer is on, and what became of them in each run.
func (q *quarter) find(i int) (lists, outcomes []string) {
	q.T.Helper()
	found, err := q.admin.FindPerson(q.T.Context(), people.FindRequest{Person: world.Person(i), History: true})
	if err != nil || len(found.Unreadable) > 0 {
		q.T.Fatalf("%+v, %v", found, err)
	}
	for _, l := range found.Lists {
		lists = append(lists, l.Segment)
	}
	for _, r := range found.Rows {
		if r.Export == "Newsletter" {
			outcomes = append(outcomes, strings.TrimSpace(string(r.Outcome)+" "+string(r.Reason)))
		}
	}
	slices.Sort(lists)
	return lists, outcomes
}

// overview returns the state of an export in the overview.
func (q *quarter) overview(export string) report.ExportOverview {
	q.T.Helper()
	all, err := q.admin.Overview(q.T.Context())
	if err != nil {
		q.T.Fatal(err)
	}
	i := slices.IndexFunc(all.Exports, func(e report.ExportOverview) bool { return e.Export == export })
	if i < 0 {
		q.T.Fatalf("the overview lacks %q: %+v", export, all)
	}
	return all.Exports[i]
}

// TestAMarketingTeamsQuarter walks through three months of a team: a trial, a newsletter for who
// opted in, a campaign by country with a control group, a list for each country, a suppression list that grows, a request for
// deletion, a broken delivery, an overview and an audit.
func TestAMarketingTeamsQuarter(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	// Fast: it is about who is sent, not when.
	q := &quarter{World: world.New(t, sandbox.Config{Fast: true, KeepData: true}, false), optedOut: map[int]bool{}, suppressed: map[int]bool{}, last: 200}
	path := q.Path("connections.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	suppress := "    suppress: [{name: Complaints, source: segments/complaints, email: Email}]\n    consent:"
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), "    consent:", suppress, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	q.warehouse()
	q.complaints()
	q.StartHost()
	q.admin = q.Service()
	if err := os.WriteFile(q.Path("exports.yaml"), []byte(strings.ReplaceAll(quarterExports, "SOURCE", q.Sources)), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := config.LoadExports(q.Path("exports.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if plan, err := q.admin.Apply(t.Context(), gateway.PlanRequest{File: *file}); err != nil || plan.Failed > 0 {
		t.Fatalf("%+v, %v", plan, err)
	}

	// A trial with two colleagues, one of whom has not opted in. It touches no other list.
	try := gateway.StartRequest{Export: "Newsletter", Trial: &gateway.TrialRequest{Only: []string{world.Person(1), world.Person(3)}}}
	trial, err := q.admin.Start(t.Context(), try)
	if err != nil {
		t.Fatal(err)
	}
	q.Done(q.Watch(trial.Run))
	if have := q.Members("Newsletter (trial)"); !slices.Equal(have, world.Persons(1, 1)) || len(q.Sandbox.Stats(false).Lists) != 1 || q.overview("Newsletter").State != "" {
		t.Errorf("the trial's list has %v, of the lists %+v", have, q.Sandbox.Stats(false).Lists)
	}

	// January: the first runs.
	newsletter, _ := q.month("January")
	r := q.Done(newsletter)
	if m := r.Manifest; m.Read != 202 || m.Filtered != 50 || m.Duplicates != 1 || r.Rejected[schemas.ReasonNoTLD] != 1 {
		t.Errorf("January: read %d, filtered %d, %d duplicates, rejected %v", m.Read, m.Filtered, m.Duplicates, r.Rejected)
	}
	var user struct {
		User struct{ DataFields map[string]any }
	}
	if err := json.Unmarshal(q.Call(http.MethodGet, "/api/users/"+world.Person(8), ""), &user); err != nil {
		t.Fatal(err)
	}
	if f := user.User.DataFields; f["FirstName"] != "Anne-Marie" || f["campaign"] != "2026-spring" {
		t.Errorf("customer 8 has %v: the newest row counts, and its name begins with a capital", f)
	}

	// February: some complain, some withdraw their consent, and new customers arrive.
	before := q.groups()
	q.suppressed[2], q.suppressed[4], q.suppressed[5] = true, true, true
	q.optedOut[6], q.optedOut[9] = true, true
	q.last = 220
	q.warehouse()
	q.complaints()
	newsletter, _ = q.month("February")
	if m := q.Done(newsletter).Manifest; m.Suppressed != 3 || m.Removals != 5 || m.SuppressedRemovals != 3 || m.Adds != 15 {
		t.Errorf("February: %d suppressed, %d removals, %d of them suppressed, %d adds", m.Suppressed, m.Removals, m.SuppressedRemovals, m.Adds)
	}
	for address, group := range q.groups() {
		var i int
		_, _ = fmt.Sscanf(address, "p%03d@", &i)
		if was := before[address]; i <= 200 && was != group {
			t.Errorf("%s was in group %q, and is in %q", address, was, group)
		}
	}
	if lists, outcomes := q.find(2); len(lists) > 0 || !slices.Contains(outcomes, "removed suppressed") || outcomes[len(outcomes)-1] != "added" {
		t.Errorf("who complained is on %v, after %q", lists, outcomes)
	}

	// March: a customer of the newsletter and of group A asks to be deleted. The team removes
	// the row, and suppresses the address until it is gone everywhere.
	gone := slices.IndexFunc(world.Persons(1, 200), func(address string) bool { return q.groups()[address] == "A" }) + 1
	if lists, _ := q.find(gone); !slices.Equal(lists, []string{"Customers NO", "Newsletter", "Norway/A"}) {
		t.Errorf("who asks to be deleted is on %v", lists)
	}
	q.suppressed[gone] = true
	q.complaints()
	q.month("March")
	if lists, outcomes := q.find(gone); len(lists) > 0 || !slices.Contains(outcomes, "removed suppressed") {
		t.Errorf("after the request for deletion: on %v, after %q", lists, outcomes)
	}
	forgotten, err := q.admin.ForgetPerson(t.Context(), people.ForgetRequest{Person: world.Person(gone)})
	kinds := map[string]bool{}
	for _, f := range forgotten.Files {
		kinds[f.Kind] = true
	}
	if err != nil || !forgotten.Complete() || len(forgotten.Lists) > 0 || !kinds[people.KindRecord] {
		t.Errorf("forgotten: %+v, %v", forgotten, err)
	}
	if lists, outcomes := q.find(gone); len(lists)+len(outcomes) > 0 {
		t.Errorf("a forgotten person is on %v, after %q", lists, outcomes)
	}

	// A broken delivery has half of the customers. Nobody is removed before a person answers.
	whole := q.last
	q.last = 100
	q.warehouse()
	q.last = whole
	waits := q.run("Newsletter")
	q.WaitsWith(waits, schemas.ErrorGuardrail, "would be removed")
	e := q.overview("Newsletter")
	if len(e.Waits) != 1 || e.State != schemas.StateWaiting || !strings.Contains(e.Waits[0].Commands[0], `starter approve "Newsletter" --wait `) {
		t.Errorf("the overview has %+v", e)
	}
	abort := gateway.AnswerRequest{Answer: schemas.UpdateAbort, Wait: waits.Waits()[0].ID}
	if _, err := q.admin.Answer(t.Context(), waits.Run, abort); err != nil {
		t.Fatal(err)
	}
	if v := q.Watch(waits.Run); v.State != schemas.StateAborted {
		t.Errorf("the run is %s", v.State)
	}
	if e := q.overview("Newsletter"); e.State != schemas.StateAborted || len(e.Waits) > 0 {
		t.Errorf("after the answer the overview has %+v", e)
	}
	q.warehouse()
	q.month("March again")

	q.looksBack(begin)
}

// looksBack checks the overview of the quarter, and the audit trail.
func (q *quarter) looksBack(begin time.Time) {
	q.T.Helper()
	newsletter, spring := q.overview("Newsletter"), q.overview("Spring")
	var sizes []int64
	for _, r := range newsletter.Runs {
		sizes = append(sizes, r.Lists[0].Size)
	}
	if want := []int64{150, 160, 159, 0, 159}; !slices.Equal(sizes, want) || newsletter.State != schemas.StateDone || newsletter.Runs[3].State != schemas.StateAborted {
		q.T.Errorf("the newsletter's list had %v members, want %v; its last run is %s", sizes, want, newsletter.State)
	}
	if got := newsletter.Rejected[report.MonthOf(time.Now())][schemas.ReasonNoTLD]; got < 4 {
		q.T.Errorf("%d rows were rejected as no_tld", got)
	}
	if lists := spring.Last().Lists; len(spring.Runs) != 4 || len(lists) != 3 || lists[2].Segment != "Sweden" {
		q.T.Errorf("%d runs of the campaign; the last has the lists %+v", len(spring.Runs), lists)
	}
	page, err := q.Root.Read(q.T.Context(), dataroot.OverviewKey)
	if err != nil {
		q.T.Fatal(err)
	}
	for _, want := range []string{`aria-label="Export Newsletter"`, `aria-label="Export Spring"`, "Norway/A", "150 to 160", "no_tld"} {
		if !strings.Contains(string(page), want) {
			q.T.Errorf("reports/index.html lacks %q", want)
		}
	}

	trail, err := q.admin.Audit(q.T.Context(), begin)
	if err != nil {
		q.T.Fatal(err)
	}
	done := map[schemas.AuditWhat]int{}
	for _, e := range trail {
		done[e.What]++
		if e.What == schemas.AuditAborted && !strings.Contains(e.Details, "would be removed") {
			q.T.Errorf("the audit trail does not say what was aborted: %+v", e)
		}
	}
	want := map[schemas.AuditWhat]int{schemas.AuditApplied: 3, schemas.AuditTried: 1, schemas.AuditRan: 13, schemas.AuditSearched: 4, schemas.AuditForgot: 2, schemas.AuditAborted: 1} // forgot: before and after
	if !maps.Equal(done, want) {
		q.T.Errorf("the audit trail has %v, want %v", done, want)
	}
	text, err := json.Marshal(trail)
	if err != nil || strings.Contains(string(text), "@example.com") || strings.Contains(string(page), "@example.com") {
		q.T.Errorf("the audit trail or the overview names a customer: %v", err)
	}
}
