package activities

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/internal/ledger/ledgertest"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// oneConnection is a connections.yaml with one connection, to a sandbox.
type oneConnection struct{ c schemas.Connection }

func (o oneConnection) Get(name string) (schemas.Connection, error) {
	if name != o.c.Name {
		return schemas.Connection{}, errors.New("there is no such connection")
	}
	return o.c, nil
}

func (o oneConnection) Key(schemas.Connection) (string, error) { return sandbox.DefaultKey, nil }

func (o oneConnection) Names() []string { return []string{o.c.Name} }

func (o oneConnection) Retention() schemas.Retention { return schemas.Retention{} }
func (o oneConnection) Status() config.Status        { return config.Status{} }

// bench is the activities of one worker, beside a sandbox.
type bench struct {
	*Activities
	sandbox *sandbox.Server
	env     *testsuite.TestActivityEnvironment
	dir     string // of the data root
	source  string // of what was staged last
	input   schemas.StageInput
}

func newBench(t testing.TB, s *sandbox.Server) *bench {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	root, err := storage.OpenRoot(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	gate, err := access.New(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	connections := oneConnection{schemas.Connection{Name: "sandbox", BaseURL: server.URL,
		Consent: &schemas.Consent{AcceptedBy: "ann", AcceptedAt: time.Now()}}}
	b := &bench{sandbox: s, dir: dir}
	b.Activities = &Activities{
		Connections: connections, Access: gate, Root: root, TempDir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
		Clients: &Clients{Connections: connections, New: func(c schemas.Connection, key func() (string, error)) (*iterable.Client, error) {
			return iterable.New(iterable.Options{BaseURL: c.BaseURL, Key: key, Wait: b.Senders.Wait(c.Name)})
		}},
	}
	var suite testsuite.WorkflowTestSuite
	b.env = suite.NewTestActivityEnvironment()
	b.env.RegisterActivityWithOptions(b.EnsureList, activity.RegisterOptions{Name: schemas.ActivityEnsureList})
	return b
}

func (b *bench) ensure(in schemas.EnsureListInput) (out schemas.ListRef, err error) {
	v, err := b.env.ExecuteActivity(schemas.ActivityEnsureList, in)
	if err == nil {
		err = v.Get(&out)
	}
	return out, err
}

var wanted = schemas.EnsureListInput{
	Run: schemas.RunRef{Export: "Spring", Segment: "High-value"}, Connection: "sandbox", Name: "High-value", Create: true,
}

func (b *bench) named(name string) (ids []int64) {
	for _, l := range b.sandbox.Stats(false).Lists {
		if l.Name == name {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

func TestEnsureListFindsOrMakesTheList(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.sandbox.AddList(api.List{Name: "high-value"}) // another name: names are compared exactly
	find := wanted
	find.Create = false
	if none, err := b.ensure(find); err != nil || none.ID != 0 || len(b.named(wanted.Name)) > 0 {
		t.Fatalf("got %+v, %v, before there is anything to send", none, err)
	}
	made, err := b.ensure(wanted)
	if err != nil || !made.Created {
		t.Fatalf("got %+v, %v", made, err)
	}
	again, err := b.ensure(wanted)
	if err != nil || again.ID != made.ID || again.Created {
		t.Fatalf("got %+v, %v", again, err)
	}
}

// TestRacingWorkersMakeOneList lets several workers look for a list that does
// not exist, all at once.
func TestRacingWorkersMakeOneList(t *testing.T) {
	s := sandbox.New(sandbox.Config{Fast: true})
	// Everybody's first look is held back until nobody has made the list yet.
	if err := s.AddFaults(sandbox.Fault{Endpoint: "lists/create", Kind: "slow", Delay: 200e6}); err != nil {
		t.Fatal(err)
	}
	const workers = 4
	var all sync.WaitGroup
	ids := make([]int64, workers)
	var first *bench
	for i := range workers {
		b := newBench(t, s)
		if first == nil {
			first = b
		}
		b.Root = first.Root
		all.Go(func() {
			l, err := b.ensure(wanted)
			if err != nil {
				t.Error(err)
			}
			ids[i] = l.ID
		})
	}
	all.Wait()
	left := first.named("High-value")
	if len(left) != 1 {
		t.Fatalf("lists %v are left", left)
	}
	for _, id := range ids {
		if id != left[0] {
			t.Errorf("a worker took list %d, and %d is left", id, left[0])
		}
	}
}

// TestATwinThatALostRaceLeftIsPassedOver: a worker that was killed while it made the list
// may leave a second one. Nothing is deleted for being empty, since sizes lag behind.
func TestATwinThatALostRaceLeftIsPassedOver(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	deployment, err := b.deployment(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.sandbox.AddList(api.List{Name: "High-value", Description: description(deployment, wanted.Connection, wanted.Run.Export)})
	}
	before := b.named("High-value")
	for range 2 { // the second time its record says which is this export's
		l, err := b.ensure(wanted)
		if err != nil || l.ID != before[0] || len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "is filled, delete or rename the others") {
			t.Fatalf("got %+v, %v", l, err)
		}
	}
	if left := b.named("High-value"); len(left) != 2 {
		t.Errorf("lists %v are left of %v", left, before)
	}
}

// TestTwoExportsDoNotFeedOneList: whoever comes second asks, and its answer hands the list
// over; then the first one asks.
func TestTwoExportsDoNotFeedOneList(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	second := wanted
	second.Run.Export = "Autumn"
	first, err := b.ensure(wanted)
	if err != nil {
		t.Fatal(err)
	}
	message := func(err error) string {
		t.Helper()
		isOfType(t, err, schemas.ErrorListOwned)
		var app *temporal.ApplicationError
		errors.As(err, &app)
		return app.Message()
	}
	_, err = b.ensure(second)
	question := message(err)
	for _, want := range []string{"segment \"High-value\" of export \"Spring\" over connection \"sandbox\"", "to export \"Autumn\""} {
		if !strings.Contains(question, want) {
			t.Errorf("%q lacks %q", question, want)
		}
	}
	second.TakeFrom = "the answer to another question"
	if _, err = b.ensure(second); err == nil {
		t.Fatal("any answer hands the list over")
	}
	second.Check = true
	if _, err = b.ensure(second); err == nil {
		t.Fatal("a check does not tell")
	}
	second.Check, second.TakeFrom = false, question
	l, err := b.ensure(second)
	if err != nil || l.ID != first.ID {
		t.Fatalf("%+v, %v", l, err)
	}
	_, err = b.ensure(wanted)
	if q := message(err); !strings.Contains(q, "of export \"Autumn\"") {
		t.Error(q)
	}
	if err := b.disown(t.Context(), "Autumn"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.ensure(wanted); err != nil { // nobody fills it any more, and it made it
		t.Fatal(err)
	}
	second.TakeFrom = ""
	if _, err := b.ensure(second); err == nil {
		t.Fatal("the list is the first export's again")
	}
}

// TestAnotherDeploymentsListIsAskedFor: its description says where it comes from.
func TestAnotherDeploymentsListIsAskedFor(t *testing.T) {
	s := sandbox.New(sandbox.Config{Fast: true})
	b, other := newBench(t, s), newBench(t, s)
	other.Clients, other.Connections = b.Clients, b.Connections
	if _, err := b.ensure(wanted); err != nil {
		t.Fatal(err)
	}
	_, err := other.ensure(wanted) // an export of the same name, by another data root
	isOfType(t, err, schemas.ErrorListForeign)
	if err != nil && !strings.Contains(err.Error(), "another data root or export, as its description says") {
		t.Error(err)
	}
}

// However Iterable reacts to a list whose name is taken, a run adopts it or says
// what to do, and makes no list more.
func TestListsThatIterableMakesOtherwise(t *testing.T) {
	for name, c := range map[string]struct {
		config  sandbox.Config
		there   string
		wanted  string
		hidden  bool // from the first look, as a list that was made a moment ago
		message string
	}{
		"refuses a twin":          {config: sandbox.Config{RefuseTwins: true}, there: "VIP", wanted: "VIP", hidden: true},
		"makes a twin":            {there: "VIP", wanted: "VIP", hidden: true},
		"trims the name":          {config: sandbox.Config{TrimNames: true}, wanted: "VIP ", message: `Iterable names a list "VIP"`},
		"trims it to one's twin":  {config: sandbox.Config{TrimNames: true, RefuseTwins: true}, there: "VIP", wanted: "VIP ", message: `beside list 1, "VIP"`},
		"trims it to make a twin": {config: sandbox.Config{TrimNames: true}, there: "VIP", wanted: "VIP ", message: `Iterable names a list "VIP"`},
	} {
		t.Run(name, func(t *testing.T) {
			c.config.Fast = true
			b := newBench(t, sandbox.New(c.config))
			lists := 0
			if c.there != "" {
				lists = 1
				b.sandbox.AddList(api.List{Name: c.there})
			}
			in := wanted
			in.Name, in.Run.Segment = c.wanted, c.wanted
			var got schemas.ListRef
			var err error
			if c.hidden {
				client, clientErr := b.Clients.Get("sandbox")
				if clientErr != nil {
					t.Fatal(clientErr)
				}
				o := ownership{Activities: b.Activities, in: in, deployment: "0123456789"}
				got, err = o.ensureList(t.Context(), client, nil, 0)
			} else {
				got, err = b.ensure(in)
			}
			if c.message == "" && (err != nil || got.ID != 1) || c.message != "" && (err == nil || !strings.Contains(err.Error(), c.message)) {
				t.Errorf("got %+v, %v", got, err)
			}
			if n := len(b.sandbox.Stats(false).Lists); n != lists {
				t.Errorf("%d lists are left", n)
			}
		})
	}
}

// Where Iterable answers the creation of a list with one that was there, under a name
// that it takes for the same, that list is left alone.
func TestAListThatWasThereIsNeverDeleted(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	id := b.sandbox.AddList(api.List{Name: "vip"})
	client, err := b.Clients.Get("sandbox")
	if err != nil {
		t.Fatal(err)
	}
	in := wanted
	in.Name = "VIP"
	there := []iterable.List{{ID: id, Name: "vip", Type: api.Standard}}
	o := ownership{Activities: b.Activities, in: in, deployment: "0123456789"}
	if _, err := o.settle(t.Context(), client, there, there, id); err == nil || !strings.Contains(err.Error(), `takes list 1, "vip", for the list "VIP"`) {
		t.Error(err)
	}
	if len(b.named("vip")) != 1 {
		t.Error("the list is gone")
	}
}

// The workers of a deployment ask for sizes as seldom as Iterable allows.
func TestSizesAreAskedForSeldom(t *testing.T) {
	s := sandbox.New(sandbox.Config{Fast: true})
	b := newBench(t, s)
	b.Senders = limits.NewShare(b.Root, limits.NewRegistry(), b.Log)
	client, err := b.Clients.Get("sandbox")
	if err != nil {
		t.Fatal(err)
	}
	id := s.AddList(api.List{Name: "l"})
	known := 0
	for range 20 {
		if b.listSize(t.Context(), client, "sandbox", id) >= 0 {
			known++
		}
	}
	if n := s.Stats(false).Endpoints["lists/size"].Requests; n < 1 || n > 2 || known != int(n) { // 2 where a turn of 15 s ends meanwhile
		t.Errorf("%d requests, %d answers", n, known)
	}
}

// Many lists at once, in five workers: no request is one too many for the limits that Iterable
// documents, whether the lists exist or not. Meanwhile each worker tries the connection.
func TestListsAreLookedForWithinTheDocumentedLimit(t *testing.T) {
	s := sandbox.New(sandbox.Config{NewList: -1})
	var workers []*bench
	for range 5 {
		b := newBench(t, s)
		if len(workers) > 0 {
			b.Root = workers[0].Root
		}
		b.Senders = limits.NewShare(b.Root, limits.NewRegistry(), b.Log)
		workers = append(workers, b)
	}
	const rounds, lists = 4, 8
	for round := range rounds {
		var all sync.WaitGroup
		for i, b := range workers {
			for k := range lists {
				in := wanted
				in.Name = fmt.Sprintf("list %d", (round/2*len(workers)+i)*lists+k) // each is made, and then found
				in.Run.Segment = in.Name
				var suite testsuite.WorkflowTestSuite
				env := suite.NewTestActivityEnvironment()
				env.RegisterActivityWithOptions(b.EnsureList, activity.RegisterOptions{Name: schemas.ActivityEnsureList})
				all.Go(func() {
					if _, err := env.ExecuteActivity(schemas.ActivityEnsureList, in); err != nil {
						t.Error(err)
					}
				})
			}
			if round > 0 {
				continue
			}
			all.Go(func() {
				if _, _, err := b.Clients.Try(t.Context(), b.Connections.(oneConnection).c); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	stats := s.Stats(false)
	for _, e := range []api.Endpoint{api.Lists, api.GetFields} {
		if of := stats.Endpoints[e.Name]; of.Throttled > 0 || of.Requests == 0 {
			t.Errorf("%s: %d of %d requests were answered 429", e, of.Throttled, of.Requests)
		}
	}
	if n := len(stats.Lists); n != rounds/2*len(workers)*lists {
		t.Errorf("there are %d lists", n)
	}
}

// A size that Iterable takes long to count delays nothing.
func TestARunDoesNotWaitForASize(t *testing.T) {
	s := sandbox.New(sandbox.Config{Fast: true})
	b := newBench(t, s)
	if _, err := b.ensure(wanted); err != nil {
		t.Fatal(err)
	}
	if err := s.AddFaults(sandbox.Fault{Endpoint: "lists/size", Kind: "slow", Delay: 3 * sizeWithin}); err != nil {
		t.Fatal(err)
	}
	if l, err := b.ensure(wanted); err != nil || l.Size != -1 {
		t.Errorf("got %+v, %v, want a size that is not known", l, err)
	}
}

// A run that follows another one soon would count its changes twice, or not at all.
func TestASizeOfBeforeTheLastRunIsNotUsed(t *testing.T) {
	s := sandbox.New(sandbox.Config{Fast: true})
	b := newBench(t, s)
	in := wanted
	in.Run.Connection = in.Connection
	l, err := b.ensure(in)
	if err != nil {
		t.Fatal(err)
	}
	ledgertest.Remember(t, b.Ledger(), schemas.RunRef{Connection: "sandbox", Export: wanted.Run.Export, Segment: wanted.Name}, l.ID, "ann@example.com")
	for after, want := range map[time.Duration]int64{time.Second: -1, 2 * sizeLag: 0} {
		b.Now = func() time.Time { return time.Now().Add(after) }
		if l, err := b.ensure(in); err != nil || l.Size != want {
			t.Errorf("%v after a run: size %d, %v, want %d", after, l.Size, err, want)
		}
	}
	if n := s.Stats(false).Endpoints["lists/size"].Requests; n != 1 {
		t.Errorf("%d requests for a size", n)
	}
}

func TestEnsureListAsksAnOperator(t *testing.T) {
	for name, c := range map[string]struct {
		lists   []api.List
		listID  int64
		want    schemas.ErrorType
		message string
	}{
		"twins":      {lists: []api.List{{Name: "High-value"}, {Name: "High-value"}}, want: schemas.ErrorListAmbiguous, message: "2 lists are named"},
		"dynamic":    {lists: []api.List{{Name: "High-value", ListType: "Dynamic"}}, want: schemas.ErrorListUnusable, message: "of type Dynamic"},
		"no such id": {listID: 999_999, want: schemas.ErrorListGone, message: "999999"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
			for _, l := range c.lists {
				b.sandbox.AddList(l)
			}
			in := wanted
			in.ListID = c.listID
			_, err := b.ensure(in)
			var app *temporal.ApplicationError
			if !errors.As(err, &app) || app.Type() != c.want || !app.NonRetryable() || !strings.Contains(app.Message(), c.message) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestAListIDMustBearTheName(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	id := b.sandbox.AddList(api.List{Name: "Another"})
	in := wanted
	in.ListID = id
	if _, err := b.ensure(in); err == nil || !strings.Contains(err.Error(), "\"Another\"") {
		t.Fatalf("got %v", err)
	}
}

func TestDescriptionsFit(t *testing.T) {
	long := strings.Repeat("ü", 200)
	d := description("0123456789ABCDEF", "sandbox", long)
	if n := len([]rune(d)); n != api.MaxDescription {
		t.Fatalf("%d characters", n)
	}
	if d == description("0123456789ABCDEF", "sandbox", long+"x") || d == description("0123456789ABCDEF", "another", long) {
		t.Error("two exports have the same")
	}
}

// TestALongNameIsNotFoundAgain: an administrators' export has a name that is too long for the
// description of its lists. A contributor looks for one that begins the same way, has the same
// description, and so takes the lists that the export has left behind.
func TestALongNameIsNotFoundAgain(t *testing.T) {
	const tries = 1 << 17
	long := strings.Repeat("Payroll of all countries ", 5)
	theirs := map[string]string{}
	for i := range tries {
		name := fmt.Sprint(long, "A", i)
		theirs[description("0123456789ABCDEF", "owners", name)] = name
	}
	for i := range tries {
		name := fmt.Sprint(long, "B", i)
		if other, ok := theirs[description("0123456789ABCDEF", "sandbox", name)]; ok {
			t.Fatalf("%q over the shared connection has the description of %q over the administrators'", name, other)
		}
	}
}
