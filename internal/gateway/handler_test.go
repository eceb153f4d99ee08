package gateway

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/time/rate"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/schemas"
)

// Somebody who asks for much that is costly leaves room for others.
func TestOnePersonLeavesRoomForCostlyOperationsOfOthers(t *testing.T) {
	h := &Handler{
		o: Options{Office: &Office{}, PerSecond: 100, Burst: 100}, costly: make(chan struct{}, costlyAtOnce),
		people: map[string]*rate.Limiter{}, open: map[[2]string]int{},
	}
	begun, end := make(chan bool), make(chan bool)
	slow := route{name: "slow", least: schemas.RoleViewer, costly: true, serve: func(*Local, http.ResponseWriter, *http.Request) error {
		begun <- true
		<-end
		return nil
	}}
	ask := func(who string) error {
		return h.do(slow, schemas.Person{Name: who, Subject: who, Role: schemas.RoleViewer}, httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	answers := make(chan error)
	for range mostCostly {
		go func() { answers <- ask("eve") }()
		<-begun
	}
	if err := ask("eve"); !access.IsRefused(err, codeTooMany) {
		t.Errorf("one more of the same person: %v", err)
	}
	go func() { answers <- ask("ann") }()
	<-begun
	close(end)
	for range mostCostly + 1 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if len(h.open) != 0 {
		t.Errorf("still counted: %v", h.open)
	}
}

// Plans and their application read files and ask Temporal about every export.
func TestPlansAreCostly(t *testing.T) {
	for _, rt := range routes {
		if strings.HasSuffix(rt.pattern, "/plans") || rt.name == "applyExports" {
			if !rt.costly {
				t.Errorf("%s is not bounded", rt.name)
			}
		}
	}
}

// What went wrong inside of a worker is for administrators and the log.
func TestOnlyAdministratorsSeeInternalErrors(t *testing.T) {
	var log strings.Builder
	for role, want := range map[schemas.Role]string{
		schemas.RoleContributor: "the gateway could not do this; its log says why", schemas.RoleAdministrator: "dial tcp 10.0.0.7: refused",
	} {
		l := (&Office{Log: slog.New(slog.NewTextHandler(&log, nil))}).As(schemas.Person{Role: role})
		if got := l.told("create", "Newsletter", errors.New("dial tcp 10.0.0.7: refused")); got != want {
			t.Errorf("%s is told %q, want %q", role, got, want)
		}
	}
	if !strings.Contains(log.String(), "10.0.0.7") {
		t.Errorf("the log lacks the error: %s", log.String())
	}
}
