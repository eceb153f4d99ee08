package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// goreleaser is the tool that makes a release, as docs/versioning.md installs it.
const goreleaser = "github.com/goreleaser/goreleaser/v2@v2.15.1"

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

// TestGoReleaserChecks has the tool itself check its file, in a repository with a remote, which it
// asks for.
func TestGoReleaserChecks(t *testing.T) {
	if !strings.Contains(page(t, "versioning.md"), "\ngo install "+goreleaser+"\n") {
		t.Errorf("docs/versioning.md does not install %s", goreleaser)
	}
	tool, err := exec.LookPath("goreleaser")
	if err != nil {
		t.Skipf("goreleaser is not installed; go install %s", goreleaser)
	}
	good := string(releaseFile(t))
	for name, file := range map[string]string{"": good, "sbomz": strings.Replace(good, "sboms:", "sbomz:", 1)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, ".goreleaser.yaml"), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, command := range [][]string{
			{"git", "init", "-q"}, {"git", "remote", "add", "origin", "https://github.com/example/iterable-segment-export.git"}, {tool, "check"},
		} {
			cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if wrong := name != "" && command[0] == tool; wrong != (err != nil) || wrong && !strings.Contains(string(out), name) {
				t.Errorf("%q: %v\n%s", command, err, out)
			}
		}
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
