package sandbox

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// The profiles and a list of them agree with maps that are given the same.
func TestPeopleAgainstMaps(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var p people
	var m members
	ids := map[string]uint32{}
	on := map[uint32]bool{}
	for range 60_000 {
		email := fmt.Sprintf("p%d@example.com", random.IntN(20_000))
		id, found := p.findEmail([]byte(email))
		want, known := ids[email]
		if found != known || found && id != want {
			t.Fatalf("%s: %d %v, want %d %v", email, id, found, want, known)
		}
		if !found {
			id = p.add([]byte(email), []byte("u-"+email))
			ids[email] = id
		}
		if random.IntN(3) == 0 {
			m.remove(id)
			delete(on, id)
		} else {
			m.add(id)
			on[id] = true
		}
	}
	if m.count != len(on) || int(p.count) != len(ids) {
		t.Fatalf("%d members and %d profiles, want %d and %d", m.count, p.count, len(on), len(ids))
	}
	last := -1
	m.all(func(id uint32) bool {
		if !on[id] || int(id) <= last {
			t.Fatalf("member %d", id)
		}
		last = int(id)
		return true
	})
	for email, id := range ids {
		if string(p.email(id)) != email || string(p.user(id)) != "u-"+email {
			t.Fatalf("%s is %s %s", email, p.email(id), p.user(id))
		}
	}
	p.name(0, []byte("new@example.com"), nil)
	if id, found := p.findEmail([]byte("new@example.com")); !found || id != 0 {
		t.Error("a renamed profile isn't found")
	}
	if _, found := p.findUser([]byte("u-p0@example.com")); found && ids["p0@example.com"] == 0 {
		t.Error("a profile is found by a user id that it no longer has")
	}
}

// BenchmarkTenMillionMembers gives what a member costs in memory, and the time
// for a digest of the list.
func BenchmarkTenMillionMembers(b *testing.B) {
	const members = 10_000_000
	for b.Loop() {
		s := New(Config{})
		p := s.projects["sandbox"]
		id := s.newList(p, "l", "", listStandard)
		l := p.lists[id]
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		started := time.Now()
		email := make([]byte, 0, 64)
		for i := range members {
			email = fmt.Appendf(email[:0], "firstname.lastname%d@example.com", (i*7919)%members)
			if _, found := p.people.findEmail(email); found {
				b.Fatal("found")
			}
			l.members.add(p.people.add(email, nil))
		}
		filled := time.Since(started)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/members, "B/member")
		b.ReportMetric(float64(filled.Nanoseconds())/members, "ns/member")
		started = time.Now()
		s.Stats(true)
		b.ReportMetric(time.Since(started).Seconds(), "s/digest")
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.Sys)/1e6, "MB-system")
	}
}
