// Package deploy has the tests of the files that the program is deployed with:
// docker-compose.yml, Dockerfile and what goes with them. It has no code of its
// own.
package deploy
