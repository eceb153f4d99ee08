package deploy

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/goccy/go-yaml"
	"golang.org/x/mod/modfile"

	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// root is the repository's.
const root = "../.."

// What .env holds.
const (
	password = "made-up-password"
	secret   = "made-up-secret"
)

// ours are the services whose images are static binaries that are built here.
var ours = []string{"worker", "sandbox"}

// load reads docker-compose.yml as docker compose does, without this machine's
// environment, with some of the profiles.
func load(t *testing.T, profiles []string, env ...string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")},
		cli.WithWorkingDirectory(root), cli.WithEnv(env), cli.WithResolvedPaths(true), cli.WithProfiles(profiles))
	if err != nil {
		t.Fatal(err)
	}
	return options.LoadProject(context.Background())
}

// project is the file with every profile, or with those that are named.
func project(t *testing.T, profiles ...string) *types.Project {
	t.Helper()
	if profiles == nil {
		profiles = []string{"*"}
	}
	p, err := load(t, profiles, "POSTGRES_PASSWORD="+password, "WORKER_SECRET="+secret)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// jobs are the services that others wait for to end.
func jobs(p *types.Project) map[string]bool {
	found := map[string]bool{}
	for _, s := range p.Services {
		for name, d := range s.DependsOn {
			if d.Condition == types.ServiceConditionCompletedSuccessfully {
				found[name] = true
			}
		}
	}
	return found
}

func TestComposeAsksForSecrets(t *testing.T) {
	for missing, env := range map[string]string{"POSTGRES_PASSWORD": "WORKER_SECRET=x", "WORKER_SECRET": "POSTGRES_PASSWORD=x"} {
		if _, err := load(t, nil, env); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("without %s: %v", missing, err)
		}
	}
}

// TestProfiles: what a real project needs starts without any.
func TestProfiles(t *testing.T) {
	always := []string{"postgresql", "temporal", "temporal-namespace", "temporal-schema", "temporal-ui", "worker"}
	for _, c := range []struct{ profiles, further []string }{
		{[]string{}, nil},
		{[]string{"demo"}, []string{"login", "sandbox"}},
		{[]string{"observability"}, []string{"grafana", "prometheus"}},
	} {
		have := project(t, c.profiles...).ServiceNames()
		want := slices.Sorted(slices.Values(slices.Concat(always, c.further)))
		if slices.Sort(have); !slices.Equal(have, want) {
			t.Errorf("with the profiles %v: %v, want %v", c.profiles, have, want)
		}
	}
}

// TestPrometheusFindsTheWorker and the rules, and Grafana the dashboard.
func TestPrometheusFindsTheWorker(t *testing.T) {
	p := project(t)
	var scrape struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			DNS []struct {
				Names []string
				Port  int
			} `yaml:"dns_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(p.Configs["prometheus"].Content), &scrape); err != nil {
		t.Fatal(err)
	}
	if len(scrape.ScrapeConfigs) != 1 || len(scrape.ScrapeConfigs[0].DNS) != 1 {
		t.Fatalf("%+v", scrape)
	}
	dns := scrape.ScrapeConfigs[0].DNS[0]
	_, port, err := net.SplitHostPort(*p.Services["worker"].Environment["HEALTH_ADDR"])
	if err != nil || len(dns.Names) != 1 || dns.Names[0] != "worker" || fmt.Sprint(dns.Port) != port {
		t.Errorf("Prometheus asks %+v; the worker answers at port %s", dns, port)
	}
	for service, files := range map[string][]string{"prometheus": scrape.RuleFiles, "grafana": {"/etc/grafana/dashboards/dashboard.json"}} {
		for _, file := range files {
			i := slices.IndexFunc(p.Services[service].Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == file })
			if i < 0 {
				t.Errorf("%s has no %s", service, file)
			} else if _, err := os.Stat(p.Services[service].Volumes[i].Source); err != nil {
				t.Error(err)
			}
		}
	}
	for name, s := range p.Services {
		for _, c := range s.Configs {
			if _, ok := p.Configs[c.Source]; !ok {
				t.Errorf("%s names the configuration %s, which there is not", name, c.Source)
			}
		}
		for _, published := range s.Ports {
			if fmt.Sprint(published.Target) == port {
				t.Errorf("%s publishes the port of the worker's health", name)
			}
		}
	}
}

func TestEveryService(t *testing.T) {
	p := project(t)
	jobs := jobs(p)
	for name, s := range p.Services {
		t.Run(name, func(t *testing.T) {
			if s.Build == nil && !pinned(s.Image) {
				t.Errorf("the image %q is neither built here nor pinned to a full version and its digest", s.Image)
			}
			if s.Build != nil && !slices.Contains(ours, name) && name != "login" {
				t.Error("a service that is built here belongs into ours")
			}
			if s.Restart == "" || s.Restart == types.RestartPolicyNo {
				t.Error("it has no restart policy")
			}
			checked := s.HealthCheck != nil && len(s.HealthCheck.Test) > 1 && !s.HealthCheck.Disable
			if jobs[name] {
				if !strings.HasPrefix(s.Restart, types.RestartPolicyOnFailure) {
					t.Errorf("it ends, and is started again: restart %q", s.Restart)
				}
			} else if !checked {
				t.Error("it has no health check")
			}
			if s.Privileged || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
				t.Error("it may gain privileges")
			}
			for _, port := range s.Ports {
				if port.HostIP != "127.0.0.1" {
					t.Errorf("port %s is open on %q", port.Published, port.HostIP)
				}
			}
			dependencies(t, p, s, jobs)
		})
	}
}

// dependencies checks that a service waits until what it needs is ready.
func dependencies(t *testing.T, p *types.Project, s types.ServiceConfig, jobs map[string]bool) {
	for name, d := range s.DependsOn {
		switch {
		case jobs[name] && d.Condition == types.ServiceConditionCompletedSuccessfully:
		case !jobs[name] && d.Condition == types.ServiceConditionHealthy:
		// Who shares a network needs the other one's container, not its health.
		case s.NetworkMode == types.ServicePrefix+name:
		default:
			t.Errorf("it waits for %s to be %s", name, d.Condition)
		}
		if _, ok := p.Services[name]; !ok {
			t.Errorf("it waits for %s, which does not exist", name)
		}
	}
}

// version is a full one: major, minor and, except for PostgreSQL, patch; with the digest
// that it had.
var version = regexp.MustCompile(`^[^:@]+:v?(\d+\.\d+\.\d+|postgres-\d+\.\d+)[\w.-]*@sha256:[0-9a-f]{64}$`)

func pinned(image string) bool {
	return version.MatchString(strings.Replace(image, "postgres:", "postgres:postgres-", 1))
}

func TestPinned(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0a", 32)
	for image, want := range map[string]bool{
		"temporalio/ui:2.54.1" + digest:      true,
		"postgres:17.11-bookworm" + digest:   true,
		"temporalio/ui:2.54.1":               false,
		"temporalio/ui":                      false,
		"temporalio/ui:latest":               false,
		"temporalio/ui:2" + digest:           false,
		"temporalio/ui:2.54" + digest:        false,
		"postgres:17" + digest:               false,
		"temporalio/ui:2.54.1@sha256:0a":     false,
		"temporalio/ui:latest" + digest:      false,
		"registry:5000/temporalio/ui:latest": false,
	} {
		if pinned(image) != want {
			t.Errorf("%s: %v", image, !want)
		}
	}
}

// TestVersionsAreThoseOfTheModules keeps the images on the versions that the
// embedded stack is tested with.
func TestVersionsAreThoseOfTheModules(t *testing.T) {
	p, mod := project(t), goMod(t)
	for service, module := range map[string]string{
		"temporal":           "go.temporal.io/server",
		"temporal-schema":    "go.temporal.io/server",
		"temporal-namespace": "go.temporal.io/server",
		"temporal-ui":        "github.com/temporalio/ui-server/v2",
	} {
		want := ""
		for _, r := range mod.Require {
			if r.Mod.Path == module {
				want = strings.TrimPrefix(r.Mod.Version, "v")
			}
		}
		image, _, _ := strings.Cut(p.Services[service].Image, "@")
		if _, tag, _ := strings.Cut(image, ":"); tag != want {
			t.Errorf("%s is %s; go.mod has %s %s", service, image, module, want)
		}
		if service == "temporal-ui" && !strings.Contains(page(t, "deploying.md"), module+"/cmd/server@v"+want) {
			t.Errorf("docs/deploying.md does not build %s %s", module, want)
		}
	}
}

func goMod(t *testing.T) *modfile.File {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	return mod
}

func TestOursAreConfined(t *testing.T) {
	p := project(t)
	for _, name := range ours {
		s := p.Services[name]
		if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || len(s.CapAdd) > 0 || s.User != "" {
			t.Errorf("%s: read_only %v, cap_drop %v, cap_add %v, user %q", name, s.ReadOnly, s.CapDrop, s.CapAdd, s.User)
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind && !v.ReadOnly {
				t.Errorf("%s can write to %s of the host", name, v.Source)
			}
			if v.Type == types.VolumeTypeVolume && p.Volumes[v.Source].Name == "" {
				t.Errorf("%s uses the volume %s, which is not declared", name, v.Source)
			}
		}
	}
}

// secretName are names of variables that hold a secret.
var secretName = regexp.MustCompile(`(?i)(PASSWORD|PWD|SECRET|TOKEN|_KEY)$`)

// TestNoSecrets checks that secrets come from the environment: with another
// environment, there is another value.
func TestNoSecrets(t *testing.T) {
	for name, s := range project(t).Services {
		for variable, value := range s.Environment {
			if value == nil || !secretName.MatchString(variable) {
				continue
			}
			if *value != password && *value != secret && *value != sandbox.DefaultKey {
				t.Errorf("%s: the value of %s stands in the file", name, variable)
			}
		}
	}
	data, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), password) {
		t.Error("the password stands in the file")
	}
}

// TestTheWorkerReachesTheSandbox: examples/connections.yaml names an address of
// this machine.
func TestTheWorkerReachesTheSandbox(t *testing.T) {
	p := project(t)
	s := p.Services["sandbox"]
	if s.NetworkMode != types.ServicePrefix+"worker" {
		t.Errorf("the sandbox's network is %q", s.NetworkMode)
	}
	connections, err := os.ReadFile(filepath.Join(root, "examples/connections.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`baseURL: http://127\.0\.0\.1:(\d+)`).FindSubmatch(connections)
	if address == nil {
		t.Fatal("examples/connections.yaml names no address on 127.0.0.1")
	}
	if listens := "0.0.0.0:" + string(address[1]); !slices.Contains(s.Command, listens) {
		t.Errorf("the sandbox's command is %q; the example expects %s", s.Command, listens)
	}
	if key := s.Environment["ITERABLE_SANDBOX_KEY"]; key != nil {
		t.Error("the sandbox takes no key from its environment")
	}
	worker := p.Services["worker"]
	config := slices.IndexFunc(worker.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == "/config" })
	if config < 0 || filepath.Base(worker.Volumes[config].Source) != "examples" {
		t.Errorf("the worker's volumes are %v", worker.Volumes)
	}
}

// TestTheNamespaceGetsTheSearchAttributes that runs set.
func TestTheNamespaceGetsTheSearchAttributes(t *testing.T) {
	script := strings.Join(project(t).Services["temporal-namespace"].Command, "\n")
	for name, kind := range schemas.SearchAttributes {
		if want := name + ":" + kind.String(); !strings.Contains(script, want) {
			t.Errorf("temporal-namespace does not make %s", want)
		}
	}
	if n := len(regexp.MustCompile(`\w+:(Keyword|Int|Text|Double|Bool|Datetime|KeywordList)\b`).FindAllString(script, -1)); n != len(schemas.SearchAttributes) {
		t.Errorf("temporal-namespace makes %d search attributes, and there are %d", n, len(schemas.SearchAttributes))
	}
}

// TestTheWorkerHasTimeToStop compares the time until it is killed with the time
// that it gives to requests in flight.
func TestTheWorkerHasTimeToStop(t *testing.T) {
	w := project(t).Services["worker"]
	stop, err := time.ParseDuration(*w.Environment["STOP_TIMEOUT"])
	if err != nil {
		t.Fatal(err)
	}
	if w.StopGracePeriod == nil || time.Duration(*w.StopGracePeriod) < stop+10*time.Second {
		t.Errorf("it gets %v, and may take %s and a little more", w.StopGracePeriod, stop)
	}
}
