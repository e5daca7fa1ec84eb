# Sidereal with its demo: one static binary in a small image that runs as nobody in particular. `make image` gives version,
# commit and date of the checkout, which a build can't see.

# The browser bundles of the pinned socket.io-client, and the dashboard's charts; npm checks their integrity against the lock file.
FROM node:22.23.3-alpine@sha256:0a7108bf6c7bf5de370ffb1a3ed6be93d405b43ff159f681a8d18c0e2bc2e402 AS bundle
WORKDIR /src
COPY e2e/package.json e2e/package-lock.json e2e/.npmrc e2e/
RUN npm --prefix e2e ci --ignore-scripts --omit=dev --omit=optional --silent --no-progress
COPY scripts/bundle.sh scripts/
RUN sh scripts/bundle.sh bundle charts

FROM golang:1.26.8-alpine@sha256:8ac98ca534ac3f51e1f420a1dd2c15e74c75cfa0f23f3ad27eb5d7236c349a0c AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=bundle /src/bundle internal/demo/bundle/
COPY --from=bundle /src/charts internal/dashboard/charts/
ARG VERSION BUILD_COMMIT BUILD_DATE
RUN scripts/build.sh /sidereal

FROM alpine:3.22@sha256:14358309a308569c32bdc37e2e0e9694be33a9d99e68afb0f5ff33cc1f695dce
COPY --from=build /sidereal /usr/local/bin/sidereal
ARG VERSION BUILD_COMMIT BUILD_DATE
LABEL org.opencontainers.image.title="sidereal" \
      org.opencontainers.image.description="Socket.IO on many processes and hosts" \
      org.opencontainers.image.source="https://github.com/sidereal-io/sidereal" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$BUILD_COMMIT" \
      org.opencontainers.image.created="$BUILD_DATE"
USER 65532:65532
ENV SIDEREAL_LOG_FORMAT=json
EXPOSE 8080
HEALTHCHECK --interval=2s --timeout=2s --start-period=20s --retries=5 CMD ["sidereal", "healthcheck"]
ENTRYPOINT ["sidereal"]
CMD ["up"]
