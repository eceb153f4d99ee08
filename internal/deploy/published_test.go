package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// temporalPort is where Temporal takes gRPC. Who reaches it can do everything
// (docs/access.md), so no example publishes it.
const temporalPort = 7233

// front are the services that people reach, by the port inside: the gateway, and
// Temporal's UI to look at. The others are for the demo and the observability profile.
var front = map[string][]uint32{
	"worker":      {8236, 8234, 8237}, // the gateway, the sandbox and the logins
	"temporal-ui": {8080},
	"prometheus":  {9090},
	"grafana":     {3000},
}

// TestTemporalIsNotPublishedByCompose: its port is on a network of its own, which only
// the worker and the UI share.
func TestTemporalIsNotPublishedByCompose(t *testing.T) {
	p := project(t)
	for name, s := range p.Services {
		for _, port := range s.Ports {
			if !slices.Contains(front[name], port.Target) || port.Target == temporalPort || port.Published == "7233" {
				t.Errorf("%s publishes its port %d as %s", name, port.Target, port.Published)
			}
		}
		if s.NetworkMode == "host" {
			t.Errorf("%s shares the host's network", name)
		}
		_, near := s.Networks["temporal"]
		if needs := strings.HasPrefix(name, "temporal") || name == "postgresql" || name == "worker"; near != needs {
			t.Errorf("%s on Temporal's network: %v, want %v", name, near, needs)
		}
	}
	if n := p.Networks["temporal"]; !n.Internal {
		t.Error("Temporal's network is not an internal one")
	}
	if _, ok := p.Services["temporal"].Networks["default"]; ok {
		t.Error("Temporal is on the network of everybody else")
	}
}

// TestTheUIChangesNothing in any example: its server refuses whatever is not a GET then
// (internal/e2e/commands holds it to that).
func TestTheUIChangesNothing(t *testing.T) {
	ui := project(t).Services["temporal-ui"]
	if v := ui.Environment["TEMPORAL_DISABLE_WRITE_ACTIONS"]; v == nil || *v != "true" {
		t.Error("compose: write actions are not disabled")
	}
	c := manifests(t)
	spec := c.deployments["temporal-ui"].Spec.Template.Spec.Containers[0]
	if spec.Image != ui.Image {
		t.Errorf("Kubernetes has the UI %s, and compose %s", spec.Image, ui.Image)
	}
	env := map[string]string{}
	for _, e := range spec.Env {
		env[e.Name] = e.Value
	}
	if env["TEMPORAL_DISABLE_WRITE_ACTIONS"] != "true" || env["TEMPORAL_AUTH_ENABLED"] != "true" {
		t.Errorf("Kubernetes: the UI has %v", env)
	}
}

// TestTemporalIsNotPublishedByKubernetes: what leads into the cluster leads to the
// gateway and to the UI, and only the workers and the UI reach Temporal.
func TestTemporalIsNotPublishedByKubernetes(t *testing.T) {
	c := manifests(t)
	ports := map[string][]int32{}
	for name, s := range c.services {
		if s.Spec.Type != "" && s.Spec.Type != corev1.ServiceTypeClusterIP || len(s.Spec.ExternalIPs) > 0 {
			t.Errorf("the service %s leads out of the cluster as %s", name, s.Spec.Type)
		}
		for _, port := range s.Spec.Ports {
			ports[name] = append(ports[name], port.Port)
			if port.Port == temporalPort || port.TargetPort.IntVal == temporalPort {
				t.Errorf("the service %s is of Temporal's port", name)
			}
		}
	}
	if len(c.ingress.Spec.Rules) != 2 || len(c.ingress.Spec.TLS) == 0 || c.ingress.Spec.DefaultBackend != nil {
		t.Errorf("the ingress is %+v", c.ingress.Spec)
	}
	for _, rule := range c.ingress.Spec.Rules {
		if !slices.ContainsFunc(c.ingress.Spec.TLS, func(s networkingv1.IngressTLS) bool { return slices.Contains(s.Hosts, rule.Host) }) {
			t.Errorf("%s is published without TLS", rule.Host)
		}
		for _, path := range rule.HTTP.Paths {
			to := path.Backend.Service
			s, ok := c.services[to.Name]
			if !ok || !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == to.Port.Name }) {
				t.Errorf("%s leads to the port %s of %s, which there is not", rule.Host, to.Port.Name, to.Name)
			}
		}
	}
	for name, d := range c.deployments {
		spec := d.Spec.Template.Spec
		for _, container := range spec.Containers {
			for _, port := range container.Ports {
				if spec.HostNetwork || port.HostPort != 0 || port.ContainerPort == temporalPort {
					t.Errorf("%s: %+v", name, port)
				}
			}
		}
		if !slices.ContainsFunc(c.policies, func(p networkingv1.NetworkPolicy) bool {
			return selects(t, &p.Spec.PodSelector, d.Spec.Template.Labels)
		}) {
			t.Errorf("no network policy is about %s", name)
		}
	}
	// Who may reach Temporal, by the policy of its namespace.
	found := false
	for _, p := range c.policies {
		for _, rule := range p.Spec.Ingress {
			if !slices.ContainsFunc(rule.Ports, func(port networkingv1.NetworkPolicyPort) bool { return port.Port.IntVal == temporalPort }) {
				continue
			}
			found = true
			for _, from := range rule.From {
				if from.PodSelector == nil || from.IPBlock != nil {
					t.Errorf("%s lets %+v reach Temporal", p.Name, from)
				}
			}
		}
	}
	if !found {
		t.Error("no network policy is about Temporal's port")
	}
}

// TestNothingElsePublishesTemporal: neither an image nor a command of the documents.
func TestNothingElsePublishesTemporal(t *testing.T) {
	for _, s := range readStages(t) {
		for _, i := range s.lines {
			if i.word == "EXPOSE" {
				t.Errorf("the stage %s exposes %s", s.name, i.rest)
			}
		}
	}
	leads := regexp.MustCompile(`(?i)(port-forward|--publish|-p |ssh -L|NodePort|LoadBalancer|hostPort|listen).*7233`)
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*.md", "examples/*/*", "docker-compose.yml"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // a folder
			}
			if line := leads.Find(text); line != nil {
				t.Errorf("%s publishes Temporal's port: %s", file, line)
			}
		}
	}
}
