package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/well" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	if err := run(t.Context(), []string{server.URL + "/well"}); err != nil {
		t.Error(err)
	}
	if err := run(t.Context(), []string{server.URL + "/ill"}); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("of one that is ill: %v", err)
	}
	server.Close()
	if err := run(t.Context(), []string{server.URL + "/well"}); err == nil {
		t.Error("no error of a server that is gone")
	}
	if err := run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "usage") {
		t.Errorf("without arguments: %v", err)
	}
}
