package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cli/browser"
	"github.com/spf13/cobra"

	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/report"
)

type reportFlags struct {
	out       string
	open, all bool
}

func (a *app) reportCommand() *cobra.Command {
	var f reportFlags
	c := a.serviceCommand(&cobra.Command{
		Use:   "report RUN | --all",
		Short: "Save a run's report, or an overview of all exports, as a web page",
		Long: `Save a run's report as a web page, or open it. It is one file that needs no network: the
counts from the rows read to the list, the rejects by reason, file and domain, the request
rate of the upload, the size of the list after the last runs, and the settings. Only people
who may use the run's connection see it.

With --all, save an overview of all exports: the state of each, what it waits for with the
commands that answer, its last run, its next start, the sizes of its lists after the last 90
runs, and the rejected rows of this month by reason. It has the exports over the connections
that you may use. With -o json it is also printed.`,
		Example: `  starter report "Spring campaign" --open
  starter report "Spring campaign" --out spring.html
  starter report --all --open`,
	}, func(c *cobra.Command, o gateway.Service, args []string) error {
		if f.all {
			return a.overview(c, o, f)
		}
		run, err := o.Find(c.Context(), args[0])
		if err != nil {
			return err
		}
		return a.report(c, o, run, f)
	})
	c.Args = func(c *cobra.Command, args []string) error {
		if f.all {
			return exactly(0, "no RUN with --all")(c, args)
		}
		return exactly(1, "one RUN, or --all")(c, args)
	}
	p := c.Flags()
	p.StringVar(&f.out, "out", "", `file to save it in, or "-" for the standard output; default EXPORT-RUN.html or overview.html in this folder`)
	p.BoolVar(&f.open, "open", false, "open it in the browser")
	p.BoolVar(&f.all, "all", false, "an overview of all exports")
	return c
}

func (a *app) report(c *cobra.Command, o gateway.Service, run operate.Run, f reportFlags) error {
	page, err := o.Report(c.Context(), run)
	if err != nil {
		return err
	}
	return a.save(c, f, fileName(".html", run.Export, run.RunID), page, func(file string) any { return reportOutput{Report: file} })
}

func (a *app) overview(c *cobra.Command, o gateway.Service, f reportFlags) error {
	all, err := o.Overview(c.Context())
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := report.WriteOverview(&page, all, nil); err != nil {
		return err
	}
	return a.save(c, f, "overview.html", page.Bytes(), func(file string) any { return reportOutput{file, &all} })
}

// save writes a page to the file that the flags name, by default name, and prints and opens
// the file. output returns what is printed for programs.
func (a *app) save(c *cobra.Command, f reportFlags, name string, page []byte, output func(file string) any) error {
	if f.out == "-" {
		_, err := c.OutOrStdout().Write(page) // through the filter: names of files are in it
		return err
	}
	file, err := savePage(name, f, page)
	if err != nil {
		return fmt.Errorf("save the report: %w", err)
	}
	if a.structured() {
		err = a.encode(c.OutOrStdout(), output(file))
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

// savePage writes a page to a file that only its owner can read, and returns its name.
func savePage(name string, f reportFlags, page []byte) (string, error) {
	if f.out != "" {
		name = f.out
	} else if f.open {
		dir, err := os.MkdirTemp("", "iterable-segment-export-")
		if err != nil {
			return "", err
		}
		name = filepath.Join(dir, name)
	}
	name, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	return name, os.WriteFile(name, page, 0o600)
}
