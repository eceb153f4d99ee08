package deploy

import (
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"iterable-segment-export/internal/config"
)

// kustomization is the part of a kustomization.yaml that the tests look at.
type kustomization struct {
	Resources []string
	Images    []struct {
		Name    string
		NewName string `yaml:"newName"`
		NewTag  string `yaml:"newTag"`
	}
	Patches []struct{ Patch string }
}

func readKustomization(t *testing.T, dir string) (k kustomization) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, dir, "kustomization.yaml"))
	if err == nil {
		err = yaml.Unmarshal(data, &k)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestTheBaseHasAllManifests except the job, which is generated again after each change.
func TestTheBaseHasAllManifests(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "examples/kubernetes/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, f := range files {
		if name := filepath.Base(f); name != "kustomization.yaml" && name != "apply-exports.yaml" {
			want = append(want, name)
		}
	}
	have := readKustomization(t, "examples/kubernetes").Resources
	slices.Sort(have)
	if !slices.Equal(have, want) {
		t.Errorf("the base has %q, and the folder %q", have, want)
	}
}

// TestTheOverlayPatchesWhatThereIs: its patches have the names of the manifests, and set
// variables that these set too; its configuration can be read.
func TestTheOverlayPatchesWhatThereIs(t *testing.T) {
	c := manifests(t)
	k := readKustomization(t, "examples/kustomize")
	image, _, _ := strings.Cut(c.deployments["segment-export"].Spec.Template.Spec.Containers[0].Image, ":")
	if len(k.Images) != 1 || k.Images[0].Name != image {
		t.Errorf("the overlay sets the image of %+v, and the worker's is %s", k.Images, image)
	}
	for _, p := range k.Patches {
		objects, err := decode([]byte(p.Patch))
		if err != nil {
			continue // of single fields; rendering tries them
		}
		d, ok := objects[0].(*appsv1.Deployment)
		if !ok {
			continue
		}
		base := c.deployments[d.Name]
		if base == nil || base.Spec.Template.Spec.Containers[0].Name != d.Spec.Template.Spec.Containers[0].Name {
			t.Errorf("the overlay patches %s, which there is not", d.Name)
			continue
		}
		for _, e := range d.Spec.Template.Spec.Containers[0].Env {
			if !slices.ContainsFunc(base.Spec.Template.Spec.Containers[0].Env, func(b corev1.EnvVar) bool { return b.Name == e.Name }) {
				t.Errorf("the overlay sets %s of %s, which the base does not", e.Name, d.Name)
			}
		}
	}
	if _, err := config.OpenConnections(filepath.Join(root, "examples/kustomize/connections.yaml"), slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
		t.Error(err)
	}
	if _, err := config.LoadExports(filepath.Join(root, "examples/kustomize/exports.yaml")); err != nil {
		t.Error(err)
	}
}

// TestTheOverlayIsRendered has kubectl render the overlay, as docs/deploying.md does, and reads the
// result as the API server does.
func TestTheOverlayIsRendered(t *testing.T) {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("kubectl is not installed")
	}
	out, err := exec.CommandContext(t.Context(), kubectl, "kustomize", filepath.Join(root, "examples/kustomize")).Output()
	if err != nil {
		t.Fatal(err)
	}
	objects, err := decode(out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	k := readKustomization(t, "examples/kustomize")
	found := map[string]bool{}
	for _, o := range objects {
		switch o := o.(type) {
		case *appsv1.Deployment:
			if o.Name != "segment-export" {
				continue
			}
			container := o.Spec.Template.Spec.Containers[0]
			env := map[string]string{}
			for _, e := range container.Env {
				env[e.Name] = e.Value
			}
			known(t, env)
			found["worker"] = container.Image == k.Images[0].NewName+":"+k.Images[0].NewTag && env["TEMPORAL_NAMESPACE"] == "exports" && env["API_ADDR"] != ""
		case *corev1.ConfigMap:
			found["config"] = o.Name == "segment-export" && len(o.Data) == 2
		case *networkingv1.NetworkPolicy:
			if o.Name == "temporal-frontend" {
				found["policy of Temporal"] = o.Namespace == "temporal"
			}
		case *networkingv1.Ingress:
			found["ingress"] = o.Spec.Rules[0].Host == "exports.example.org" && o.Spec.TLS[0].Hosts[0] == o.Spec.Rules[0].Host
		}
	}
	for _, what := range []string{"worker", "config", "ingress", "policy of Temporal"} {
		if !found[what] {
			t.Errorf("the overlay does not set the %s", what)
		}
	}
}
