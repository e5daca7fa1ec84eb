# Sidereal with its demo: one static binary in a small image that runs as nobody in particular.

# The browser bundles of the pinned socket.io-client; npm checks their integrity against the lock file.
FROM node:22-alpine AS bundle
WORKDIR /src
COPY e2e/package.json e2e/package-lock.json e2e/.npmrc e2e/
RUN npm --prefix e2e ci --omit=dev --omit=optional --silent --no-progress
COPY scripts/bundle.sh scripts/
RUN sh scripts/bundle.sh bundle

FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=bundle /src/bundle internal/demo/bundle/
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /sidereal ./cmd/sidereal

FROM alpine:3.22
COPY --from=build /sidereal /usr/local/bin/sidereal
USER 65532:65532
ENV SIDEREAL_LOG_FORMAT=json
EXPOSE 8080
HEALTHCHECK --interval=2s --timeout=2s --start-period=20s --retries=5 CMD ["sidereal", "healthcheck"]
ENTRYPOINT ["sidereal"]
CMD ["up"]
