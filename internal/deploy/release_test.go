package deploy

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// goreleaser is the module that has the schema of .goreleaser.yaml.
const goreleaser = "github.com/goreleaser/goreleaser/v2@v2.12.7"

// release is the part of .goreleaser.yaml that the tests look at.
type release struct {
	Builds []struct {
		ID, Main, Binary string
		Env              []string
		Flags, Ldflags   []string
		ModTimestamp     string `yaml:"mod_timestamp"`
	}
	Sboms  []struct{ Artifacts string }
	Signs  []struct{ Artifacts string }
	Images []struct {
		Dockerfile string
		ExtraFiles []string          `yaml:"extra_files"`
		BuildArgs  map[string]string `yaml:"build_args"`
		SBOM       bool              `yaml:"sbom"`
	} `yaml:"dockers_v2"`
	ImageSigns []struct{ Artifacts string } `yaml:"docker_signs"`
}

func releaseFile(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, ".goreleaser.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestTheReleaseHasItsSchema validates the file against the schema of its tool, which lies in
// the module cache once the module was downloaded.
func TestTheReleaseHasItsSchema(t *testing.T) {
	cache, err := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(strings.TrimSpace(string(cache)), filepath.FromSlash(goreleaser), "www", "docs", "static", "schema.json")
	text, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		t.Skipf("the schema is not here; go mod download %s fetches it", goreleaser)
	}
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("goreleaser.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("goreleaser.json")
	if err != nil {
		t.Fatal(err)
	}
	var file any
	if err := yaml.Unmarshal(releaseFile(t), &file); err != nil {
		t.Fatal(err)
	}
	plain, err := json.Marshal(file)
	if err == nil {
		file, err = jsonschema.UnmarshalJSON(bytes.NewReader(plain))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(file); err != nil {
		t.Error(err)
	}
}

// TestTheReleaseBuildsAsTheImagesDo: both programs, with the flags of the Dockerfile, an SBOM
// of everything and signatures.
func TestTheReleaseBuildsAsTheImagesDo(t *testing.T) {
	var r release
	if err := yaml.Unmarshal(releaseFile(t), &r); err != nil {
		t.Fatal(err)
	}
	var programs []string
	for _, b := range r.Builds {
		programs = append(programs, b.Main)
		var flags []string
		flags = append(append(flags, b.Flags...), "-ldflags")
		for _, f := range b.Ldflags {
			flags = append(flags, strings.ReplaceAll(f, "{{ .Version }}", "1.2.3"))
		}
		if want := buildFlags(t); !slices.Equal(flags, want) {
			t.Errorf("%s is built with %q, and in the image with %q", b.ID, flags, want)
		}
		if b.Binary != b.ID || b.Main != "./"+b.ID || !slices.Equal(b.Env, []string{"CGO_ENABLED=0"}) || b.ModTimestamp == "" {
			t.Errorf("the build %+v", b)
		}
	}
	if !slices.Equal(programs, []string{"./worker", "./starter"}) {
		t.Errorf("the release has the programs %q", programs)
	}
	if len(r.Sboms) != 2 || len(r.Signs) != 1 || len(r.Images) != 1 || len(r.ImageSigns) != 1 {
		t.Fatalf("%+v", r)
	}
	image := r.Images[0]
	if !image.SBOM || image.BuildArgs["VERSION"] != "{{ .Version }}" {
		t.Errorf("the image: %+v", image)
	}
	ignored, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	var context []string
	for _, m := range regexp.MustCompile(`(?m)^!(\S+)$`).FindAllStringSubmatch(string(ignored), -1) {
		context = append(context, m[1])
	}
	if !slices.Equal(image.ExtraFiles, context) {
		t.Errorf("the image is made from %q, and .dockerignore lets in %q", image.ExtraFiles, context)
	}
}
