// Package deploy has the tests of the files that the program is deployed with:
// docker-compose.yml, Dockerfile, Kubernetes manifests and systemd unit. It has no code of its
// own.
package deploy
