package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iterable-segment-export/internal/sandbox"
)

// sandboxOptions are the flags that shape a sandbox.
type sandboxOptions struct {
	rate        float64
	latency     time.Duration
	fast        bool
	allowRemote bool
}

func sandboxFlags(f *pflag.FlagSet, o *sandboxOptions) {
	f.Float64Var(&o.rate, "rate", sandbox.DefaultRate, "requests a second that the sandbox takes for subscribe and unsubscribe, each; 0 for no limit")
	f.DurationVar(&o.latency, "latency", 50*time.Millisecond, "how long the sandbox holds back every answer")
	f.BoolVar(&o.fast, "fast", false, "let the sandbox know a new list at once, show changes at once, and allow any number of the requests whose limits Iterable documents")
}

func (o sandboxOptions) config() sandbox.Config {
	c := sandbox.Config{Fast: o.fast, Rate: o.rate, Latency: o.latency, AllowRemote: o.allowRemote, KeepData: true} // 160 bytes a profile
	if o.rate == 0 {
		c.Rate = -1
	}
	return c
}

func sandboxCommand() *cobra.Command {
	var o sandboxOptions
	var addr, data string
	c := &cobra.Command{
		Use:     "sandbox",
		Short:   "Run the Iterable sandbox alone, until Ctrl-C",
		Example: "  go run ./worker/dev sandbox --addr 127.0.0.1:8234 --rate 0 --latency 0s",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			config := o.config()
			config.DataDir = data
			// A data root may have records of the lists of an earlier sandbox.
			config.FirstListID = time.Now().Unix()
			s, err := sandbox.Open(config)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "The sandbox answers at http://%s with the key %q; statistics at /sandbox/stats.\n", addr, sandbox.DefaultKey)
			return errors.Join(s.ListenAndServe(c.Context(), addr), s.Close())
		},
	}
	c.Flags().StringVar(&addr, "addr", "127.0.0.1:8234", "address to answer at")
	c.Flags().StringVar(&data, "data", "", "folder to keep lists and profiles in; default in memory alone")
	c.Flags().BoolVar(&o.allowRemote, "allow-remote", false, "answer at addresses other than loopback, for a container network that nobody else is on")
	sandboxFlags(c.Flags(), &o)
	return c
}
