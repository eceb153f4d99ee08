package access

import (
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode"
	"unsafe"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// own are the sequences that the starter itself may write to a terminal: colours, and the moves of
// the progress bars.
var own = regexp.MustCompile("\x1b\\[[0-9;]*[mAJK]|\r")

// TestHostileNamesDoNotControlATerminal: where output is a terminal, it has colours and progress
// bars, which other output does not have.
func TestHostileNamesDoNotControlATerminal(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	e := applyHostile(w)
	if v := w.Run(e); v.State != schemas.StateDone {
		t.Fatalf("%+v", v)
	}
	s := w.Starter()
	s.Dir, s.Env = t.TempDir(), []string{"TERM=xterm"}
	for _, args := range [][]string{{"run", hostile}, {"status", hostile}, {"runs", hostile}, {"exports"}, {"rejects", hostile}} {
		text := typedOnTerminal(t, s.Command(args...))
		if !strings.Contains(text, "HYPERLINK") {
			t.Errorf("starter %q does not name the export: %q", args, text)
		}
		if args[0] == "status" && !own.MatchString(text) {
			t.Errorf("starter %q writes no colour: %q", args, text)
		}
		for _, r := range own.ReplaceAllString(text, "") {
			if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Errorf("starter %q writes %q to the terminal: %q", args, r, text)
				break
			}
		}
	}
}

// typedOnTerminal runs a command whose output is a terminal, and returns what it wrote.
func typedOnTerminal(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	size := [4]uint16{24, 200}
	var locked, number uint32
	for request, value := range map[uintptr]unsafe.Pointer{
		syscall.TIOCSPTLCK: unsafe.Pointer(&locked), syscall.TIOCGPTN: unsafe.Pointer(&number), syscall.TIOCSWINSZ: unsafe.Pointer(&size),
	} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, terminal.Fd(), request, uintptr(value)); errno != 0 {
			t.Fatal(errno)
		}
	}
	end, err := os.OpenFile("/dev/pts/"+strconv.Itoa(int(number)), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = end, end
	err = cmd.Start()
	end.Close()
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(terminal) // it ends with an error once no process has the other end
	_ = cmd.Wait()                  // of a run with rejects the status is not 0
	return string(text)
}
