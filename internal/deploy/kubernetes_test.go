package deploy

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	"iterable-segment-export/internal/config"
)

// decode reads manifests with the API's own types, as strictly as the API server
// does: a field that there is not, or one of another type, is an error.
func decode(manifests []byte) (objects []runtime.Object, err error) {
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(manifests)))
	defer documents.Close()
	buffer := make([]byte, len(manifests)+1)
	for {
		n, err := documents.Read(buffer)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		object, _, err := decoder.Decode(buffer[:n], nil, nil)
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
}

// mostOfAFile is how many bytes of memory a hostile file may take (docs/security.md).
const mostOfAFile = 2 << 30

// cluster is what the manifests of examples/kubernetes make.
type cluster struct {
	deployments map[string]*appsv1.Deployment
	services    map[string]*corev1.Service
	policies    []networkingv1.NetworkPolicy
	ingress     networkingv1.Ingress
	job         batchv1.Job
	config      corev1.ConfigMap
	account     corev1.ServiceAccount
	disruption  policyv1.PodDisruptionBudget
}

// secrets are those that docs/deploying.md and the manifests have the reader make, with
// what is in each.
var secrets = map[string][]string{
	"segment-export-keys":  {"marketing", "worker-secret"},
	"segment-export-ui":    {"client-secret"},
	"segment-export-apply": {"token"},
}

func manifests(t *testing.T) cluster {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "examples/kubernetes/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c := cluster{deployments: map[string]*appsv1.Deployment{}, services: map[string]*corev1.Service{}}
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := decode(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, o := range objects {
			switch o := o.(type) {
			case *appsv1.Deployment:
				c.deployments[o.Name] = o
			case *corev1.Service:
				c.services[o.Name] = o
			case *batchv1.Job:
				c.job = *o
			case *corev1.ConfigMap:
				c.config = *o
			case *corev1.ServiceAccount:
				c.account = *o
			case *policyv1.PodDisruptionBudget:
				c.disruption = *o
			case *networkingv1.NetworkPolicy:
				c.policies = append(c.policies, *o)
			case *networkingv1.Ingress:
				c.ingress = *o
			default:
				t.Errorf("%s: nobody checks a %T", file, o)
			}
		}
	}
	return c
}

// selects reports whether a selector is of pods with such labels.
func selects(t *testing.T, selector *metav1.LabelSelector, pod map[string]string) bool {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return !s.Empty() && s.Matches(labels.Set(pod))
}

// TestManifestsAreReadStrictly makes sure that what is wrong is noticed.
func TestManifestsAreReadStrictly(t *testing.T) {
	for text, want := range map[string]string{
		"apiVersion: apps/v1\nkind: Deployment\nspec: {replica: 2}":   `unknown field "spec.replica"`,
		"apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: no}": "replicas",
		"apiVersion: apps/v1beta1\nkind: Deploymnt":                   "no kind",
	} {
		if _, err := decode([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestTheManifestsFitTogether: what they name exists, and the worker is set up as
// everywhere else.
func TestTheManifestsFitTogether(t *testing.T) {
	c := manifests(t)
	worker := c.deployments["segment-export"].Spec.Template
	if !selects(t, c.disruption.Spec.Selector, worker.Labels) {
		t.Error("the disruption budget does not select the workers")
	}
	for name, d := range c.deployments {
		if !selects(t, d.Spec.Selector, d.Spec.Template.Labels) {
			t.Errorf("the deployment %s does not select its pods", name)
		}
		if s := c.services[name]; s == nil || !selects(t, metav1.SetAsLabelSelector(s.Spec.Selector), d.Spec.Template.Labels) {
			t.Errorf("no service selects the pods of %s", name)
		} else if port := s.Spec.Ports[0]; !slices.ContainsFunc(d.Spec.Template.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == port.TargetPort.StrVal }) {
			t.Errorf("the service %s leads to the port %s", name, port.TargetPort.StrVal)
		}
		confined(t, d.Spec.Template.Spec)
	}
	confined(t, c.job.Spec.Template.Spec)
	spec := worker.Spec
	if spec.ServiceAccountName != c.account.Name {
		t.Errorf("the service account %s is not made", spec.ServiceAccountName)
	}
	for _, s := range []corev1.PodSpec{spec, c.job.Spec.Template.Spec} {
		for _, v := range s.Volumes {
			switch {
			case v.ConfigMap != nil && v.ConfigMap.Name != c.config.Name, v.Secret != nil && secrets[v.Secret.SecretName] == nil:
				t.Errorf("the volume %s is of something that is not made", v.Name)
			}
			if !slices.ContainsFunc(s.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == v.Name }) {
				t.Errorf("the volume %s is not mounted", v.Name)
			}
		}
		if s.Containers[0].Image != spec.Containers[0].Image {
			t.Error("worker and job are of different versions")
		}
	}
	madeByTheReader(t)
	container := spec.Containers[0]
	env := map[string]string{}
	for _, e := range container.Env {
		env[e.Name] = e.Value
	}
	known(t, env)
	if env["WORKER_SECRET_FILE"] != "/keys/worker-secret" || !strings.HasSuffix(env["API_ADDR"], ":8236") || container.Ports[1].ContainerPort != 8236 {
		t.Errorf("the gateway is set up with %v", env)
	}
	if slots, err := strconv.ParseInt(env["STAGING_SLOTS"], 10, 64); err != nil || container.Resources.Limits.Memory().Value() < slots*mostOfAFile {
		t.Errorf("the worker may take %s with STAGING_SLOTS=%s, %v", container.Resources.Limits.Memory(), env["STAGING_SLOTS"], err)
	}
	stop, err := time.ParseDuration(env["STOP_TIMEOUT"])
	if err != nil || time.Duration(*spec.TerminationGracePeriodSeconds)*time.Second <= stop {
		t.Errorf("the worker has %d s to stop; STOP_TIMEOUT is %s", *spec.TerminationGracePeriodSeconds, env["STOP_TIMEOUT"])
	}
	if port := container.Ports[0]; !strings.HasSuffix(env["HEALTH_ADDR"], ":8235") || port.ContainerPort != 8235 ||
		worker.Annotations["prometheus.io/port"] != "8235" {
		t.Errorf("the worker answers at %s; the port is %d", env["HEALTH_ADDR"], port.ContainerPort)
	}
	for name, probe := range map[string]*corev1.Probe{"/readyz": container.ReadinessProbe, "/healthz": container.LivenessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != name || probe.HTTPGet.Port.StrVal != container.Ports[0].Name {
			t.Errorf("the probe of %s is %+v", name, probe)
		}
	}
}

// madeByTheReader wants every secret in a command of the page or of a manifest: one that
// a manifest makes would take the place of the reader's.
func madeByTheReader(t *testing.T) {
	t.Helper()
	text := ""
	for _, file := range []string{"docs/deploying.md", "examples/kubernetes/apply-exports.yaml"} {
		data, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		text += string(data)
	}
	for name, keys := range secrets {
		line := regexp.MustCompile(`kubectl create secret generic ` + name + ` .*`).FindString(text)
		for _, key := range keys {
			if !strings.Contains(line, "="+key+"=") {
				t.Errorf("no command makes the key %s of the secret %s: %q", key, name, line)
			}
		}
	}
}

// confined wants a pod that can do no more than it needs.
func confined(t *testing.T, spec corev1.PodSpec) {
	t.Helper()
	if s := spec.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil || spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
		t.Errorf("the pod is not confined: %+v", s)
	}
	for _, c := range spec.Containers {
		s := c.SecurityContext
		if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem ||
			s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("%s is not confined: %+v", c.Name, s)
		}
		if c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s says not what it needs", c.Name)
		}
		if !regexp.MustCompile(`:\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?$`).MatchString(c.Image) {
			t.Errorf("%s is of no full version: %s", c.Name, c.Image)
		}
	}
}

// TestTheConfigurationInTheCluster is one that the program takes.
func TestTheConfigurationInTheCluster(t *testing.T) {
	c := manifests(t)
	dir := t.TempDir()
	for name, text := range c.config.Data {
		for _, key := range secrets["segment-export-keys"] { // the keys' folder is the pod's
			text = strings.ReplaceAll(text, "/keys/"+key, filepath.Join(dir, key))
			if err := os.WriteFile(filepath.Join(dir, key), []byte("key"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text, "/keys/") {
			t.Errorf("%s names a key that the secret does not have", name)
		}
	}
	if _, err := config.OpenConnections(filepath.Join(dir, "connections.yaml"), slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
	exports, err := config.LoadExports(filepath.Join(dir, "exports.yaml"))
	if err != nil || len(exports.Exports) == 0 {
		t.Error(err)
	}
	if args := strings.Join(c.job.Spec.Template.Spec.Containers[0].Command, " "); !strings.Contains(args, "starter apply /config/exports.yaml --yes") {
		t.Errorf("the job does %q", args)
	}
}

// known wants variables that the worker, Temporal's client or Go's runtime reads.
func known(t *testing.T, env map[string]string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs/configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range env {
		if name != "GOMEMLIMIT" && !strings.Contains(string(page), "| `"+name+"` |") {
			t.Errorf("nothing reads the variable %s", name)
		}
	}
}
