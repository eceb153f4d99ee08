package schemas

import (
	"os/exec"
	"testing"
)

func TestShellWord(t *testing.T) {
	for _, name := range []string{"Spring campaign", `Save $5`, "it's", `a "b" 'c'`, "`date`", `back\slash`, "wow!", "", "a\nb"} {
		got, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+ShellWord(name)).Output()
		if err != nil || string(got) != name {
			t.Errorf("%q is %s, which a shell reads as %q (%v)", name, ShellWord(name), got, err)
		}
	}
	if got := ShellWord("Spring campaign"); got != `"Spring campaign"` {
		t.Error(got)
	}
}
