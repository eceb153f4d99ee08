package deploy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// stage is one stage of a Dockerfile.
type stage struct {
	name, from string
	lines      []instruction
}

type instruction struct{ word, rest string }

// readStages is as much of a reader of Dockerfiles as ours needs: instructions
// of one line or several, no here-documents.
func readStages(t *testing.T) []stage {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	var whole []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			whole = append(whole, line)
		}
	}
	text := strings.ReplaceAll(strings.Join(whole, "\n"), "\\\n", " ")
	var stages []stage
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		i := instruction{strings.ToUpper(word), strings.Join(strings.Fields(rest), " ")}
		if i.word != "FROM" {
			if len(stages) == 0 {
				t.Fatalf("%s stands before the first FROM", line)
			}
			last := &stages[len(stages)-1]
			last.lines = append(last.lines, i)
			continue
		}
		parts := strings.Fields(rest)
		parts = slices.DeleteFunc(parts, func(p string) bool { return strings.HasPrefix(p, "--") })
		if len(parts) != 3 || !strings.EqualFold(parts[1], "AS") {
			t.Fatalf("%q names no stage", line)
		}
		stages = append(stages, stage{name: parts[2], from: parts[0]})
	}
	return stages
}

func find(t *testing.T, stages []stage, name string) stage {
	t.Helper()
	for _, s := range stages {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("the Dockerfile has no stage %s", name)
	return stage{}
}

// chain gives a stage and what it is built upon, the base image's stage last.
func chain(stages []stage, s stage) []stage {
	found := []stage{s}
	for i := slices.IndexFunc(stages, func(o stage) bool { return o.name == s.from }); i >= 0; {
		s = stages[i]
		found = append(found, s)
		i = slices.IndexFunc(stages, func(o stage) bool { return o.name == s.from })
	}
	return found
}

func TestTargets(t *testing.T) {
	stages, p := readStages(t), project(t)
	for _, name := range ours {
		build := p.Services[name].Build
		if build == nil || build.Dockerfile != "Dockerfile" {
			t.Errorf("%s is built from %+v", name, build)
			continue
		}
		links := chain(stages, find(t, stages, build.Target))
		if base := links[len(links)-1].from; !strings.HasPrefix(base, "gcr.io/distroless/static-debian12:nonroot@sha256:") {
			t.Errorf("%s stands on %s", name, base)
		}
		user := ""
		for _, s := range slices.Backward(links) {
			for _, i := range s.lines {
				if i.word == "USER" {
					user = i.rest
				}
				if i.word == "RUN" {
					t.Errorf("%s runs something in an image without a shell: %s", name, i.rest)
				}
			}
		}
		if user != "65532:65532" {
			t.Errorf("%s runs as %q", name, user)
		}
	}
	if last := stages[len(stages)-1].name; last != "worker" {
		t.Errorf("docker build without a target makes %s", last)
	}
}

// TestWhatIsRunIsBuilt: health checks, entry points and volumes name what the
// image has.
func TestWhatIsRunIsBuilt(t *testing.T) {
	stages, p := readStages(t), project(t)
	for _, name := range ours {
		target := find(t, stages, p.Services[name].Build.Target)
		var files []string
		entry := ""
		for _, i := range target.lines {
			switch i.word {
			case "COPY":
				words := strings.Fields(i.rest)
				from := words[slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "--from=") })]
				if words[len(words)-1] == "/usr/local/bin/" {
					files = append(files, built(t, find(t, stages, strings.TrimPrefix(from, "--from=")))...)
				} else {
					files = append(files, words[len(words)-1])
				}
			case "ENTRYPOINT":
				entry = i.rest
			}
		}
		command := regexp.MustCompile(`^\["([^"]+)"`).FindStringSubmatch(entry)
		if command == nil || !slices.Contains(files, command[1]) {
			t.Errorf("%s: the image has %v, and its entry point is %s", name, files, entry)
		}
		if check := p.Services[name].HealthCheck.Test; check[0] != "CMD" || !slices.Contains(files, check[1]) {
			t.Errorf("%s: the image has %v, and the health check is %v", name, files, check)
		}
		for _, v := range p.Services[name].Volumes {
			if v.Type == "volume" && !slices.Contains(files, v.Target) {
				t.Errorf("%s: no folder %s in the image, so that the volume there belongs to root", name, v.Target)
			}
		}
	}
}

// built gives the programs that a stage's go build makes, and checks that their
// packages exist.
func built(t *testing.T, s stage) []string {
	t.Helper()
	var files []string
	for _, i := range s.lines {
		_, packages, found := strings.Cut(i.rest, "-o /out/bin/ ")
		if i.word != "RUN" || !found {
			continue
		}
		for pkg := range strings.FieldsSeq(packages) {
			if data, err := os.ReadFile(filepath.Join(root, pkg, "main.go")); err != nil || !strings.Contains(string(data), "package main") {
				t.Errorf("stage %s builds %s, which is no program: %v", s.name, pkg, err)
			}
			files = append(files, "/usr/local/bin/"+filepath.Base(pkg))
		}
	}
	return files
}

func TestTheBuilderHasTheGoOfTheModule(t *testing.T) {
	want := "golang:" + goMod(t).Go.Version + "-bookworm@sha256:"
	if from := find(t, readStages(t), "build").from; !strings.HasPrefix(from, want) {
		t.Errorf("the builder is %s; go.mod wants %s…", from, want)
	}
}

// TestWorkerVariables: every variable that the images and docker-compose.yml set
// for the worker is one that it reads.
func TestWorkerVariables(t *testing.T) {
	known := workerVariables(t)
	set := map[string]bool{}
	for v := range project(t).Services["worker"].Environment {
		set[v] = true
	}
	for _, i := range find(t, readStages(t), "worker").lines {
		if i.word == "ENV" {
			for pair := range strings.FieldsSeq(i.rest) {
				name, _, _ := strings.Cut(pair, "=")
				set[name] = true
			}
		}
	}
	// The example's connection names this one.
	delete(set, "ITERABLE_SANDBOX_KEY")
	for v := range set {
		if !slices.Contains(known, v) {
			t.Errorf("the worker does not read %s", v)
		}
	}
}

// workerVariables reads the names of variables from the worker's source, since a
// program can't be imported: the tags of its settings, and Temporal's own.
func workerVariables(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "worker/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			if name := reflect.StructTag(text).Get("envconfig"); name != "" {
				names = append(names, name)
			} else if strings.HasPrefix(text, "TEMPORAL_") {
				names = append(names, text)
			}
			return true
		})
	}
	if len(names) < 5 {
		t.Fatalf("the worker's source names only the variables %v", names)
	}
	return names
}

// TestTheContextHasTheSourceOnly: every folder with code is in the build's
// context, and nothing that may hold people's data or keys.
func TestTheContextHasTheSourceOnly(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	var allowed []string
	all := false
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		all = all || line == "*"
		if name, ok := strings.CutPrefix(line, "!"); ok {
			allowed = append(allowed, name)
		}
	}
	if !all {
		t.Error("not everything is left out that is not named")
	}
	code, err := filepath.Glob(filepath.Join(root, "*", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"go.mod", "go.sum", "internal"}
	for _, file := range code {
		want = append(want, filepath.Base(filepath.Dir(file)))
	}
	slices.Sort(want)
	slices.Sort(allowed)
	if want = slices.Compact(want); !slices.Equal(allowed, want) {
		t.Errorf("the context has %v; the code is in %v", allowed, want)
	}
}
