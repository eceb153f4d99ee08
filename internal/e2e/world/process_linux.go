package world

import (
	"os/exec"
	"syscall"
)

// diesWithTests makes the kernel kill a process when the tests end, even if they are killed or
// panic. Otherwise it would continue, and keep inherited files open.
func diesWithTests(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
