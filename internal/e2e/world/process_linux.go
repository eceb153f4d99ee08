package world

import (
	"os/exec"
	"syscall"
)

// diesWithTests has the system end a process when the tests end, also when they are
// killed or panic: it would go on working otherwise, and keep what it has inherited.
func diesWithTests(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
