package console

import "testing"

func TestMasked(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "",
		"a@example.com":           "a•••@example.com",
		"ann@example.com":         "a•••@example.com",
		"Ünal@example.com":        "Ü•••@example.com",
		"u-1234":                  "u•••",
		"ann@b@example.com":       "a•••",
		"ann@example.com +49 123": "a•••",
		"@example.com":            "@•••",
		"not an address":          "n•••",
	} {
		if got := masked(in); got != want {
			t.Errorf("%q is masked as %q, want %q", in, got, want)
		}
	}
}
