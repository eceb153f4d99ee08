package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/cli/browser"
	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

type reportFlags struct {
	out  string
	open bool
}

func (a *app) reportCommand() *cobra.Command {
	var f reportFlags
	c := a.onRun(&cobra.Command{
		Use:   "report RUN",
		Short: "Save a run's report as a web page, or open it",
		Long: `Save a run's report as a web page, or open it. It is one file that needs no network: the
counts from the rows read to the list, the rejects by reason, file and domain, the request
rate of the upload, the size of the list after the last runs, and the settings. Only people
who may use the run's connection see it.`,
		Example: `  starter report "Spring campaign" --open
  starter report "Spring campaign" --out spring.html`,
	}, func(c *cobra.Command, o gateway.Service, run operate.Run) error { return a.report(c, o, run, f) })
	p := c.Flags()
	p.StringVar(&f.out, "out", "", `file to save it in, or "-" for the standard output; default EXPORT-RUN.html in this folder`)
	p.BoolVar(&f.open, "open", false, "open it in the browser")
	return c
}

func (a *app) report(c *cobra.Command, o gateway.Service, run operate.Run, f reportFlags) error {
	page, err := o.Report(c.Context(), run)
	if err != nil {
		return err
	}
	if f.out == "-" {
		_, err := console.Unfiltered(c.OutOrStdout()).Write(page)
		return err
	}
	file, err := saveReport(run, f, page)
	if err != nil {
		return fmt.Errorf("save the report: %w", err)
	}
	if a.structured() {
		err = a.encode(c.OutOrStdout(), reportOutput{file})
	} else {
		_, err = fmt.Fprintln(c.OutOrStdout(), file)
	}
	if err == nil && f.open {
		if err = browser.OpenFile(file); err != nil {
			err = fmt.Errorf("open %s in a browser: %w; open the file yourself", file, err)
		}
	}
	return err
}

// saveReport writes the page to a file that only its owner can read, and returns its name.
func saveReport(run operate.Run, f reportFlags, page []byte) (string, error) {
	name := f.out
	if name == "" {
		name = fmt.Sprintf("%s-%s.html", schemas.PathName(run.Export), run.RunID)
		if f.open {
			dir, err := os.MkdirTemp("", "iterable-segment-export-")
			if err != nil {
				return "", err
			}
			name = filepath.Join(dir, name)
		}
	}
	name, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	return name, os.WriteFile(name, page, 0o600)
}
