package schemas

import (
	"fmt"
	"testing"
)

func TestNamesOfLists(t *testing.T) {
	each := Segment{Name: "Customers {Country} (EU)", ForEach: "Country", Source: "s"}
	split := Segment{Name: "Spring", Split: &Split{Groups: map[string]string{"A": "50%", "B": "40%", "control": "10%"}, Holdout: []string{"control"}}}
	plain := Segment{Name: "All", ListID: 7}
	e := Export{Segments: []Segment{plain, each, split}}
	for name, want := range map[string]string{
		"All": `{All 7 }`, "Customers NO (EU)": `{Customers NO (EU) 0 Customers {Country} (EU)}`, "Spring/A": `{Spring/A 0 Spring}`,
		"Customers {Country} (EU)": `{Customers {Country} (EU) 0 }`, "Spring/control": `{Spring/control 0 Spring}`, "spring/gone": `{spring/gone 0 Spring}`, "customers no (eu)": `{customers no (eu) 0 Customers {Country} (EU)}`, "Spring/": "", "Customers  (EU)": "", "Customers NO": "", "Customers  NO (EU)": "",
	} {
		got := ""
		if s, ok := e.Find(name); ok {
			got = fmt.Sprint(struct {
				Name string
				ID   int64
				Of   string
			}{s.Name, s.ListID, s.Of})
		}
		if got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	if g := split.Groups(); fmt.Sprint(g) != "[{Spring/A Spring 0 5000} {Spring/B Spring 5000 9000} { Spring 9000 10000}]" {
		t.Errorf("groups: %v", g)
	}
	each.Name = "Customers {Country}"
	for name, o := range map[string]Segment{
		"customers vip":        {Name: "customers vip"},
		"Customers VIP":        {Name: "Customers VIP"},
		"":                     {Name: "All customers"},
		"Customers {City}":     {Name: "Customers {City}", ForEach: "City"},
		"Customers to write/A": {Name: "Customers to write", Split: split.Split},
	} {
		got, ok := overlap(o, each)
		other, also := overlap(each, o)
		if ok != (name != "") || also != ok || ok && got != name && other != name {
			t.Errorf("%q overlaps in %q, %q, want %q", o.Name, got, other, name)
		}
	}
	if _, ok := overlap(Segment{Name: "{Country} VIP", ForEach: "Country"}, Segment{Name: "{City} guests", ForEach: "City"}); ok {
		t.Error("different ends overlap")
	}
}

func overlap(s, o Segment) (list string, ok bool) {
	a, b := s.Targets(), o.Targets()
	return a.Overlaps(&b)
}
