package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// uiEnv is the environment variable with the URL of Temporal's UI.
const uiEnv = "EXPORT_UI_URL"

// uiURL returns the URL of Temporal's UI: that of the variable, or the usual one for
// Temporal's address, or an empty string if there is no usual one.
func uiURL(hostPort string) string {
	host, port, err := net.SplitHostPort(cmp.Or(hostPort, "localhost:7233"))
	otherwise := ""
	switch ip := net.ParseIP(host); {
	case err != nil:
	case port == "7233" && (host == "localhost" || ip != nil && ip.IsLoopback()):
		otherwise = "http://127.0.0.1:8233"
	case strings.HasSuffix(host, ".tmprl.cloud"), strings.HasSuffix(host, ".api.temporal.io"):
		otherwise = "https://cloud.temporal.io"
	}
	return strings.TrimSuffix(cmp.Or(os.Getenv(uiEnv), otherwise), "/")
}

// showLinks prints links to lists of runs in Temporal's UI, by their search attributes. With
// an export's name the lists are of its runs.
func (a *app) showLinks(c *cobra.Command, o gateway.Service, export string) {
	namespace := a.namespace(c.Context(), o)
	if namespace == "" {
		return
	}
	w := c.OutOrStdout()
	fmt.Fprintln(w, "\nIn Temporal's UI:")
	of := ""
	if export != "" {
		of = fmt.Sprintf(" AND ExportName = %s", quoted(export))
	}
	for _, view := range []struct{ what, query string }{
		{"waiting", "ExportState = " + quoted(schemas.StateWaiting) + of},
		{"running", "ExecutionStatus = 'Running' AND WorkflowType = " + quoted(schemas.WorkflowRunExport) + of},
		{"failed", "ExportState = " + quoted(schemas.StateFailed) + of},
		{"all", "WorkflowType = " + quoted(schemas.WorkflowRunExport) + of},
	} {
		fmt.Fprintf(w, "  %-8s %s/namespaces/%s/workflows?query=%s\n", view.what, a.ui, url.PathEscape(namespace), url.QueryEscape(view.query))
	}
}

// namespace returns the namespace for links to Temporal's UI, empty if its URL is not known.
func (a *app) namespace(ctx context.Context, o gateway.Service) string {
	if a.ui == "" {
		return ""
	}
	me, err := o.Me(ctx)
	if err != nil {
		return ""
	}
	return me.Namespace
}

// quoted returns a value of a query.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// runURL returns the URL of a run in Temporal's UI, empty if it is not known.
func (a *app) runURL(ctx context.Context, o gateway.Service, run operate.Run) string {
	namespace := a.namespace(ctx, o)
	if namespace == "" {
		return ""
	}
	return fmt.Sprintf("%s/namespaces/%s/workflows/%s/%s", a.ui, url.PathEscape(namespace), url.PathEscape(run.WorkflowID), run.RunID)
}
