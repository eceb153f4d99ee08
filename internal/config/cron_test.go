package config

import "testing"

// TestCron holds expressions on which the verdict of Temporal's server (v1.32)
// is known; it parses them when a schedule is made, far from the file.
func TestCron(t *testing.T) {
	for expression, valid := range map[string]bool{
		"0 4 * * *":                true,
		" 0 4 * * *  # every day":  true,
		"*/5 1-5/2 1,15 * 7":       true,
		"0 4 * JAN-mar mon-friday": true,
		"0 4 * * su 2026":          true,
		"30 0 4 * * * 2026-2030":   true,
		"0 4 31 2 *":               true,
		"5/15 * * * *":             true,
		"@daily":                   true,
		"@every 6h":                true,
		"@every 6h/30m":            true,
		"":                         false,
		"0 4 * *":                  false,
		"0 0 4 * * * * *":          false,
		"60 4 * * *":               false,
		"0 24 * * *":               false,
		"0 4 0 * *":                false,
		"0 4 * ja *":               false,
		"0 4 * * 8":                false,
		"0 4 * * fri-mon":          false,
		"0 4 * * * 1999":           false,
		"1-2-3 4 * * *":            false,
		"1/2/3 4 * * *":            false,
		"1/ 4 * * *":               false,
		"1,,2 4 * * *":             false,
		"@reboot":                  false,
		"@every":                   false,
		"@every 6h/7h":             false,
		"@every 6h/-1h":            false,
		"CRON_TZ=UTC 0 4 * * *":    false,
	} {
		if err := checkCron(expression); (err == nil) != valid {
			t.Errorf("%q: %v, want valid = %v", expression, err, valid)
		}
	}
}

func FuzzCron(f *testing.F) {
	for _, s := range []string{"*/5 1-5/2 1,15 * 7", "@every 6h/30m", "0 4 * JAN-mar mon-friday 2026"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expression string) { _ = checkCron(expression) })
}
