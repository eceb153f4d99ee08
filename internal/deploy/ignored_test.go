package deploy

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNoProgramIsCommitted: what go build leaves in the repository is ignored, and no committed
// file is as large as a program.
func TestNoProgramIsCommitted(t *testing.T) {
	git := repository(t)
	mains := mainPackages(t)
	if len(mains) < 5 {
		t.Fatalf("the programs are %v", mains)
	}
	for _, dir := range mains {
		program := path.Base(dir)
		for _, built := range []string{path.Join(dir, program), path.Join(dir, program+".exe"), program, "dist/" + program} {
			if info, err := os.Stat(filepath.Join(root, built)); err == nil && info.IsDir() {
				continue // go build does not write there
			}
			if err := git("check-ignore", "-q", "--no-index", built).Run(); err != nil {
				t.Errorf(".gitignore does not have %s", built)
			}
		}
	}
	const most = 1 << 20 // bytes; a program has 10 MB at least
	files, err := git("ls-files", "-z").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range bytes.SplitSeq(bytes.TrimRight(files, "\x00"), []byte{0}) {
		if info, err := os.Lstat(filepath.Join(root, string(name))); err == nil && info.Size() > most {
			t.Errorf("%s has %d bytes, more than %d", name, info.Size(), most)
		}
	}
}

// saved finds what a command in the documents writes: its flags --data and --out, and "> file".
var saved = regexp.MustCompile(`(?:--data|--out|[^-]>) ([.\w][.\w/-]*)`)

// TestNoPersonIsCommitted: what the commands of the README and of the documents write into the
// repository is ignored, since it may be about people. So is what the starter names itself.
func TestNoPersonIsCommitted(t *testing.T) {
	git := repository(t)
	docs, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(docs) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	files := []string{"spring-r1.parquet", "spring-r1.html", "my/exports.yaml"}
	for _, doc := range append(docs, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, "starter ") && !strings.Contains(line, "worker/dev") {
				continue
			}
			for _, m := range saved.FindAllStringSubmatch(line, -1) {
				switch {
				case strings.HasPrefix(m[1], "."):
					files = append(files, m[1]+"/data") // a folder
				case path.Ext(m[1]) != "":
					files = append(files, m[1])
				}
			}
		}
	}
	for _, file := range files {
		if err := git("check-ignore", "-q", "--no-index", file).Run(); err != nil {
			t.Errorf(".gitignore does not have %s", file)
		}
	}
}

// repository returns the function that returns a command of git in the repository. Without one, as
// in an archive of it, the test is skipped.
func repository(t *testing.T) func(args ...string) *exec.Cmd {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	git := func(args ...string) *exec.Cmd {
		c := exec.Command("git", append([]string{"-c", "safe.directory=*"}, args...)...)
		c.Dir = root
		return c
	}
	if err := git("rev-parse", "--git-dir").Run(); err != nil {
		t.Skip("not a clone of the repository")
	}
	return git
}

// mainPackages returns the folders of the programs, relative to the root.
func mainPackages(t *testing.T) (dirs []string) {
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && name != root && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata" || e.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil || seen[dir] {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.PackageClauseOnly)
		if err == nil && file.Name.Name == "main" {
			seen[dir] = true
			dirs = append(dirs, filepath.ToSlash(dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}
