package emulators

import (
	"bufio"
	"embed"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

//go:embed azurite/package.json azurite/package-lock.json
var azurite embed.FS

// Azurite's only account and its published key.
const (
	azureAccount = "devstoreaccount1"
	azureKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// Azure starts Azurite. It needs Node, and npm the first time.
func Azure(t testing.TB) *Cloud {
	t.Helper()
	program, err := installAzurite()
	if err != nil {
		t.Skipf("no Azurite: %v", err)
	}
	addr := freeAddr(t)
	cmd := exec.Command("node", program, "--blobHost", "127.0.0.1", "--blobPort", port(addr),
		"--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck")
	cmd.Dir = t.TempDir()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	waitFor(t, out, "successfully listen")
	c := &Cloud{Proxy: newProxy(t, "http://"+addr)}
	c.URL = "azblob://" + bucket + "?domain=" + c.Addr + "&protocol=http"
	c.environ(t, map[string]string{"AZURE_STORAGE_ACCOUNT": azureAccount, "AZURE_STORAGE_KEY": azureKey})
	c.createContainer(t)
	return c
}

// waitFor reads a program's output until a line contains what, and discards the rest.
func waitFor(t testing.TB, out io.Reader, what string) {
	t.Helper()
	var said strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if fmt.Fprintln(&said, lines.Text()); strings.Contains(lines.Text(), what) {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return
		}
	}
	t.Fatalf("Azurite ended:\n%s", said.String())
}

func (c *Cloud) createContainer(t testing.TB) {
	t.Helper()
	key, err := container.NewSharedKeyCredential(azureAccount, azureKey)
	if err != nil {
		t.Fatal(err)
	}
	client, err := container.NewClientWithSharedKeyCredential(fmt.Sprintf("http://%s/%s/%s", c.Addr, azureAccount, bucket), key, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = client.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

// freeAddr returns a free address of this machine.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// installAzurite installs Azurite, and returns the program's path.
var installAzurite = sync.OnceValues(func() (string, error) {
	lock, err := azurite.ReadFile("azurite/package-lock.json")
	if err != nil {
		return "", err
	}
	manifest, err := azurite.ReadFile("azurite/package.json")
	if err != nil {
		return "", err
	}
	dir, err := NPM("azurite", manifest, lock)
	return filepath.Join(dir, "node_modules", "azurite", "dist", "src", "blob", "main.js"), err
})
