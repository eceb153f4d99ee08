# The images of the worker (with the starter in it), of the sandbox, and of a provider
# of logins to try the gateway with:
#
#   docker build --target worker  -t iterable-segment-export/worker .
#   docker build --target sandbox -t iterable-segment-export/sandbox .
#   docker build --target login   -t iterable-segment-export/login .
#
# The first two hold static binaries and no shell. All run as an ordinary user.

# The builder has the Go version of go.mod; a test holds the two together.
FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm@sha256:a688600ca24f8a4d3ca77f95b0dd40704a9fc787c826660eb7ba0b641b8b175d AS build
WORKDIR /src
# The modules first: this layer stays as long as they do.
COPY go.mod go.sum ./
COPY internal/devstack/unscaled/go.mod internal/devstack/unscaled/
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=dev
ARG TARGETOS
ARG TARGETARCH
ENV GOCACHE=/go/build CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH GOFLAGS="-trimpath -mod=readonly -buildvcs=false"
# Folders to copy with an owner: volumes that are mounted on them take it over.
RUN mkdir -p /out/data /out/scratch

FROM build AS build-worker
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/go/build \
    go build -ldflags "-s -w -X main.version=$VERSION" -o /out/bin/ ./worker ./starter

# Temporal's server comes with this one, which makes it slow to build; the
# worker's image does not wait for it.
FROM build AS build-sandbox
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/go/build \
    go build -ldflags "-s -w -X main.version=$VERSION" -o /out/bin/ ./worker/dev/stack ./internal/deploy/probe

# The base has certificates, time zones, /tmp and the user nonroot (65532).
FROM gcr.io/distroless/static-debian12:nonroot@sha256:afa5c872c891853ca7fcf1f12c3edb23f7eeef36189728842dd51042ff57f7ab AS base
USER 65532:65532

FROM base AS sandbox
COPY --from=build-sandbox /out/bin/ /usr/local/bin/
COPY --from=build-sandbox --chown=65532:65532 --chmod=0700 /out/data /data
ENTRYPOINT ["/usr/local/bin/stack", "sandbox"]

FROM node:24.13.0-bookworm-slim@sha256:4660b1ca8b28d6d1906fd644abe34b2ed81d15434d26d845ef0aced307cf4b6f AS login
WORKDIR /login
COPY internal/access/oidctest/oidc/ ./
RUN npm ci --omit=dev --ignore-scripts
ENV OIDC_MODULES=/login/node_modules
USER node
ENTRYPOINT ["node", "/login/provider.mjs"]

# The last stage is what docker build makes where no target is named.
FROM base AS worker
COPY --from=build-worker /out/bin/ /usr/local/bin/
COPY --from=build-worker --chown=65532:65532 --chmod=0700 /out/data /data
COPY --from=build-worker --chown=65532:65532 --chmod=0700 /out/scratch /scratch
ENV CONNECTIONS_FILE=/config/connections.yaml DATA_ROOT=/data TEMP_DIR=/scratch HEALTH_ADDR=127.0.0.1:8235
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["/usr/local/bin/worker", "--healthcheck"]
ENTRYPOINT ["/usr/local/bin/worker"]
