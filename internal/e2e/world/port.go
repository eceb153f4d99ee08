package world

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
)

// Ports below those that systems choose for ":0" (32768 and up on Linux), so that no server of
// another test gets one between FreeAddr and the process that listens on it. Such a server accepts
// connections and may never answer.
const (
	firstPort = 20_000
	ports     = 12_000
)

var portsTaken atomic.Uint32

// FreeAddr returns an address of 127.0.0.1 that a process can listen on.
func FreeAddr(t *testing.T) string {
	t.Helper()
	for range ports {
		// Tests of several packages run at once, each in a process.
		n := (uint32(os.Getpid())*197 + portsTaken.Add(1)) % ports
		addr := fmt.Sprintf("127.0.0.1:%d", firstPort+n)
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}
