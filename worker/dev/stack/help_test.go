package main

import (
	"strings"
	"testing"
)

// TestEveryCommandHasExamples whose flags there are.
func TestEveryCommandHasExamples(t *testing.T) {
	root := newRoot()
	for _, c := range append(root.Commands(), root) {
		if c.Name() == "help" {
			continue
		}
		examples := 0
		for line := range strings.Lines(c.Example) {
			line, ok := strings.CutPrefix(strings.TrimSpace(line), "go run ./worker/dev")
			if !ok {
				t.Errorf("%s: %q", c.CommandPath(), line)
				continue
			}
			examples++
			words := strings.Fields(line)
			found, rest, err := newRoot().Find(words)
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err != nil || found.Name() != c.Name() || found.ValidateArgs(found.Flags().Args()) != nil {
				t.Errorf("%s: %q: %v", c.CommandPath(), line, err)
			}
		}
		if examples == 0 || c.Short == "" {
			t.Errorf("%s has %d examples and says %q", c.CommandPath(), examples, c.Short)
		}
	}
}

// TestWrongUsage is told as such, with where to look.
func TestWrongUsage(t *testing.T) {
	for line, want := range map[string]string{
		"frobnicate":            `dev knows no "frobnicate"; dev --help`,
		"--frobnicate":          "unknown flag: --frobnicate; dev --help lists the flags",
		"generate":              "generate needs --out",
		"generate all":          `dev generate knows no "all"`,
		"sandbox --rate little": "dev sandbox --help lists the flags",
	} {
		root := newRoot()
		root.SetArgs(strings.Fields(line))
		err := root.ExecuteContext(t.Context())
		if _, ok := err.(usageError); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// TestWhichExportsRun: the examples need the connection of the examples.
func TestWhichExportsRun(t *testing.T) {
	for line, want := range map[string]string{
		"":                                    "examples/exports.yaml",
		"--exports=":                          "",
		"--connections my.yaml":               "",
		"--connections my.yaml --exports e.y": "e.y",
	} {
		f := newRoot().Flags()
		if err := f.Parse(strings.Fields(line)); err != nil {
			t.Fatal(err)
		}
		if got := exportsOf(f); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// TestTheSandboxKeepsFields, so that it answers what was sent of a profile.
func TestTheSandboxKeepsFields(t *testing.T) {
	if !(sandboxOptions{}).config().KeepData {
		t.Error("the sandbox drops the fields of profiles")
	}
}
