//go:build !linux

package world

import "os/exec"

func diesWithTests(*exec.Cmd) {}
