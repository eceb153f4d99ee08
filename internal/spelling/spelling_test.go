package spelling

import "testing"

func TestDidYouMean(t *testing.T) {
	valid := []string{"append", "mirror"}
	for word, want := range map[string]string{
		"miror":   "; did you mean mirror?",
		"Append":  "; did you mean append?",
		"app":     "; did you mean append?",
		"mriror":  "; did you mean mirror?",
		"replace": "; use append or mirror",
		"":        "; use append or mirror",
	} {
		if got := DidYouMean(word, valid); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

func TestGuess(t *testing.T) {
	names := []string{"EmailAddress", "Email", "E-Mail", "e mail", "Spring campaign"}
	for word, want := range map[string]string{
		"Emal":            `; did you mean "Email", "E-Mail" or "e mail"?`,
		"Sprng campaign":  `; did you mean "Spring campaign"?`,
		"Autumn campaign": "",
		"":                "",
	} {
		if got := Guess(word, names); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
