package runs

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iterable-segment-export/internal/e2e/world"
)

// hunt looks for words that are to stay in their place, in whatever form they may
// leave it.
type hunt struct {
	forms map[string]string // to be searched, in lower case where its key says so
	exact map[string]string
}

// newHunt takes the words, each long and odd enough to be found nowhere else.
func newHunt(words ...string) *hunt {
	h := &hunt{forms: map[string]string{}, exact: map[string]string{}}
	for _, w := range words {
		for _, form := range []string{w, url.QueryEscape(w), url.PathEscape(w), hex.EncodeToString([]byte(w))} {
			h.forms[strings.ToLower(form)] = w
		}
		for _, cased := range []string{w, strings.ToLower(w), strings.ToUpper(w)} {
			for _, form := range base64Forms(cased) {
				h.exact[form] = w
			}
		}
	}
	return h
}

// base64Forms are what a word can look like inside of base64, wherever it begins
// in what was encoded.
func base64Forms(word string) (forms []string) {
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			text := e.EncodeToString(append(make([]byte, shift), word...))
			from, to := (shift*8+5)/6, (shift+len(word))*8/6 // the characters that are made of the word alone
			forms = append(forms, text[from:to])
		}
	}
	return forms
}

// in gives the words that are somewhere in data.
func (h *hunt) in(data []byte) (found []string) {
	lower := bytes.ToLower(data)
	for form, word := range h.forms {
		if bytes.Contains(lower, []byte(form)) {
			found = append(found, word+" as "+form)
		}
	}
	for form, word := range h.exact {
		if bytes.Contains(data, []byte(form)) {
			found = append(found, word+" as "+form)
		}
	}
	return found
}

// clean fails the test if one of the words is in data.
func (h *hunt) clean(t *testing.T, what string, data []byte) {
	t.Helper()
	for _, found := range h.in(data) {
		form := found[strings.LastIndex(found, " ")+1:]
		at := max(0, bytes.Index(bytes.ToLower(data), []byte(strings.ToLower(form))))
		t.Errorf("%s holds %s: …%q…", what, found, data[max(0, at-100):min(len(data), at+100)])
	}
}

// files gives every file below a folder with its content, and fails the test where
// others than the owner may look at one.
func files(w *world.World, dir string) map[string][]byte {
	w.T.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			w.T.Errorf("%s is %v, want %v", name, info.Mode().Perm(), want)
		}
		if !e.IsDir() {
			all[name], err = os.ReadFile(name)
		}
		return err
	})
	if err != nil {
		w.T.Fatal(err)
	}
	return all
}

// TestTheHuntFindsWhatIsThere plants a word in every form, in the midst of others.
func TestTheHuntFindsWhatIsThere(t *testing.T) {
	const word = "Quetzal.Person+7@Canary.example"
	h := newHunt(word)
	around := func(s string) string { return "{\"a\": \"" + s + "\"}" }
	planted := map[string]string{
		"as it is": word, "lower": strings.ToLower(word), "upper": strings.ToUpper(word),
		"query": url.QueryEscape(word), "path": url.PathEscape(word),
		"hex": hex.EncodeToString([]byte(word)), "upper hex": strings.ToUpper(hex.EncodeToString([]byte(word))),
	}
	for _, before := range []string{"", "x", "xy", "xyz"} {
		for name, e := range map[string]*base64.Encoding{"std": base64.StdEncoding, "url": base64.RawURLEncoding} {
			planted["base64 "+name+before] = e.EncodeToString([]byte(before + word + "tail"))
			planted["base64 lower "+name+before] = e.EncodeToString([]byte(before + strings.ToLower(word)))
		}
	}
	for name, text := range planted {
		if len(h.in([]byte(around(text)))) == 0 {
			t.Errorf("%s: %q is not found", name, text)
		}
	}
	if found := h.in([]byte(around("Quetzal.Person+8@Canary.example"))); len(found) > 0 {
		t.Errorf("found what is not there: %v", found)
	}
}
