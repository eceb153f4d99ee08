package limits

import (
	"testing"

	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/schemas"
)

// lead records that connections lead to the same project.
func lead(t *testing.T, s *Share, connections ...string) {
	t.Helper()
	for _, c := range connections {
		if err := s.Leads(t.Context(), c, "api.iterable.com 12-1700000000000"); err != nil {
			t.Fatal(err)
		}
	}
}

// Workers that send over two connections to one project divide its rate, and each starts
// with what the other has learned.
func TestConnectionsToOneProjectShareItsLimits(t *testing.T) {
	dir := t.TempDir()
	a, ra := newShare(t, dir)
	b, rb := newShare(t, dir)
	lead(t, a, "crm", "shop")
	set := schemas.Limits{RequestsPerSecond: 30}
	leaveA, leaveB := a.Join(t.Context(), "crm"), b.Join(t.Context(), "shop")
	la, lb := ra.For("crm", "subscribe", set), rb.For("shop", "subscribe", set)
	until(t, "both have half", func() bool { return la.Rate() == 15 && lb.Rate() == 15 })
	leaveB()
	until(t, "all of it again", func() bool { return la.Rate() == 30 })
	la.mu.Lock()
	la.c.Rows = 7_000
	la.mu.Unlock()
	leaveA()
	for _, connection := range []string{"crm", "shop"} {
		if s, err := Read(t.Context(), a.root, connection); err != nil || s.Limits["subscribe"].Rows != 7_000 {
			t.Errorf("%s: %+v, %v", connection, s, err)
		}
	}
	if s, err := Read(t.Context(), a.root, "another"); err != nil || len(s.Limits) > 0 {
		t.Errorf("another project: %+v, %v", s, err)
	}
}

// In one process two connections to one project have the same limiter, with the lowest of
// their settings.
func TestOneLimiterForAProject(t *testing.T) {
	s, r := newShare(t, t.TempDir())
	lead(t, s, "crm", "shop")
	alone := r.For("crm", "subscribe", schemas.Limits{RequestsPerSecond: 30})
	defer s.Join(t.Context(), "crm")()
	defer s.Join(t.Context(), "shop")()
	crm := r.For("crm", "subscribe", schemas.Limits{RequestsPerSecond: 30})
	shop := r.For("shop", "subscribe", schemas.Limits{MaxRequestsPerSecond: 12, MaxSubscribersPerRequest: 500})
	if crm != shop || crm == alone {
		t.Fatal("the connections have different limiters")
	}
	for _, again := range []*Limiter{crm, r.For("crm", "subscribe", schemas.Limits{RequestsPerSecond: 30})} {
		if rate, most := again.Rate(), again.c.most(); rate != 12 || most != 500 {
			t.Errorf("%g a second of %d profiles", rate, most)
		}
	}
	found := map[string]*Limiter{}
	r.Each(func(connection, _ string, l *Limiter) { found[connection] = l })
	if len(found) != 2 || found["crm"] != crm || found["shop"] != shop {
		t.Errorf("metrics: %v", found)
	}
}

// A worker obeys the settings of a connection that it has never sent over, as they are when
// it begins to send.
func TestSettingsOfAConnectionThatDoesNotSend(t *testing.T) {
	s, r := newShare(t, t.TempDir())
	lead(t, s, "crm", "shop")
	all := map[string]schemas.Limits{"crm": {RequestsPerSecond: 30}, "shop": {RequestsPerSecond: 12}, "other": {RequestsPerSecond: 1}}
	s.Settings = func() map[string]schemas.Limits { return all }
	rate := func() float64 {
		defer s.Join(t.Context(), "crm")()
		return r.For("crm", "subscribe", all["crm"]).Rate()
	}
	if got := rate(); got != 12 {
		t.Errorf("%g requests a second", got)
	}
	all["shop"] = schemas.Limits{RequestsPerSecond: 20}
	if got := rate(); got != 20 {
		t.Errorf("%g requests a second after a change", got)
	}
	all["shop"] = schemas.Limits{RequestsPerSecond: 90}
	leave := s.Join(t.Context(), "crm")
	for _, now := range []schemas.Limit{25, 60} { // while it sends
		if got := r.For("crm", "subscribe", schemas.Limits{RequestsPerSecond: now}).Rate(); got != float64(now) {
			t.Errorf("%g requests a second after a change to %g", got, float64(now))
		}
	}
	leave()
	r.For("shop", "subscribe", all["shop"])
	delete(all, "shop")
	if got := rate(); got != 30 {
		t.Errorf("%g requests a second without the connection", got)
	}
}

// A connection that leads to another project, with another key, moves there once its uploads
// have ended.
func TestAConnectionMovesToAnotherProject(t *testing.T) {
	s, r := newShare(t, t.TempDir())
	lead(t, s, "crm")
	leave := s.Join(t.Context(), "crm")
	before := r.For("crm", "subscribe", schemas.Limits{})
	if err := s.Leads(t.Context(), "crm", "api.iterable.com 99-1800000000000"); err != nil {
		t.Fatal(err)
	}
	more := s.Join(t.Context(), "crm")
	if r.For("crm", "subscribe", schemas.Limits{}) != before {
		t.Error("an upload in progress has new limits")
	}
	more()
	leave()
	defer s.Join(t.Context(), "crm")()
	if r.For("crm", "subscribe", schemas.Limits{}) == before {
		t.Error("the limits are those of the project before")
	}
}

// A turn that was taken over one connection is taken for the other.
func TestConnectionsToOneProjectShareADocumentedLimit(t *testing.T) {
	s, _ := newShare(t, t.TempDir())
	lead(t, s, "crm", "shop")
	free := 0
	for _, connection := range []string{"crm", "shop", "crm", "shop"} {
		taken, _, err := s.Documented(t.Context(), connection, api.ListSize)
		if err != nil {
			t.Fatal(err)
		}
		if !taken {
			free++
		}
	}
	if free < 1 || free > 2 { // 2 where a turn of 15 s ends meanwhile
		t.Errorf("%d turns", free)
	}
}
