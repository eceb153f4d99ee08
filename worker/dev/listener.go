package main

import (
	"fmt"
	"strings"
	"sync"
)

// listener reads what "go build -v" writes: a line with the name of each package
// that it compiles, one for each module that it fetches, and what is wrong.
type listener struct {
	mu                sync.Mutex
	part              string // of a line whose end is still to come
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

// progress says how far Go is.
func (l *listener) progress() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.compiled == 0 && l.fetched > 0 {
		return fmt.Sprintf("%d modules fetched", l.fetched)
	}
	return fmt.Sprintf("%d packages compiled", l.compiled)
}

// rest is what is neither a package nor a module.
func (l *listener) rest() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(append(l.others, l.part), "\n")
}
