package access

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"iterable-segment-export/internal/access/accesstest"
	"iterable-segment-export/internal/access/oidctest"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

var devicePage = regexp.MustCompile(`(?m)^or open (\S+)$`)

// logIn calls starter login, and does in a browser what it says.
func logIn(s world.Starter, person string) string {
	s.T.Helper()
	cmd := s.Command("login")
	var out bytes.Buffer
	cmd.Stdout = &out
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.T.Fatal(err)
	}
	var text strings.Builder
	for lines := bufio.NewScanner(said); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if page := devicePage.FindStringSubmatch(lines.Text()); page != nil {
			oidctest.Browse(s.T, page[1], person)
		}
	}
	if err := cmd.Wait(); err != nil {
		s.T.Fatalf("starter login: %v\n%s", err, text.String())
	}
	return out.String()
}

// TestTheWholeWalkWithARealProvider connects, shares, applies, runs, approves, disconnects
// and removes through the gateway, with tokens that the device flow of a real OpenID
// Connect provider has given to people of three roles.
func TestTheWholeWalkWithARealProvider(t *testing.T) {
	t.Parallel()
	issuer := oidctest.Start(t)
	w := world.New(t, sandbox.Config{}, false)
	w.WithoutConsent()
	w.Allow("administrators")
	w.Secrets = []string{accesstest.Secret}
	w.StartHost()
	g := world.Guarded{World: w}
	g.ServeWith(issuer, oidctest.Audience)
	w.People("Spring", 1, 30, 1, world.Invalid(2)...)
	file := w.Path("exports.yaml")
	e := w.Of("Spring")
	text := "exports:\n  - {name: Spring, connection: sandbox, email: email, segments: [{name: Spring, source: " + jsonOf(t, e.Segments[0].Source) + "}]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := w.Starter()
	homes := map[string]string{"ann": t.TempDir(), "bob": t.TempDir(), "vic": t.TempDir()}
	as := func(person string) { s.Env = []string{"EXPORT_API=" + g.API, "XDG_CONFIG_HOME=" + homes[person]} }

	as("ann")
	s.Contains(s.Want(1, "whoami"), "starter login")
	for person, role := range map[string]string{"ann": "administrator", "bob": "contributor", "vic": "viewer"} {
		as(person)
		s.Contains(logIn(s, person), "Logged in: "+person+"@example.com, "+role)
		info, err := os.Stat(filepath.Join(homes[person], "iterable-segment-export", "logins.json"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the login of %s is kept as %v, %v", person, info, err)
		}
	}

	as("ann")
	s.Contains(s.Want(0, "connect", "sandbox", "--agree"), "agreed to by ann@example.com")
	as("bob")
	refused := s.Want(1, "connect", "sandbox", "--agree")
	s.Contains(refused, "bob@example.com has the role contributor, but this needs administrator")
	if strings.Contains(refused, schemas.ConsentStatement[:40]) {
		t.Error("the statement is shown to a person who can't agree")
	}
	s.Contains(s.Want(1, "apply", file, "--yes"), `connection "sandbox" is not shared with contributors`)
	w.Allow("administrators, contributors")
	w.Until("it is shared", func() bool {
		status, plan, _ := s.Call("apply", file, "--plan")
		return status != 1 && strings.Contains(plan, `create "Spring"`)
	})
	s.Contains(s.Want(0, "apply", file, "--yes"), `create "Spring"`)
	s.Contains(s.Want(0, "run", "Spring"), "done")
	s.Contains(s.Want(0, "rejects", "Spring", "--format", "csv"), "nobody@nowhere")
	as("vic")
	s.Contains(s.Want(0, "status", "Spring"), "done")
	s.Contains(s.Want(1, "rejects", "Spring"), "vic@example.com has the role viewer, but this needs contributor")
	s.Contains(s.Want(1, "run", "Spring"), "but this needs contributor")

	w.People("Spring", 1, 5, 1)
	as("bob")
	waits := regexp.MustCompile(`starter approve "Spring" --wait (\S+)`).FindStringSubmatch(s.Want(3, "run", "Spring"))
	if waits == nil {
		t.Fatal("it does not say what to type")
	}
	as("vic")
	s.Contains(s.Want(1, "approve", "Spring", "--wait", waits[1]), "but this needs contributor")
	as("bob")
	s.Want(0, "approve", "Spring", "--wait", waits[1])
	s.Contains(s.Want(0, "watch", "Spring"), "done")
	if n := len(w.Members("Spring")); n != 5 {
		t.Errorf("%d are on the list", n)
	}

	expire(t, homes["bob"])
	s.Contains(s.Want(0, "whoami"), "bob@example.com, contributor") // by a new token
	as("ann")
	s.Contains(s.Want(0, "disconnect", "sandbox", "--detach"), "Disconnected")
	as("bob")
	text = s.Want(3, "run", "Spring") // it waits, and sends nothing
	s.Contains(text, "disconnected")
	waits = regexp.MustCompile(`starter abort "Spring" --wait (\S+)`).FindStringSubmatch(text)
	if waits == nil {
		t.Fatal("it does not say how to end it")
	}
	s.Want(0, "abort", "Spring", "--wait", waits[1])
	s.Contains(s.Want(1, "watch", "Spring"), "aborted")
	if n := len(w.Members("Spring")); n != 5 {
		t.Errorf("after disconnect %d are on the list", n)
	}
	s.Contains(s.Want(0, "remove", "Spring", "--yes"), `Removed: "Spring"`)
	w.NobodyIsLeft()
	s.Contains(s.Want(0, "login", "--out"), "Logged out")
	s.Contains(s.Want(1, "whoami"), "starter login")
}

// expire makes the token of a login one that has ended.
func expire(t *testing.T, home string) {
	t.Helper()
	file := filepath.Join(home, "iterable-segment-export", "logins.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for _, login := range all {
		if login["refresh"] == nil {
			t.Fatalf("the login can't be renewed: %v", login)
		}
		login["token"] = "e30.eyJleHAiOjF9.e30" // {"exp":1}
	}
	if err := os.WriteFile(file, []byte(jsonOf(t, all)), 0o600); err != nil {
		t.Fatal(err)
	}
}
