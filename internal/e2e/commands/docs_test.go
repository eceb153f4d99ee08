package commands

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/schemas"
)

// repository is the folder of the go.mod, seen from this package.
const repository = "../../.."

// elsewhere are programs that a page may name and that this machine need not have.
var elsewhere = map[string]bool{"curl": true, "temporal": true, "duckdb": true, "docker": true, "kubectl": true, "helm": true, "systemctl": true, "journalctl": true, "sudo": true, "install": true, "promtool": true}

// TestEveryCommandOfTheDocs types what the pages say, page by page, as a reader
// would: with the development server of its own in one terminal where the page needs
// one, and the commands in another. What tests and builds is not run again inside of
// a test; the packages and the tests that it names have to exist.
func TestEveryCommandOfTheDocs(t *testing.T) {
	t.Parallel()
	bin := map[string]string{"worker/dev": world.Build(t, "worker/dev/stack"), "starter": world.Build(t, "starter"), "worker": world.Build(t, "worker")}
	for _, page := range pages(t) {
		blocks := shellBlocks(t, page)
		if len(blocks) == 0 {
			continue
		}
		name, _ := filepath.Rel(repository, page)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &reader{t: t, bin: bin, dir: t.TempDir()}
			for _, folder := range []string{"examples", "schemas"} {
				if err := os.CopyFS(filepath.Join(r.dir, folder), os.DirFS(filepath.Join(repository, folder))); err != nil {
					t.Fatal(err)
				}
			}
			for _, command := range slices.Concat(blocks...) {
				if strings.Contains(command, "go run ./starter") || strings.Contains(command, "go run ./worker ") {
					t.Errorf("%s: go run exits with 1 whatever the exit status; name the installed program", command)
				}
				r.types(command)
			}
		})
	}
}

// pages are the Markdown files of the repository.
func pages(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.WalkDir(repository, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != repository && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		if err == nil && entry.IsDir() && entry.Name() == "node_modules" {
			return fs.SkipDir
		}
		if err == nil && strings.HasSuffix(path, ".md") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// shellBlocks gives the commands of a page's shell blocks, in order. A command that
// goes on after a backslash is one.
func shellBlocks(t *testing.T, page string) (blocks [][]string) {
	t.Helper()
	file, err := os.Open(page)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	inside, command := false, ""
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		switch {
		case !inside && (line == "```sh" || line == "```bash" || line == "```shell"):
			inside = true
			blocks = append(blocks, nil)
		case inside && line == "```":
			inside = false
		case inside && strings.HasSuffix(line, "\\"):
			command += strings.TrimSuffix(line, "\\")
		case inside && line != "" && !strings.HasPrefix(line, "#"):
			blocks[len(blocks)-1] = append(blocks[len(blocks)-1], command+line)
			command = ""
		}
	}
	return blocks
}

// reader follows one page.
type reader struct {
	t       *testing.T
	bin     map[string]string
	dir     string
	env     []string       // that the page has exported
	address string         // of the development server's Temporal, once it serves
	port    string         // of its sandbox
	told    []string       // the variables that it names for the starter
	api     bool           // the page has said where the gateway is
	g       *world.Guarded // has the gateway, once it serves
}

var (
	assignments = regexp.MustCompile(`^([A-Z_0-9]+=('[^']*'|"[^"]*"|\S*)\s+)+`)
	comment     = regexp.MustCompile(`\s+#.*$`)
)

// types does what a reader does with one command line.
func (r *reader) types(line string) {
	r.t.Helper()
	line = comment.ReplaceAllString(line, "")
	command := assignments.ReplaceAllString(line, "")
	words := strings.Fields(command)
	switch {
	case strings.HasPrefix(command, "export EXPORT_API="):
		r.api = true
	case strings.HasPrefix(command, "export "):
		r.env = append(r.env, words[1:]...)
	case strings.HasPrefix(command, ".ci/"):
		if _, err := os.Stat(filepath.Join(repository, words[0])); err != nil {
			r.t.Error(err)
		}
	case strings.HasPrefix(command, "go test"):
		r.namesTests(words[2:])
	case strings.HasPrefix(command, "go tool "), strings.HasPrefix(command, "go build "), strings.HasPrefix(command, "go get "), strings.HasPrefix(command, "mkdir "), strings.HasPrefix(command, "cd "):
		r.t.Logf("not typed: %s", line)
	case strings.HasPrefix(command, "go run ./internal/bench"):
		if _, err := os.Stat(filepath.Join(repository, words[2])); err != nil {
			r.t.Error(err)
		}
	case strings.HasPrefix(command, "go run ./worker/dev sandbox"):
		r.serves(command+" --addr 127.0.0.1:0", "http://127.0.0.1:")
	case command == "go run ./worker/dev", strings.HasPrefix(command, "go run ./worker/dev --") && !strings.Contains(command, "--exit") && !strings.Contains(command, "--help"):
		r.develops(command)
	case strings.HasPrefix(command, "go run ./worker/dev --exit"):
		r.shell(command + r.ports())
	case strings.HasPrefix(command, "go install "):
		for _, program := range words[2:] {
			if strings.Contains(program, "@") { // a tool of others
				continue
			}
			if r.bin[strings.TrimPrefix(program, "./")] == "" {
				r.t.Errorf("%s installs %s, which is no program", line, program)
			}
		}
	case words[0] == "starter" && words[1] == "login": // TestTheWholeWalkWithARealProvider does
		r.shell("go run ./starter help login")
	case words[0] == "starter" && (r.api || strings.Contains(line, "EXPORT_API=")):
		r.asks(command)
	case words[0] == "starter", words[0] == "worker" && len(words) > 1:
		r.types("go run ./" + line)
	case words[0] == "worker": // it serves: TestARollingUpgrade
		r.t.Logf("not typed: %s", line)
	case strings.HasPrefix(command, "go run ./starter"):
		if r.address == "" {
			r.develops("go run ./worker/dev") // the page takes it for granted
		}
		r.shell(command)
	case strings.HasPrefix(command, "go run ./worker"):
		r.shell(command)
	case strings.HasPrefix(command, "echo "), words[0] == "printf", elsewhere[words[0]]:
		r.t.Logf("needs %s: %s", words[0], line)
	default:
		r.t.Errorf("nobody has said how to try this command: %s", line)
	}
}

// program puts what was built in the place of "go run".
func (r *reader) program(line string) string {
	for _, p := range []string{"worker/dev", "starter", "worker"} {
		line = strings.ReplaceAll(line, "go run ./"+p+" ", r.bin[p]+" ")
		if strings.HasSuffix(line, "go run ./"+p) {
			line = strings.ReplaceAll(line, "go run ./"+p, r.bin[p])
		}
	}
	return line
}

func (r *reader) command(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-c", "exec "+r.program(line))
	cmd.Dir = r.dir
	cmd.Env = append(append(os.Environ(), r.env...), "TEMPORAL_ADDRESS="+r.address)
	if !slices.ContainsFunc(r.env, func(e string) bool { return strings.HasPrefix(e, "DATA_ROOT=") }) {
		cmd.Env = append(cmd.Env, r.told...)
	}
	if r.port != "" {
		cmd.Env = append(cmd.Env, config.SandboxPort+"="+r.port)
	}
	return cmd
}

// shell types a command that has to end well. Where it asks, the answer is yes.
func (r *reader) shell(line string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), world.Patience)
	defer cancel()
	cmd := r.command(ctx, line)
	cmd.Env = append(cmd.Env, world.ShortLived)
	cmd.Stdin = strings.NewReader("yes\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Errorf("%s: %v\n%s", line, err, out)
	}
	said := strings.ReplaceAll(string(out), schemas.ReasonUnknownTLD.Sentence(), "")
	for _, surprise := range []string{"starter: no examples", "warning: list", "no such file", "does not exist", "can't be read"} {
		if strings.Contains(said, surprise) {
			r.t.Errorf("%s surprises with %q:\n%s", line, surprise, out)
		}
	}
}

// asks types a command where there is a gateway, as an administrator. Its exports and
// connections are those that the pages speak of.
func (r *reader) asks(command string) {
	r.t.Helper()
	if r.g == nil {
		g := world.NewGuarded(r.t)
		g.Others += g.Connection("marketing", g.URL, "{}") + g.Connection("marketing-eu", g.URL, "{}")
		g.WriteConnections("{}")
		if err := os.CopyFS(g.Sources, os.DirFS(filepath.Join(repository, "examples/segments"))); err != nil {
			r.t.Fatal(err)
		}
		g.People("Spring campaign", 1, 5, 1)
		e := g.Over("Spring campaign", "marketing")
		e.Email, e.Segments[0].Source = "email", filepath.Join(g.Sources, "Spring campaign")
		admin := g.As(schemas.RoleAdministrator)
		g.Until("the worker has read the file", func() bool {
			all, err := admin.Connections(r.t.Context())
			return err == nil && len(all.Connections) == 4
		})
		if p, err := admin.Apply(r.t.Context(), gateway.PlanRequest{File: schemas.Exports{Exports: []schemas.Export{e}}}); err != nil || p.Failed > 0 {
			r.t.Fatalf("%+v, %v", p, err)
		}
		g.Done(g.Through(admin, gateway.StartRequest{Export: e.Name}))
		r.g = &g
	}
	r.env = append(r.env, "EXPORT_API="+r.g.API, "EXPORT_TOKEN="+r.g.Provider.Token("ann", schemas.RoleAdministrator))
	r.shell("go run ./" + strings.ReplaceAll(command, "/config/segments", r.g.Sources))
}

// ports are flags that let several development servers run at once.
func (r *reader) ports() (flags string) {
	for _, flag := range []string{"temporal-port", "ui-port", "sandbox-port"} {
		_, port, _ := net.SplitHostPort(world.FreeAddr(r.t))
		flags += fmt.Sprintf(" --%s %s", flag, port)
	}
	return flags
}

// develops starts the development server, in place of one that runs.
func (r *reader) develops(line string) {
	r.t.Helper()
	flags := r.ports()
	text := r.serves(line+flags, "Serving until Ctrl-C.")
	r.port = flags[strings.LastIndex(flags, " ")+1:] // of the sandbox
	for _, l := range strings.Split(text, "\n") {
		words := strings.Fields(l)
		if len(words) == 2 && words[0] == "Temporal" {
			r.address = words[1]
		}
		if told, ok := strings.CutPrefix(l, "In another terminal, for starter: export "); ok {
			r.told = strings.Fields(strings.ReplaceAll(told, `"`, ""))
			if len(r.told) != 6 || r.told[0] != "TEMPORAL_ADDRESS="+r.address {
				r.t.Errorf("%s", l)
			}
		}
	}
}

// serves starts what serves until Ctrl-C, and waits until it says so. At the test's
// end it gets its Ctrl-C, and has to end well.
func (r *reader) serves(line, ready string) string {
	r.t.Helper()
	log := filepath.Join(r.t.TempDir(), "log")
	out, err := os.Create(log)
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := r.command(context.Background(), line)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	r.t.Cleanup(func() {
		defer out.Close()
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case err := <-ended:
			if err != nil {
				r.t.Errorf("%s: after Ctrl-C: %v", line, err)
			}
		case <-time.After(world.Patience):
			_ = cmd.Process.Kill()
			r.t.Errorf("%s: does not end", line)
		}
	})
	for end := time.Now().Add(world.Patience); ; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(log)
		if err != nil {
			r.t.Fatal(err)
		}
		if strings.Contains(string(text), ready) {
			return string(text)
		}
		if time.Now().After(end) {
			r.t.Fatalf("%s: never says %q:\n%s", line, ready, text)
		}
		select {
		case err := <-ended:
			ended <- err
			r.t.Fatalf("%s: %v\n%s", line, err, text)
		default:
		}
	}
}
