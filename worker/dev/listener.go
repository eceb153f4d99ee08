package main

import (
	"fmt"
	"strings"
	"sync"
)

// listener reads the output of "go build -v": a line for each package that it compiles and each
// module that it fetches, and errors.
type listener struct {
	mu                sync.Mutex
	part              string // of an incomplete line
	compiled, fetched int
	others            []string
}

func (l *listener) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(l.part+string(p), "\n")
	l.part = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		switch {
		case strings.HasPrefix(line, "go: downloading "):
			l.fetched++
		case strings.ContainsAny(line, " \t"):
			l.others = append(l.others, line)
		default:
			l.compiled++
		}
	}
	return len(p), nil
}

// progress returns how far Go is.
func (l *listener) progress() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.compiled == 0 && l.fetched > 0 {
		return fmt.Sprintf("%d modules fetched", l.fetched)
	}
	return fmt.Sprintf("%d packages compiled", l.compiled)
}

// rest returns the lines that are neither a package nor a module.
func (l *listener) rest() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(append(l.others, l.part), "\n")
}
