// Package oidctest starts a real OpenID Connect provider for tests, with three users.
package oidctest

import (
	"bufio"
	"embed"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"iterable-segment-export/internal/emulators"
)

//go:embed oidc
var oidcFiles embed.FS

// Audience is the audience of the provider's tokens, and the ID of the client.
const Audience = "segment-export"

// Start starts node-oidc-provider, a certified OpenID Connect provider, and returns its
// issuer. Its users are ann, bob and vic: an administrator, a contributor and a viewer.
// It needs Node, and npm the first time.
func Start(t testing.TB) (issuer string) {
	t.Helper()
	file := func(name string) []byte {
		data, err := oidcFiles.ReadFile("oidc/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	modules, err := emulators.NPM("oidc", file("package.json"), file("package-lock.json"))
	if err != nil {
		t.Skipf("no OpenID Connect provider: %v", err)
	}
	program := filepath.Join(t.TempDir(), "provider.mjs")
	if err := os.WriteFile(program, file("provider.mjs"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	cmd := exec.Command("node", program, port)
	cmd.Env = append(os.Environ(), "OIDC_MODULES="+filepath.Join(modules, "node_modules"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var said strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if at, ok := strings.CutPrefix(lines.Text(), "listens at "); ok {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return at
		}
		fmt.Fprintln(&said, lines.Text())
	}
	t.Fatalf("the provider ended:\n%s", said.String())
	return ""
}

var (
	form   = regexp.MustCompile(`(?s)<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>`)
	field  = regexp.MustCompile(`<input[^>]*>`)
	detail = regexp.MustCompile(`(name|value)="([^"]*)"`)
)

// Browse opens a page of the provider as a browser does, and submits its forms as person
// until a page has no form.
func Browse(t testing.TB, page, person string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	answer, err := browser.Get(page)
	for range 10 {
		if err != nil {
			t.Fatal(err)
		}
		text, err2 := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err2 != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s answers %s, %v:\n%s", answer.Request.URL, answer.Status, err2, text)
		}
		f := form.FindSubmatch(text)
		if f == nil {
			return
		}
		values := url.Values{}
		for _, input := range field.FindAll(f[2], -1) {
			parts := map[string]string{}
			for _, d := range detail.FindAllStringSubmatch(string(input), -1) {
				parts[d[1]] = html.UnescapeString(d[2])
			}
			switch parts["name"] {
			case "":
			case "login":
				values.Set("login", person)
			case "password":
				values.Set("password", "any")
			default:
				values.Set(parts["name"], parts["value"])
			}
		}
		to, err3 := answer.Request.URL.Parse(html.UnescapeString(string(f[1])))
		if err3 != nil {
			t.Fatal(err3)
		}
		answer, err = browser.PostForm(to.String(), values)
	}
	t.Fatal("the provider asks on and on")
}
